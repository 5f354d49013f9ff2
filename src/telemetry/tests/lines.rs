use std::{net::IpAddr, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn access() -> Access<'static> {
    Access {
        request_id: "5f0c",
        method: "GET",
        route: "/users/me",
        status: 200,
        duration: Duration::from_nanos(123_999),
        client: Some("192.0.2.7".parse().unwrap()),
        cause: None,
    }
}

fn one_of_each(log: &Log) {
    log.access(&access());
    log.access(&Access { status: 503, client: None, cause: Some("db: \"gone\""), ..access() });
    let subject = Subject {
        request_id: Some("5f0c"),
        account: Some(AccountTag::from([0xab; 16])),
        client: Some("2001:db8::1".parse().unwrap()),
        reason: Some("expired"),
    };
    log.security(Event::LoginFailed, &subject);
    log.service(Event::Listening, &[("address", "0.0.0.0:8000".into()), ("tls", true.into()), ("workers", 2.into())]);
    log.service(Event::Ready, &[]);
}

#[test]
fn a_json_line_of_each_kind_is_as_documented() {
    let expected = r#"{"ts":"2026-03-01T12:00:00.000123Z","level":"info","event":"http.request","request_id":"5f0c","method":"GET","route":"/users/me","status":200,"duration_us":123,"client":"192.0.2.7"}
{"ts":"2026-03-01T12:00:00.000123Z","level":"error","event":"http.request","request_id":"5f0c","method":"GET","route":"/users/me","status":503,"duration_us":123,"cause":"db: \"gone\""}
{"ts":"2026-03-01T12:00:00.000123Z","level":"warn","event":"auth.login.failed","request_id":"5f0c","account":"abababababababababababababababab","client":"2001:db8::1","reason":"expired"}
{"ts":"2026-03-01T12:00:00.000123Z","level":"info","event":"service.listening","address":"0.0.0.0:8000","tls":true,"workers":2}
{"ts":"2026-03-01T12:00:00.000123Z","level":"info","event":"service.ready"}
"#;
    assert_eq!(written(LogFormat::Json, one_of_each), expected);
}

#[test]
fn a_text_line_of_each_kind_is_aligned() {
    let expected = r#"2026-03-01T12:00:00.000123Z info  http.request            200 GET     /users/me 123us request_id=5f0c client=192.0.2.7
2026-03-01T12:00:00.000123Z error http.request            503 GET     /users/me 123us request_id=5f0c cause="db: \"gone\""
2026-03-01T12:00:00.000123Z warn  auth.login.failed       request_id=5f0c account=abababababababababababababababab client=2001:db8::1 reason=expired
2026-03-01T12:00:00.000123Z info  service.listening       address=0.0.0.0:8000 tls=true workers=2
2026-03-01T12:00:00.000123Z info  service.ready          
"#;
    assert_eq!(written(LogFormat::Text, one_of_each), expected);
}

#[test]
fn the_time_is_written_as_the_calendar_has_it() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, "2000-02-28T23:59:59.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
    ] {
        let tape = Tape::default();
        let log = Log::to(tape.clone(), LogFormat::Json, move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        log.service(Event::Ready, &[]);
        drop(log);
        assert!(tape.text().contains(expected), "{}", tape.text());
    }
}

#[test]
fn a_free_field_cannot_pose_as_the_event() {
    let line =
        written(LogFormat::Json, |log| log.service(Event::Ready, &[("event", "other".into()), ("ts", 1.into())]));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["event"], &line["event_"], &line["ts_"]), (&json!("service.ready"), &json!("other"), &json!(1)));
}

/// Texts with more trouble than chance brings.
fn trouble() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        ".{0,8}",
        "[\u{0}-\u{1f}\u{7f}-\u{9f}]{0,3}",
        "[\"\\\\{}]{0,3}",
        "[\u{2028}\u{2029}\u{202e}\u{2066}]{0,2}",
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_logged_is_one_line_that_parses_back(
        id in trouble(), method in trouble(), cause in trouble(), status in any::<u16>(), micros in any::<u32>(),
        client in any::<Option<IpAddr>>(), number in any::<u64>(), flag in any::<bool>(),
    ) {
        let write = |log: &Log| {
            log.access(&Access {
                request_id: &id, method: &method, route: "/r", status,
                duration: Duration::from_micros(micros.into()), client, cause: Some(&cause),
            });
            log.security(Event::TokenRefused, &Subject { reason: Some(&cause), client, ..Subject::default() });
            log.service(Event::Failed, &[("why", (&cause).into()), ("n", number.into()), ("f", flag.into())]);
        };
        let ts = "2026-03-01T12:00:00.000123Z";
        let mut expected = [
            json!({"ts": ts, "level": if status >= 500 { "error" } else { "info" }, "event": "http.request",
                "request_id": id, "method": method, "route": "/r", "status": status, "duration_us": micros, "cause": cause}),
            json!({"ts": ts, "level": "warn", "event": "auth.token.refused", "reason": cause}),
            json!({"ts": ts, "level": "error", "event": "service.failed", "why": cause, "n": number, "f": flag}),
        ];
        if let Some(client) = client {
            expected[0]["client"] = json!(client);
            expected[1]["client"] = json!(client);
        }
        let text = written(LogFormat::Json, write);
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        prop_assert_eq!(lines.as_slice(), expected.as_slice());

        let mut all = text.clone();
        all.push_str(&written(LogFormat::Text, write));
        prop_assert_eq!(all.matches('\n').count(), 6);
        let harmful = |c: char| (c.is_control() && c != '\n') || "\u{2028}\u{2029}\u{202e}\u{2066}".contains(c);
        prop_assert!(!all.contains(harmful), "{:?}", all);
    }
}
