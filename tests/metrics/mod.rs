//! `/metrics`, on the administration address only.

use crate::support::{Answer, Client, TestApp, wait::eventually};

async fn with_administration() -> (TestApp, Client) {
    let app =
        TestApp::start_with(|e| e.with("ADMIN_ADDR", "127.0.0.1:0").with("LOGIN_LIMIT_ACCOUNT_NETWORK", "2/60")).await;
    let client = Client::of_another_service(app.admin.unwrap());
    (app, client)
}

// The value of one sample.
#[track_caller]
fn sample(answer: &Answer, name: &str) -> f64 {
    let text = answer.text();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("{name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn metrics_are_served_on_the_administration_address_only() {
    let (app, admin) = with_administration().await;
    let answer = admin.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().contains("openmetrics-text"));
    assert!(answer.text().ends_with("# EOF\n"));
    app.client.get("/metrics").await.assert_problem(404, "Not Found");
    assert!(TestApp::start().await.admin.is_none(), "and nowhere unless asked for");
}

#[tokio::test]
async fn nothing_of_the_api_is_served_on_the_administration_address() {
    let (_app, admin) = with_administration().await;
    for path in ["/", "/health", "/users/me", "/docs", "/openapi.json", "/auth/login"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }
    let answer = admin.call("POST", "/metrics", &[], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
}

#[tokio::test]
async fn requests_are_counted_by_template_and_no_client_can_make_up_a_label() {
    let (app, admin) = with_administration().await;
    for path in ["/users/me", "/users/me?x=1", "/made-up-1", "/made-up-2", "/made-up-3"] {
        app.client.get(path).await;
    }
    app.client.call("BREW", "/made-up-4", &[], "").await;
    let metrics = admin.get("/metrics").await;
    let count = |method: &str, route: &str, status: u16| {
        let labels = [format!("method=\"{method}\""), format!("route=\"{route}\""), format!("status=\"{status}\"")];
        let text = metrics.text();
        let line = text.lines().find(|line| {
            line.starts_with("mini_api_http_requests_total") && labels.iter().all(|label| line.contains(label))
        });
        line.unwrap_or_else(|| panic!("{labels:?} in {text}")).rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(count("GET", "/users/me", 401), "2");
    assert_eq!(count("GET", "(unknown)", 404), "3");
    assert_eq!(count("other", "(unknown)", 404), "1");
    assert!(!metrics.text().contains("made-up") && !metrics.text().contains("BREW"));
}

#[tokio::test]
async fn logins_and_registrations_are_counted_by_outcome() {
    let (app, admin) = with_administration().await;
    let before = admin.get("/metrics").await;
    for outcome in ["succeeded", "failed", "throttled"] {
        assert!(sample(&before, &format!("mini_api_logins_total{{outcome=\"{outcome}\"}}")).abs() < f64::EPSILON);
    }
    app.client.register("a@b.com", "secret123").await;
    app.client.register("a@b.com", "secret123").await;
    app.client.login("a@b.com", "secret123").await;
    for _ in 0..4 {
        app.client.login("a@b.com", "wrong").await;
    }
    let after = admin.get("/metrics").await;
    for (name, wanted) in [
        ("mini_api_logins_total{outcome=\"succeeded\"}", 1.0),
        ("mini_api_logins_total{outcome=\"failed\"}", 2.0),
        ("mini_api_logins_total{outcome=\"throttled\"}", 2.0),
        ("mini_api_registrations_total{outcome=\"created\"}", 1.0),
        ("mini_api_registrations_total{outcome=\"taken\"}", 1.0),
    ] {
        assert!((sample(&after, name) - wanted).abs() < f64::EPSILON, "{name}: {}", sample(&after, name));
    }
}

#[tokio::test]
async fn connections_hashes_refusals_and_the_database_are_counted() {
    let (app, admin) = with_administration().await;
    app.client.register("a@b.com", "secret123").await;
    for _ in 0..4 {
        app.client.login("a@b.com", "wrong").await;
    }
    // A hasher is free again a moment after its answer has left.
    let idle = async || sample(&admin.get("/metrics").await, "mini_api_hash_slots_busy") < 1.0;
    eventually("no hasher is busy", idle).await;
    let metrics = admin.get("/metrics").await;
    for (name, least) in [
        ("mini_api_connections", 1.0),
        ("mini_api_connections_accepted_total", 1.0),
        ("mini_api_hash_slots", 1.0),
        // One registration and two logins, the third of which had no place.
        ("mini_api_hash_wait_seconds_count", 3.0),
        ("mini_api_throttle_refusals_total{bucket=\"account_network\"}", 2.0),
        ("process_resident_memory_bytes", 1_000_000.0),
    ] {
        assert!(sample(&metrics, name) >= least, "{name}: {}", sample(&metrics, name));
    }
    for name in
        ["mini_api_hash_queue", "mini_api_accept_errors_total", "mini_api_connections_closed_total{reason=\"evicted\"}"]
    {
        assert!(sample(&metrics, name).abs() < f64::EPSILON, "{name}: {}", sample(&metrics, name));
    }
}

#[tokio::test]
async fn a_database_that_went_away_is_counted() {
    let (app, wire) = TestApp::start_on_wire(|e| e.with("ADMIN_ADDR", "127.0.0.1:0")).await;
    let admin = Client::of_another_service(app.admin.unwrap());
    wire.cut();
    app.client.get("/health").await.assert_refusal(503);
    let metrics = admin.get("/metrics").await;
    assert!(sample(&metrics, "mini_api_database_errors_total{kind=\"unavailable\"}") >= 1.0);
}
