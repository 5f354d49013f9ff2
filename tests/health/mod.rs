//! `/health`, `/livez`, `/readyz`.

use serde_json::json;

use crate::support::{Database, TestApp, cheap};

#[tokio::test]
async fn a_service_whose_database_answers_is_healthy_alive_and_ready() {
    let app = TestApp::start().await;
    for path in ["/health", "/readyz"] {
        let answer = app.client.get(path).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })), "{path}");
    }
    assert_eq!(app.client.get("/livez").await.json(), json!({ "status": "ok", "started": true }));
}

#[tokio::test]
async fn health_asks_the_database_and_liveness_does_not() {
    let (app, wire) = TestApp::start_on_wire(|e| e).await;
    wire.listen_anew();
    app.client.get("/livez").await;
    assert!(wire.statements().is_empty());
    app.client.get("/health").await;
    assert_eq!(wire.statements(), ["ping"]);
}

#[tokio::test]
async fn without_its_database_the_service_stays_alive_refuses_politely_and_recovers() {
    let (app, wire) = TestApp::start_on_wire(|e| e.with("DB_POOL_TIMEOUT", "1").with("DB_CONNECT_TIMEOUT", "1")).await;
    let token = app.token_of("a@b.com", "secret123").await;
    wire.cut();
    let gone = "The database cannot be reached";
    app.client.get("/health").await.assert_problem(503, gone);
    app.client.get("/readyz").await.assert_problem(503, gone);
    app.client.me(&token).await.assert_problem(503, gone);
    app.client.login("a@b.com", "secret123").await.assert_problem(503, gone);
    app.client.register("c@d.com", "secret123").await.assert_problem(503, gone);
    assert_eq!(app.client.get("/livez").await.json(), json!({ "status": "ok", "started": true }));
    assert_eq!(app.client.get("/docs").await.status, 200);
    wire.mend();
    assert_eq!(app.client.get("/health").await.status, 200);
    assert_eq!(app.client.me(&token).await.status, 200);
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn before_the_database_was_reached_the_service_is_alive_but_not_ready() {
    let app = TestApp::listen_on(Database::create().await, cheap(), |e| e).await.unwrap();
    assert_eq!(app.client.get("/livez").await.json(), json!({ "status": "ok", "started": false }));
    let starting = "The service is not ready";
    app.client.get("/readyz").await.assert_problem(503, starting);
    app.client.get("/health").await.assert_problem(503, starting);
    app.client.get("/users/me").await.assert_problem(503, starting);
    app.client.login("a@b.com", "secret123").await.assert_problem(503, starting);
    app.client.register("a@b.com", "secret123").await.assert_problem(503, starting);
    for path in ["/docs", "/openapi.json", "/.well-known/jwks.json"] {
        assert_eq!(app.client.get(path).await.status, 200, "{path} needs no database");
    }
    app.client.get("/nowhere").await.assert_problem(404, "Not Found");
    app.become_ready().await.unwrap();
    assert_eq!(app.client.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_draining_service_is_not_ready_but_answers() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.app.drain();
    app.client.get("/readyz").await.assert_problem(503, "The service is not ready");
    assert_eq!(app.client.me(&token).await.status, 200);
    assert_eq!(app.client.get("/livez").await.status, 200);
}
