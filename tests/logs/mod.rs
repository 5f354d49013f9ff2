//! What the service logs of its requests, and what it never logs.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{TestApp, run};

#[tokio::test]
async fn every_request_is_one_line_with_its_template_and_nothing_a_client_chose() {
    let app = TestApp::start().await;
    let requests = [
        ("GET", "/health", "/health", 200),
        ("GET", "/users/me?token=hunter2", "/users/me", 401),
        ("POST", "/hunter2/%0a{}", "(unknown)", 404),
        ("DELETE", "/auth/login", "/auth/login", 405),
        ("GET", "/docs/init.js", "/docs", 200),
    ];
    for (method, path, ..) in requests {
        app.client.call(method, path, &[("x-request-id", "own-id")], "").await;
    }
    let lines = app.logged("http.request");
    assert_eq!(lines.len(), requests.len());
    for ((method, _, route, status), line) in requests.iter().zip(&lines) {
        assert_eq!((&line["method"], &line["route"], &line["status"]), (&json!(method), &json!(route), &json!(status)));
        assert_eq!((&line["request_id"], &line["client"]), (&json!("own-id"), &json!("127.0.0.1")));
        assert!(line["duration_us"].is_u64() && line["ts"].is_string(), "{line}");
    }
    assert!(!app.log().contains("hunter2"));
}

#[tokio::test]
async fn each_refusal_of_a_body_is_one_line_in_the_log() {
    let app = TestApp::start_with(|e| e.with("REQUEST_TIMEOUT", "1").with("MAX_BODY_BYTES", "1024")).await;
    let begin = app.log().lines().count();
    let raw = async |head: &str, body: &str| {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let request =
            format!("POST /auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{head}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A reset after the answer is an end as well.
        let _ = stream.read_to_string(&mut answer).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let long = "hunter2".repeat(1000);
    app.client.post_raw("/auth/login", long.clone()).await.assert_refusal(413);
    assert_eq!(raw("transfer-encoding: chunked", &format!("{:x}\r\n{long}\r\n", long.len())).await, "413");
    assert_eq!(raw("content-length: 20", "{\"email\": \"hunte").await, "408");
    app.client.call("POST", "/auth/register", &[("content-type", "hunter2/plain")], "{}").await.assert_refusal(415);
    for body in ["{\"hunter2", "[]", "{\"email\":\"hunter2\"}", "{\"hunter2\":1,\"hunter2\":2}", "\0"] {
        app.client.post_raw("/auth/register", body).await.assert_refusal(422);
    }
    let statuses: Vec<Value> = app.logged("http.request").iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses, [413, 413, 408, 415, 422, 422, 422, 422, 422]);
    assert_eq!(app.log().lines().count() - begin, statuses.len(), "{}", app.log());
    assert!(!app.log().contains("hunte"), "{}", app.log());
    assert_eq!(app.client.register("a@b.com", "secret123").await.status, 201);
}

#[tokio::test]
async fn security_events_name_accounts_by_pseudonym_and_replicas_by_the_same() {
    let one = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "2/60")).await;
    let two = TestApp::start_on(one.database.clone(), |e| e).await.unwrap();
    one.client.register("Secret.Person@b.com", "secret123").await;
    one.client.login("secret.person@b.com", "secret123").await;
    two.client.login("SECRET.PERSON@b.com", "wrong-hunter2").await;
    one.client.login("secret.person@b.com", "wrong-hunter2").await;
    one.client.login("secret.person@b.com", "wrong-hunter2").await;
    let operator = run(&one.environment(), &["user", "disable", "secret.person@b.com"]).await;
    let by_operator: Value = serde_json::from_str(operator.assert_code(0).err.trim()).unwrap();
    assert_eq!(by_operator["event"], "user.disabled");
    let account = by_operator["account"].as_str().unwrap().to_owned();
    for (app, event) in [
        (&one, "auth.register"),
        (&one, "auth.login.succeeded"),
        (&two, "auth.login.failed"),
        (&one, "auth.login.throttled"),
    ] {
        let lines = app.logged(event);
        assert_eq!(lines.len(), 1, "{event}");
        assert_eq!(lines[0]["account"], account, "{event}");
        assert_eq!(lines[0]["client"], "127.0.0.1", "{event}");
        assert!(lines[0]["request_id"].is_string(), "{event}");
    }
    for app in [&one, &two] {
        let log = app.log().to_lowercase();
        assert!(!log.contains("person") && !log.contains("hunter2") && !log.contains("secret123"), "{log}");
    }
    assert!(!operator.err.to_lowercase().contains("person"), "{}", operator.err);
}

#[tokio::test]
async fn a_refused_token_is_logged_with_its_reason_and_without_itself() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.database.execute("UPDATE users SET token_version = 1").await;
    app.client.me(&token).await.assert_refusal(401);
    app.client.me("no.token.hunter2").await.assert_refusal(401);
    let reasons: Vec<Value> = app.logged("auth.token.refused").iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, [json!("revoked"), json!("malformed")]);
    assert!(!app.log().contains(&token) && !app.log().contains("hunter2"));
}

#[tokio::test]
async fn no_secret_is_in_any_line_of_a_start() {
    let app = TestApp::start().await;
    let log = app.log();
    assert!(log.contains("service.listening") && log.contains("service.ready"), "{log}");
    assert!(!log.contains(crate::support::SECRET));
}

#[tokio::test]
async fn an_outage_is_logged_when_it_begins_and_when_it_ends_and_no_request_that_asks_nothing_ends_it() {
    let (app, wire) = TestApp::start_on_wire(|e| e.with("CORS_ALLOW_ORIGINS", "https://a.example")).await;
    wire.cut();
    app.client.get("/health").await.assert_refusal(503);
    app.client.get("/users/me").await.assert_refusal(401);
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    assert_eq!(app.client.call("OPTIONS", "/auth/login", &preflight, "").await.status, 204);
    app.client.post_json("/auth/login", &serde_json::json!({})).await.assert_refusal(422);
    app.client.get("/health").await.assert_refusal(503);
    assert_eq!(app.logged("db.lost").len(), 1);
    assert_eq!(app.logged("db.back").len(), 0);
    wire.mend();
    crate::support::wait::eventually("the database is back", async || app.client.get("/health").await.status == 200)
        .await;
    assert_eq!(app.logged("db.back").len(), 1);
}

#[tokio::test]
async fn a_request_whose_time_is_over_is_answered_and_logged_once_and_gives_its_places_back() {
    let app = TestApp::start_with(|e| e.with("REQUEST_TIMEOUT", "1").with("DB_STATEMENT_TIMEOUT", "60")).await;
    app.client.register("a@b.com", "secret123").await;
    app.database.execute("DELETE FROM login_attempts").await;
    let holder = app.database.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answer = app.client.login("a@b.com", "secret123").await;
    answer.assert_problem(503, "The answer took too long");
    let of_login: Vec<Value> =
        app.logged("http.request").into_iter().filter(|line| line["route"] == "/auth/login").collect();
    assert_eq!(of_login.len(), 1, "{of_login:?}");
    assert_eq!(of_login[0]["status"], 503);
    assert_eq!(of_login[0]["request_id"], answer.header("x-request-id").unwrap());
    crate::support::wait::eventually("the places are given back", async || {
        let now = "SELECT extract(epoch FROM clock_timestamp())::text";
        let full: f64 =
            app.database.value("SELECT coalesce(max(full_at), 0)::text FROM login_attempts").await.parse().unwrap();
        full <= app.database.value(now).await.parse::<f64>().unwrap()
    })
    .await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    app.log_in("a@b.com", "secret123").await;
}

#[tokio::test]
async fn registrations_that_are_refused_and_hashes_that_cannot_be_read_are_security_events() {
    let app = TestApp::start_with(|e| e.with("REGISTER_LIMIT_NETWORK", "2/60")).await;
    app.client.register("a@b.com", "secret123").await;
    app.client.register("a@b.com", "secret123").await.assert_refusal(409);
    app.client.register("c@d.com", "secret123").await.assert_refusal(429);
    app.database.execute("UPDATE users SET password_hash = 'plain text'").await;
    app.client.login("a@b.com", "secret123").await.assert_problem(401, "Invalid credentials");
    for event in ["auth.register.taken", "auth.register.throttled", "auth.password.unusable"] {
        let lines = app.logged(event);
        assert_eq!(lines.len(), 1, "{event}");
        assert_eq!(lines[0]["account"].as_str().map(str::len), Some(32), "{event}: {}", lines[0]);
    }
}

#[tokio::test]
async fn housework_that_fails_is_logged_and_fails_no_login() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'not today'; END$$; \
             CREATE TRIGGER refuse BEFORE INSERT ON login_networks FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    // The network is remembered after the login; where that fails the login does not.
    app.log_in("a@b.com", "secret123").await;
    let failed = app.logged("service.housework.failed");
    assert_eq!(failed.len(), 1, "{}", app.log());
    assert!(failed[0]["error"].as_str().is_some_and(|error| error.contains("not today")), "{failed:?}");
}
