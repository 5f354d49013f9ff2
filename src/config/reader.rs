//! Takes single settings out of an environment and remembers what is wrong with them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Limit,
    fault::{Fault, Faults, Refusal, quoted},
    table::{NEAR_MISSES, Setting, Values},
};

pub(super) struct Reader<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    faults: Vec<Fault>,
    pub warnings: Vec<String>,
}

/// The fault is already noted; nothing is left to say.
pub(super) struct Reported;

/// A secret and the variable it came from, which faults must name.
pub(super) struct Given {
    pub value: Vec<u8>,
    pub source: String,
}

impl<'a> Reader<'a> {
    pub fn new(
        look_up: &'a dyn Fn(&str) -> Option<String>,
        read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Self {
        Self { look_up, read_file, faults: Vec::new(), warnings: Vec::new() }
    }

    /// What was built, unless anything at all is wrong.
    pub fn finish<T>(self, built: Option<T>) -> Result<T, Faults> {
        match built {
            Some(built) if self.faults.is_empty() => Ok(built),
            _ => Err(Faults(self.faults)),
        }
    }

    pub fn warn_of_near_misses(&mut self) {
        for (name, meant) in NEAR_MISSES {
            if (self.look_up)(name).is_some_and(|v| !v.is_empty()) {
                self.warnings.push(format!("{name} is not a setting and is ignored; {meant} may be meant"));
            }
        }
    }

    pub fn fault(&mut self, name: &str, refusal: Refusal) -> Reported {
        let fault = Fault { name: name.to_owned(), wrong: refusal.wrong, mend: refusal.mend };
        // Two URLs may share one bad part.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
        Reported
    }

    /// A variable as it was set; an empty one counts as unset.
    pub fn raw(&mut self, name: &str) -> Option<String> {
        let value = (self.look_up)(name).filter(|v| !v.is_empty())?;
        // The environment is bytes; what is no UTF-8 arrives with this character in its place.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.fault(name, Refusal::new("is not UTF-8", "write it in UTF-8, or percent-encode it in a URL"));
            return None;
        }
        Some(value)
    }

    pub fn is_set(&self, name: &str) -> bool {
        (self.look_up)(name).is_some_and(|v| !v.is_empty())
    }

    /// The value or else the default; nothing when neither is good.
    pub fn parsed<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Result<T, Refusal>) -> Option<T> {
        if let Some(value) = self.raw(setting.name) {
            match parse(value.trim()) {
                Ok(parsed) => return Some(parsed),
                Err(refusal) => {
                    self.fault(setting.name, refusal);
                }
            }
        }
        if setting.default.is_empty() { None } else { parse(setting.default).ok() }
    }

    pub fn text(&mut self, setting: &Setting) -> String {
        self.raw(setting.name).unwrap_or_else(|| setting.default.to_owned())
    }

    pub fn flag(&mut self, setting: &Setting) -> bool {
        self.parsed(setting, flag).unwrap_or_default()
    }

    pub fn whole(&mut self, setting: &Setting) -> u64 {
        self.optional_whole(setting).unwrap_or_else(|| setting.bounds().0)
    }

    pub fn optional_whole(&mut self, setting: &Setting) -> Option<u64> {
        let (min, max) = setting.bounds();
        let unit = if matches!(setting.values, Values::Seconds { .. }) { "whole number of seconds" } else { "number" };
        self.parsed(setting, |value| {
            let digits_only = value.bytes().all(|b| b.is_ascii_digit());
            value.parse().ok().filter(|n| digits_only && (min..=max).contains(n)).ok_or_else(|| {
                Refusal::new(
                    format!("{} is not a {unit} from {min} to {max}", quoted(value)),
                    format!("write one, such as {}", if setting.default.is_empty() { "2" } else { setting.default }),
                )
            })
        })
    }

    pub fn count(&mut self, setting: &Setting) -> NonZeroUsize {
        nonzero(self.whole(setting))
    }

    pub fn optional_count(&mut self, setting: &Setting) -> Option<NonZeroUsize> {
        self.optional_whole(setting).map(nonzero)
    }

    pub fn seconds(&mut self, setting: &Setting) -> Duration {
        Duration::from_secs(self.whole(setting))
    }

    /// One of the words of the setting, by its place among them; letters count in either case.
    pub fn word(&mut self, setting: &Setting) -> Option<&'static str> {
        let Values::OneOf(words) = setting.values else { return None };
        self.parsed(setting, |value| {
            words.iter().copied().find(|w| w.eq_ignore_ascii_case(value)).ok_or_else(|| {
                Refusal::new(
                    format!("{} is none of {}", quoted(value), words.join(", ")),
                    format!("write one of them, such as {}", setting.default),
                )
            })
        })
    }

    pub fn address(&mut self, setting: &Setting) -> Option<SocketAddr> {
        self.parsed(setting, address)
    }

    pub fn limit(&mut self, setting: &Setting) -> Limit {
        self.parsed(setting, limit).unwrap_or(Limit::Off)
    }

    /// Every good part of a comma-separated list.
    pub fn list<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Result<T, Refusal>) -> Vec<T> {
        let value = self.raw(setting.name).unwrap_or_default();
        let mut parts = Vec::new();
        for part in value.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match parse(part) {
                Ok(parsed) => parts.push(parsed),
                Err(refusal) => {
                    self.fault(setting.name, refusal);
                }
            }
        }
        parts
    }

    /// The path and content of a file that is no secret.
    pub fn file(&mut self, setting: &Setting) -> Result<Option<(PathBuf, Vec<u8>)>, Reported> {
        let Some(path) = self.raw(setting.name) else { return Ok(None) };
        let path = PathBuf::from(path);
        let content = self.read(setting.name, &path)?;
        Ok(Some((path, content)))
    }

    /// A secret from `NAME` or `NAME_FILE`; both is a fault.
    pub fn secret(&mut self, setting: &Setting) -> Result<Option<Given>, Reported> {
        let file_name = setting.file_name();
        if self.is_set(setting.name) && self.is_set(&file_name) {
            let refusal = Refusal::new(
                format!("is set, and {file_name} as well"),
                "unset one of them, so that it is clear which one counts",
            );
            return Err(self.fault(setting.name, refusal));
        }
        self.secret_file_first(setting)
    }

    /// A secret from `NAME_FILE`, else from `NAME`. A bad file is a fault, never a reason to use the other.
    pub fn secret_file_first(&mut self, setting: &Setting) -> Result<Option<Given>, Reported> {
        let file_name = setting.file_name();
        if !self.is_set(&file_name) {
            let faults = self.faults.len();
            return match self.raw(setting.name) {
                Some(value) => Ok(Some(Given { value: value.into_bytes(), source: setting.name.to_owned() })),
                None if self.faults.len() > faults => Err(Reported),
                None => Ok(None),
            };
        }
        let Some(path) = self.raw(&file_name) else { return Err(Reported) };
        let content = self.read(&file_name, Path::new(&path))?;
        let value = strip(&content, setting.values).to_vec();
        if value.is_empty() {
            let refusal = Refusal::new("the file it names is empty", "write the secret into it");
            return Err(self.fault(&file_name, refusal));
        }
        Ok(Some(Given { value, source: file_name }))
    }

    /// The content of a file. Its path is not shown: people do write the secret itself there.
    pub fn read(&mut self, name: &str, path: &Path) -> Result<Vec<u8>, Reported> {
        (self.read_file)(path).map_err(|error| {
            let refusal = Refusal::new(
                format!("the file it names cannot be read: {error}"),
                "name a file that exists and that the user of the service may read",
            );
            self.fault(name, refusal)
        })
    }
}

fn strip(content: &[u8], values: Values) -> &[u8] {
    if values == Values::Password {
        let end = content.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |last| last + 1);
        return &content[..end];
    }
    // What Python's strip() takes off, because the reference service's tokens are signed with the rest.
    let blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    match std::str::from_utf8(content) {
        Ok(text) => text.trim_matches(blank).as_bytes(),
        Err(_) => content.trim_ascii(),
    }
}

fn nonzero(number: u64) -> NonZeroUsize {
    usize::try_from(number).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
}

fn flag(value: &str) -> Result<bool, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(Refusal::new(format!("{} is neither true nor false", quoted(value)), "write true or false")),
    }
}

fn address(value: &str) -> Result<SocketAddr, Refusal> {
    let every_ipv4 = value.strip_prefix(':').and_then(|port| port.parse().ok()).map(|port: u16| {
        // Not [::]: a machine without IPv6 must be able to listen.
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
    });
    every_ipv4.or_else(|| value.parse().ok()).ok_or_else(|| {
        Refusal::new(
            format!("{} is not an IP address with a port", quoted(value)),
            "write one such as 0.0.0.0:8000, [::]:8000 or :8000",
        )
    })
}

fn limit(value: &str) -> Result<Limit, Refusal> {
    const BURST_MAX: u32 = 1_000_000;
    const SECONDS_MAX: u64 = 86_400;
    if value.eq_ignore_ascii_case("off") {
        return Ok(Limit::Off);
    }
    let parts = value.split_once('/').and_then(|(burst, seconds)| Some((burst.parse().ok()?, seconds.parse().ok()?)));
    match parts {
        Some((burst @ 1..=BURST_MAX, seconds @ 1..=SECONDS_MAX)) => {
            Ok(Limit::Rate { burst, interval: Duration::from_secs(seconds) })
        }
        _ => Err(Refusal::new(
            format!("{} is no limit", quoted(value)),
            format!("write BURST/SECONDS (1 to {BURST_MAX}, 1 to {SECONDS_MAX}) such as 10/60, or off"),
        )),
    }
}
