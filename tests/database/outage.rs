use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{UNREACHABLE, lock_users, until_running};
use crate::support::{
    Environment, TestApp,
    cluster::{Cluster, Stop},
    process::{Process, status},
    wait::eventually,
};

#[tokio::test]
async fn postgresql_killed_in_mid_request_is_one_503_and_its_return_needs_no_restart_of_ours() {
    let mut cluster = Cluster::start().await;
    let database = cluster.database("app").await;
    let service = Process::start(&Environment::new(&database.url).with("DB_STATEMENT_TIMEOUT", "300"));
    let client = service.ready().await;
    let address = service.address().await;
    assert_eq!(client.register("a@b.com", "secret123").await.status, 201);
    let token = client.login("a@b.com", "secret123").await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.get_as("/users/me", &token).await.status, 200);

    let holder = database.connect().await;
    lock_users(&holder).await;
    let login = tokio::spawn({
        let client = client.clone();
        async move { client.login("a@b.com", "secret123").await }
    });
    let me = tokio::spawn({
        let (client, token) = (client.clone(), token.clone());
        async move { client.get_as("/users/me", &token).await }
    });
    let watcher = database.connect().await;
    until_running(&watcher, "users.find_by_email", 1).await;
    until_running(&watcher, "users.sessions", 1).await;
    cluster.stop(Stop::Immediate).await;

    login.await.unwrap().assert_problem(503, UNREACHABLE);
    me.await.unwrap().assert_problem(503, UNREACHABLE);
    // Lines come in order: with this one read, those of both requests are.
    assert_eq!(status(address, "/livez").await, Some(200));
    service.line_with(&["\"/livez\""]).await;
    for route in ["/auth/login", "/users/me"] {
        let told: Vec<_> = service
            .lines()
            .into_iter()
            .filter(|line| line.contains(route) && line.contains("\"status\":503"))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
    }
    assert_eq!(status(address, "/readyz").await, Some(503));
    assert_eq!(status(address, "/health").await, Some(503));
    assert_eq!(status(address, "/livez").await, Some(200));
    client.get_as("/users/me", &token).await.assert_problem(503, UNREACHABLE);

    cluster.run().await;
    eventually("readiness returns", async || status(address, "/readyz").await == Some(200)).await;
    eventually("look-ups return", async || client.get_as("/users/me", &token).await.status == 200).await;
    assert_eq!(client.login("a@b.com", "secret123").await.status, 200);
    assert_eq!(client.register("c@d.com", "secret123").await.status, 201);
    assert_eq!(status(address, "/livez").await, Some(200));
}

// Idle connections that break are replaced before anybody is refused for it.
#[tokio::test]
async fn a_restart_of_postgresql_between_requests_is_seen_by_no_client() {
    let mut cluster = Cluster::start().await;
    let app = TestApp::start_on(cluster.database("app").await, |environment| environment).await.unwrap();
    let token = app.token_of("a@b.com", "secret123").await;
    for _ in 0..2 {
        assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
        cluster.stop(Stop::Fast).await;
        cluster.run().await;
    }
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
    assert_eq!(app.client.get("/readyz").await.status, 200);
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn a_frozen_database_costs_a_request_its_time_outs_and_no_more() {
    let cluster = Cluster::start().await;
    let app = TestApp::start_on(cluster.database("app").await, |environment| {
        environment.with("DB_STATEMENT_TIMEOUT", "1").with("DB_CONNECT_TIMEOUT", "1").with("DB_POOL_TIMEOUT", "1")
    })
    .await
    .unwrap();
    let token = app.token_of("a@b.com", "secret123").await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);

    cluster.freeze();
    for round in 0..2 {
        let began = Instant::now();
        let calls = (0..30).map(|number| {
            let (client, token) = (&app.client, &token);
            async move {
                match number % 5 {
                    0 => client.login("a@b.com", "secret123").await,
                    1 => client.register(&format!("{number}@b.com"), "secret123").await,
                    2 => client.get("/health").await,
                    3 => client.get("/readyz").await,
                    _ => client.get_as("/users/me", token).await,
                }
            }
        });
        for answer in join_all(calls).await {
            answer.assert_problem(503, UNREACHABLE);
        }
        // A place in the pool, a connection, a statement: a second each; the rest is for a busy machine.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "round {round} took {took:?}");
        assert_eq!(app.client.get("/livez").await.status, 200);
    }

    cluster.thaw();
    eventually("readiness returns", async || app.client.get("/readyz").await.status == 200).await;
    eventually("look-ups return", async || app.client.get_as("/users/me", &token).await.status == 200).await;
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}
