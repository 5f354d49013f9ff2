//! One line: JSON for machines, aligned text for people. Written by hand because it is written for every request.

use std::{io::Write as _, net::IpAddr, time::SystemTime};

use time::OffsetDateTime;

use super::event::{Access, Event, Field, Level, Subject};
use crate::config::LogFormat;

/// Appends one line to a buffer, field by field. Writing to a `Vec` cannot fail, so those results are dropped.
pub(super) struct Line<'a> {
    to: &'a mut Vec<u8>,
    format: LogFormat,
}

impl<'a> Line<'a> {
    pub fn begin(to: &'a mut Vec<u8>, format: LogFormat, now: SystemTime, level: Level, event: Event) -> Self {
        match format {
            LogFormat::Json => {
                to.extend_from_slice(b"{\"ts\":\"");
                timestamp(to, now);
                to.extend_from_slice(b"\",\"level\":\"");
                to.extend_from_slice(level.name().as_bytes());
                to.extend_from_slice(b"\",\"event\":\"");
                to.extend_from_slice(event.name().as_bytes());
                to.push(b'"');
            }
            LogFormat::Text => {
                timestamp(to, now);
                let _ = write!(to, " {:<5} {:<23}", level.name(), event.name());
            }
        }
        Self { to, format }
    }

    pub fn end(self) {
        if self.format == LogFormat::Json {
            self.to.push(b'}');
        }
        self.to.push(b'\n');
    }

    pub fn access(mut self, access: &Access<'_>) {
        let micros = u64::try_from(access.duration.as_micros()).unwrap_or(u64::MAX);
        match self.format {
            LogFormat::Json => {
                self.text("request_id", access.request_id);
                self.text("method", access.method);
                self.text("route", access.route);
                self.number("status", access.status.into());
                self.number("duration_us", micros);
            }
            // People look for these in columns.
            LogFormat::Text => {
                let _ =
                    write!(self.to, " {:>3} {:<7} {} {}us", access.status, Shown(access.method), access.route, micros);
                self.text("request_id", access.request_id);
            }
        }
        self.client(access.client);
        if let Some(cause) = access.cause {
            self.text("cause", cause);
        }
        self.end();
    }

    pub fn subject(mut self, subject: &Subject<'_>) {
        if let Some(id) = subject.request_id {
            self.text("request_id", id);
        }
        if let Some(account) = subject.account {
            self.key("account");
            self.bare_in_quotes(account);
        }
        self.client(subject.client);
        if let Some(reason) = subject.reason {
            self.text("reason", reason);
        }
        self.end();
    }

    pub fn fields(mut self, fields: &[(&'static str, Field<'_>)]) {
        for (name, value) in fields {
            match value {
                Field::Text(text) => self.text(name, text),
                Field::Number(number) => self.number(name, *number),
                Field::Flag(flag) => {
                    self.key(name);
                    let _ = write!(self.to, "{flag}");
                }
            }
        }
        self.end();
    }

    fn client(&mut self, client: Option<IpAddr>) {
        if let Some(client) = client {
            self.key("client");
            self.bare_in_quotes(client);
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.key(name);
        decimal(self.to, number);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        // For people a word has no quotes.
        if self.format == LogFormat::Text && is_word(text) {
            self.to.extend_from_slice(text.as_bytes());
        } else {
            quote(self.to, text);
        }
    }

    // For what has no character that could need an escape.
    fn bare_in_quotes(&mut self, value: impl std::fmt::Display) {
        let quote = if self.format == LogFormat::Json { "\"" } else { "" };
        let _ = write!(self.to, "{quote}{value}{quote}");
    }

    fn key(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => {
                self.to.extend_from_slice(b",\"");
                self.to.extend_from_slice(name.as_bytes());
                // A second `event` in one object would be read as the event.
                let reserved = matches!(name, "ts" | "level" | "event");
                self.to.extend_from_slice(if reserved { b"_\":" } else { b"\":" });
            }
            LogFormat::Text => {
                self.to.push(b' ');
                self.to.extend_from_slice(name.as_bytes());
                self.to.push(b'=');
            }
        }
    }
}

/// A text that only a client knows, fit for a terminal.
struct Shown<'a>(&'a str);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(if is_word(self.0) { self.0 } else { "?" })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'='))
}

/// RFC 3339 in UTC with microseconds, always 27 bytes.
fn timestamp(to: &mut Vec<u8>, now: SystemTime) {
    let now = OffsetDateTime::from(now);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |start: usize, width: usize, mut number: u32| {
        for place in text.iter_mut().skip(start).take(width).rev() {
            *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    };
    put(0, 4, now.year().unsigned_abs());
    put(5, 2, u8::from(now.month()).into());
    put(8, 2, now.day().into());
    put(11, 2, now.hour().into());
    put(14, 2, now.minute().into());
    put(17, 2, now.second().into());
    put(20, 6, now.microsecond());
    to.extend_from_slice(&text);
}

fn decimal(to: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[first..]);
}

/// A JSON string. Besides what JSON demands, every control character and line separator of Unicode is escaped, so that no
/// value can break a line or colour a terminal.
fn quote(to: &mut Vec<u8>, text: &str) {
    to.push(b'"');
    let mut rest = text;
    while let Some((at, special)) = rest.char_indices().find(|(_, c)| needs_escape(*c)) {
        to.extend_from_slice(&rest.as_bytes()[..at]);
        match special {
            '"' | '\\' => to.extend_from_slice(&[b'\\', special as u8]),
            '\n' => to.extend_from_slice(b"\\n"),
            '\r' => to.extend_from_slice(b"\\r"),
            '\t' => to.extend_from_slice(b"\\t"),
            // All that need an escape lie in the basic plane, so four digits are enough.
            other => {
                let _ = write!(to, "\\u{:04x}", u32::from(other));
            }
        }
        rest = &rest[at + special.len_utf8()..];
    }
    to.extend_from_slice(rest.as_bytes());
    to.push(b'"');
}

fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}') || is_direction(c) || c.is_control()
}

// These reorder what a terminal shows, so that a line could seem to say something else.
pub fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
