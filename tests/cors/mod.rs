//! Pages of other origins, by `CORS_ALLOW_ORIGINS`.

use crate::support::{Answer, TestApp};

const PAGE: &str = "https://app.example";
const HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

async fn get(app: &TestApp, origin: &str) -> Answer {
    app.client.call("GET", "/users/me", &[("origin", origin)], "").await
}

async fn preflight(app: &TestApp, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    app.client.call("OPTIONS", path, &headers, "").await
}

#[track_caller]
fn assert_silent(answer: &Answer) {
    for name in HEADERS {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn by_default_no_page_of_another_origin_may_call() {
    let app = TestApp::start().await;
    assert_silent(&get(&app, PAGE).await);
    let answer = preflight(&app, "/auth/login", PAGE).await;
    answer.assert_problem(405, "Method Not Allowed");
    assert_silent(&answer);
}

#[tokio::test]
async fn a_page_of_the_same_origin_may_post_though_browsers_send_an_origin_with_it() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let own = format!("http://{}", app.address);
    let headers = [("content-type", "application/json"), ("origin", own.as_str())];
    let body = r#"{"email":"a@b.com","password":"secret123"}"#;
    let answer = app.client.call("POST", "/auth/login", &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_listed_origin_may_call_with_credentials_and_read_what_it_needs() {
    let app = TestApp::start_with(|e| e.with("CORS_ALLOW_ORIGINS", "https://app.example, http://localhost:3000")).await;
    for origin in [PAGE, "http://localhost:3000"] {
        let answer = get(&app, origin).await;
        answer.assert_problem(401, "Not authenticated");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert_eq!(exposed, "retry-after, www-authenticate, x-request-id");
        assert!(answer.header("vary").unwrap().contains("origin"), "no cache may hand it to another page");
    }
    assert!(app.client.get("/health").await.header("vary").unwrap().contains("origin"));
}

#[tokio::test]
async fn the_preflight_of_a_listed_origin_says_what_may_be_sent() {
    let app = TestApp::start_with(|e| e.with("CORS_ALLOW_ORIGINS", PAGE)).await;
    for path in ["/auth/login", "/auth/register", "/users/me"] {
        let answer = preflight(&app, path, PAGE).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization, content-type, x-request-id"));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_gets_nothing() {
    let app = TestApp::start_with(|e| e.with("CORS_ALLOW_ORIGINS", PAGE)).await;
    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://xapp.example",
        "null",
        "HTTPS://APP.EXAMPLE",
        "",
    ] {
        assert_silent(&get(&app, origin).await);
        let answer = preflight(&app, "/auth/login", origin).await;
        answer.assert_problem(405, "Method Not Allowed");
        assert_silent(&answer);
    }
}

#[tokio::test]
async fn any_origin_may_call_but_never_with_credentials() {
    let app = TestApp::start_with(|e| e.with("CORS_ALLOW_ORIGINS", "*")).await;
    for answer in [get(&app, "https://anything.example").await, preflight(&app, "/auth/login", PAGE).await] {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    assert_silent(&app.client.get("/health").await);
}
