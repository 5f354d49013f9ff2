use super::{super::metrics::*, *};

fn metrics() -> Metrics {
    let started = SystemTime::UNIX_EPOCH + Duration::new(1_772_366_400, 0);
    Metrics::new("1.2.3", started, &log(LogFormat::Json).0)
}

#[track_caller]
fn has(metrics: &Metrics, line: &str) {
    let text = metrics.encode();
    assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
}

#[test]
fn requests_are_counted_by_route_method_and_status() {
    let metrics = metrics();
    let route = metrics.route("/users/me");
    for status in [200, 401, 200] {
        route.observe("GET", status, Duration::from_micros(300));
    }
    route.observe("HEAD", 200, Duration::from_secs(20));
    has(&metrics, r#"mini_api_http_requests_total{method="GET",route="/users/me",status="200"} 2"#);
    has(&metrics, r#"mini_api_http_requests_total{method="GET",route="/users/me",status="401"} 1"#);
    has(&metrics, r#"mini_api_http_requests_total{method="HEAD",route="/users/me",status="200"} 1"#);
    has(&metrics, r#"mini_api_http_request_duration_seconds_bucket{le="0.00025",route="/users/me"} 0"#);
    has(&metrics, r#"mini_api_http_request_duration_seconds_bucket{le="0.0005",route="/users/me"} 3"#);
    has(&metrics, r#"mini_api_http_request_duration_seconds_bucket{le="10.0",route="/users/me"} 3"#);
    has(&metrics, r#"mini_api_http_request_duration_seconds_bucket{le="+Inf",route="/users/me"} 4"#);
}

#[test]
fn two_handles_on_one_route_count_together() {
    let metrics = metrics();
    for _ in 0..2 {
        metrics.route("/livez").observe("GET", 200, Duration::ZERO);
    }
    has(&metrics, r#"mini_api_http_requests_total{method="GET",route="/livez",status="200"} 2"#);
    has(&metrics, r#"mini_api_http_request_duration_seconds_count{route="/livez"} 2"#);
}

#[test]
fn methods_that_clients_invent_make_one_series() {
    let metrics = metrics();
    let route = metrics.route("unmatched");
    route.observe("FIRST", 404, Duration::ZERO);
    let before = metrics.encode().lines().count();
    for n in 1..1000 {
        route.observe(&format!("M{n}"), 404, Duration::ZERO);
    }
    has(&metrics, r#"mini_api_http_requests_total{method="other",route="unmatched",status="404"} 1000"#);
    assert_eq!(metrics.encode().lines().count(), before);
}

#[test]
fn outcomes_stand_at_zero_before_they_happen_and_then_count() {
    let metrics = metrics();
    has(&metrics, r#"mini_api_logins_total{outcome="throttled"} 0"#);
    metrics.login(Login::Throttled);
    metrics.registration(Registration::Taken);
    metrics.throttle_refusal(Bucket::AccountNetwork);
    metrics.database_error(DatabaseError::Unavailable);
    has(&metrics, r#"mini_api_logins_total{outcome="throttled"} 1"#);
    has(&metrics, r#"mini_api_registrations_total{outcome="taken"} 1"#);
    has(&metrics, r#"mini_api_throttle_refusals_total{bucket="account_network"} 1"#);
    has(&metrics, r#"mini_api_database_errors_total{kind="unavailable"} 1"#);
}

#[test]
fn gauges_and_waits_are_shown() {
    let metrics = metrics();
    metrics.listener(&Connections {
        open: 1,
        accepted: 5,
        accept_errors: 2,
        evicted: 3,
        overdue: 4,
        refused_handshakes: 6,
    });
    metrics.hash_slots.set(2);
    metrics.hash_slots_busy.inc();
    metrics.hash_queue.inc();
    metrics.hash_waited(Duration::from_millis(40));
    has(&metrics, "mini_api_connections 1");
    has(&metrics, "mini_api_connections_accepted_total 5");
    has(&metrics, "mini_api_accept_errors_total 2");
    has(&metrics, r#"mini_api_connections_closed_total{reason="evicted"} 3"#);
    has(&metrics, r#"mini_api_connections_closed_total{reason="overdue"} 4"#);
    has(&metrics, r#"mini_api_connections_closed_total{reason="handshake"} 6"#);
    has(&metrics, "mini_api_hash_slots 2");
    has(&metrics, "mini_api_hash_slots_busy 1");
    has(&metrics, "mini_api_hash_queue 1");
    has(&metrics, r#"mini_api_hash_wait_seconds_bucket{le="0.05"} 1"#);
}

#[test]
fn the_build_the_start_and_the_memory_are_shown() {
    let metrics = metrics();
    has(&metrics, r#"mini_api_build_info{version="1.2.3"} 1"#);
    has(&metrics, "process_start_time_seconds 1772366400.0");
    let text = metrics.encode();
    let memory = text.lines().find_map(|l| l.strip_prefix("process_resident_memory_bytes ")).unwrap();
    assert!(memory.parse::<u64>().unwrap() > 1 << 20, "{memory}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn lines_that_the_log_drops_are_counted() {
    let (log, tape) = log(LogFormat::Json);
    let metrics = Metrics::new("1.2.3", SystemTime::UNIX_EPOCH, &log);
    tape.with(|s| s.breaks_after = Some(0));
    log.service(Event::Ready, &[]);
    assert!(log.flush(PATIENCE));
    has(&metrics, "mini_api_log_lines_dropped_total 1");
}
