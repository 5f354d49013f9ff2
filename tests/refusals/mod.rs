//! What holds for every path: unknown ones, wrong methods, request ids, faults of our own.

use serde_json::json;

use crate::support::TestApp;

const ROUTES: [(&str, &str); 9] = [
    ("/auth/register", "POST"),
    ("/auth/login", "POST"),
    ("/users/me", "GET"),
    ("/health", "GET"),
    ("/livez", "GET"),
    ("/readyz", "GET"),
    ("/.well-known/jwks.json", "GET"),
    ("/docs", "GET, HEAD"),
    ("/openapi.json", "GET, HEAD"),
];

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/nowhere",
        "/users",
        "/users/1",
        "/users/me/",
        "/Users/Me",
        "//users/me",
        "/users/me%2f",
        "/docs/x",
        "/docs/../users/me",
        "/auth",
        "/metrics",
        "/.env",
        "/redoc",
        "/%00",
        "/users/me;x",
        "/docs/swagger-ui.css.gz",
    ] {
        app.client.get(path).await.assert_problem(404, "Not Found");
        app.client.post_raw(path, "{}").await.assert_problem(404, "Not Found");
    }
}

#[tokio::test]
async fn a_query_changes_no_route() {
    let app = TestApp::start().await;
    assert_eq!(app.client.get("/health?x=1&x=%ff").await.status, 200);
    app.client.get("/users/me?token=abc").await.assert_problem(401, "Not authenticated");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start().await;
    for (path, allowed) in ROUTES {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if allowed.split(", ").any(|a| a == method) {
                continue;
            }
            let answer = app.client.call(method, path, &[], "").await;
            answer.assert_problem(405, "Method Not Allowed");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_that_is_new_or_the_clients_own() {
    let app = TestApp::start().await;
    let (one, two) = (app.client.get("/health").await, app.client.get("/health").await);
    assert_ne!(one.header("x-request-id").unwrap(), two.header("x-request-id").unwrap());
    let own = "0af7651916cd43dd8448eb211c80319c";
    for path in ["/health", "/nowhere", "/users/me", "/docs"] {
        let answer = app.client.call("GET", path, &[("x-request-id", own)], "").await;
        assert_eq!(answer.header("x-request-id"), Some(own), "{path}");
    }
    for harmful in ["a b", "a\"b", "<script>", &"x".repeat(65), ""] {
        let answer = app.client.call("GET", "/nowhere", &[("x-request-id", harmful)], "").await;
        answer.assert_problem(404, "Not Found");
        assert_ne!(answer.header("x-request-id"), Some(harmful));
    }
}

#[tokio::test]
async fn no_answer_may_be_taken_for_another_media_type() {
    let app = TestApp::start().await;
    for path in ["/health", "/nowhere", "/users/me", "/docs", "/openapi.json"] {
        assert_eq!(app.client.get(path).await.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn a_fault_of_our_own_says_nothing_about_itself_and_the_log_says_it_under_the_request_id() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.database.execute("ALTER TABLE users RENAME COLUMN email TO e_mail").await;
    for answer in [
        app.client.me(&token).await,
        app.client.login("a@b.com", "secret123").await,
        app.client.register("c@d.com", "secret123").await,
    ] {
        answer.assert_problem(500, "Internal Server Error");
        let id = answer.header("x-request-id").unwrap();
        let lines = app.logged("http.request");
        let line = lines.iter().find(|line| line["request_id"] == id).expect("a line for the request");
        assert_eq!((&line["status"], &line["level"]), (&500.into(), &"error".into()));
        assert!(line["cause"].as_str().unwrap().contains("email"), "{line}");
    }
    app.database.execute("ALTER TABLE users RENAME COLUMN e_mail TO email").await;
    assert_eq!(app.client.me(&token).await.status, 200, "and the service goes on");
}

#[tokio::test]
async fn a_body_nobody_asked_for_is_ignored_or_refused_but_breaks_nothing() {
    let app = TestApp::start().await;
    for path in ["/health", "/livez", "/readyz", "/.well-known/jwks.json"] {
        assert_eq!(app.client.call("GET", path, &[], "x".repeat(1000)).await.status, 200, "{path}");
    }
    let answer = app.client.call("GET", "/livez", &[], "x".repeat(100_000)).await;
    answer.assert_problem(413, "The body is larger than 65536 bytes");
}

#[tokio::test]
async fn a_body_may_be_as_large_as_max_body_bytes_says() {
    for limit in [1024, 200_000] {
        let app = TestApp::start_with(|e| e.with("MAX_BODY_BYTES", &limit.to_string())).await;
        app.client.register("a@b.com", "secret123").await;
        let frame = json!({ "email": "a@b.com", "password": "secret123", "more": "" }).to_string().len();
        let body = |bytes: usize| {
            let body = json!({ "email": "a@b.com", "password": "secret123", "more": "x".repeat(bytes - frame) });
            assert_eq!(body.to_string().len(), bytes);
            body
        };
        assert_eq!(app.client.post_json("/auth/login", &body(limit)).await.status, 200);
        let refused = app.client.post_json("/auth/login", &body(limit + 1)).await;
        refused.assert_problem(413, &format!("The body is larger than {limit} bytes"));
    }
}
