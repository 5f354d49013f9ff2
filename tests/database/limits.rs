use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{UNREACHABLE, lock_users, running, until_running};
use crate::support::{TestApp, cluster::Cluster, wait::eventually};

// Longer than any time-out of these tests; on a busy machine nothing else is exact.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_statement_that_takes_too_long_is_a_503_and_is_cancelled_on_the_server() {
    let app = TestApp::start_with(|environment| environment.with("DB_STATEMENT_TIMEOUT", "1")).await;
    let token = app.token_of("a@b.com", "secret123").await;
    let (holder, watcher) = (app.database.connect().await, app.database.connect().await);
    lock_users(&holder).await;

    let began = Instant::now();
    app.client.login("a@b.com", "secret123").await.assert_problem(503, UNREACHABLE);
    app.client.get_as("/users/me", &token).await.assert_problem(503, UNREACHABLE);
    assert!(began.elapsed() < SOON);
    // While the lock is still held: nothing but being cancelled ends them.
    until_running(&watcher, "users.find_by_email", 0).await;
    until_running(&watcher, "users.sessions", 0).await;

    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_neither_its_statement_nor_a_busy_connection() {
    let app = TestApp::start_with(|environment| {
        environment.with("DB_POOL_SIZE", "1").with("DB_STATEMENT_TIMEOUT", "60").with("REQUEST_TIMEOUT", "60")
    })
    .await;
    app.client.register("a@b.com", "secret123").await;
    let (holder, watcher) = (app.database.connect().await, app.database.connect().await);
    lock_users(&holder).await;

    let mut impatient = TcpStream::connect(app.address).await.unwrap();
    let body = r#"{"email":"a@b.com","password":"secret123"}"#;
    let request = format!(
        "POST /auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    impatient.write_all(request.as_bytes()).await.unwrap();
    until_running(&watcher, "users.find_by_email", 1).await;
    drop(impatient);

    until_running(&watcher, "users.find_by_email", 0).await;
    assert_eq!(app.client.get("/health").await.status, 200);
    eventually("who hung up stands in the log", async || app.log().contains(r#""status":499"#)).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn a_pool_wholly_in_use_is_a_503_within_its_time_out() {
    let app = TestApp::start_with(|environment| {
        environment.with("DB_POOL_SIZE", "1").with("DB_POOL_TIMEOUT", "1").with("DB_STATEMENT_TIMEOUT", "60")
    })
    .await;
    app.client.register("a@b.com", "secret123").await;
    let (holder, watcher) = (app.database.connect().await, app.database.connect().await);
    lock_users(&holder).await;
    let patient = tokio::spawn({
        let client = app.client.clone();
        async move { client.login("a@b.com", "secret123").await }
    });
    until_running(&watcher, "users.find_by_email", 1).await;

    let began = Instant::now();
    app.client.get("/health").await.assert_problem(503, UNREACHABLE);
    assert!(began.elapsed() < SOON);
    assert_eq!(running(&watcher, "users.find_by_email").await, 1, "the one that holds the connection was disturbed");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(patient.await.unwrap().status, 200);
    assert_eq!(app.client.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_a_503_until_it_has_one() {
    let mut cluster = Cluster::create();
    cluster.set("max_connections", "10");
    cluster.run().await;
    let app = TestApp::start_on(cluster.database("app").await, |environment| environment).await.unwrap();
    let token = app.token_of("a@b.com", "secret123").await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);

    // The superuser may use even those held back, so that in the end there is none at all.
    let mut hogs = vec![cluster.connect("app").await];
    hogs[0]
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mini-api'")
        .await
        .unwrap();
    eventually("every connection is taken", async || {
        let connected = tokio_postgres::connect(&cluster.url("app"), tokio_postgres::NoTls).await;
        match connected {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                hogs.push(client);
                false
            }
            Err(error) => error.code() == Some(&tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS),
        }
    })
    .await;
    app.client.get("/health").await.assert_problem(503, UNREACHABLE);
    app.client.get_as("/users/me", &token).await.assert_problem(503, UNREACHABLE);
    app.client.login("a@b.com", "secret123").await.assert_problem(503, UNREACHABLE);
    assert_eq!(app.client.get("/livez").await.status, 200);

    hogs.clear();
    eventually("readiness returns", async || app.client.get("/readyz").await.status == 200).await;
    eventually("look-ups return", async || app.client.get_as("/users/me", &token).await.status == 200).await;
}
