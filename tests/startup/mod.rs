//! The schema at the start: replicas together, an older binary beside a newer schema, somebody else's migration.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Database, Environment, TestApp, process::Process, run, wait::eventually};

#[tokio::test]
async fn ten_services_start_at_once_on_one_empty_database() {
    let database = Database::create().await;
    let pool = |e: Environment| e.with("DB_POOL_SIZE", "1");
    let services = join_all((0..10).map(|_| TestApp::start_on(database.clone(), pool))).await;
    for service in &services {
        assert_eq!(service.as_ref().unwrap().client.get("/readyz").await.status, 200);
    }
    assert_eq!(database.value("SELECT count(*) FROM refinery_schema_history").await, "1");
    assert_eq!(database.value("SELECT count(*) FROM service_keys").await, "1", "all make pseudonyms with one key");
    let token = services[0].as_ref().unwrap().token_of("a@b.com", "secret123").await;
    assert_eq!(services[9].as_ref().unwrap().client.me(&token).await.status, 200);
}

#[tokio::test]
async fn ten_processes_start_at_once_on_one_empty_database() {
    let database = Database::create().await;
    let environment = Environment::new(&database.url).with("DB_POOL_SIZE", "1").with("HASH_SLOTS", "1");
    let processes: Vec<Process> = (0..10).map(|_| Process::start(&environment)).collect();
    for process in &processes {
        process.ready().await;
    }
    assert_eq!(database.value("SELECT count(*) FROM schema_compatibility").await, "1");
}

#[tokio::test]
async fn a_service_that_may_not_migrate_waits_until_somebody_did() {
    let database = Database::create().await;
    let waiting = Process::start(&Environment::new(&database.url).with("MIGRATE_ON_START", "false"));
    waiting.line_with(&["MIGRATE_ON_START is false"]).await;
    let client = waiting.client().await;
    assert_eq!(client.get("/livez").await.json(), json!({ "status": "ok", "started": false }));
    client.get("/readyz").await.assert_problem(503, "The service is not ready");
    assert_eq!(database.schema().await, Vec::<Vec<String>>::new(), "it left the database alone");
    let migrated = run(&Environment::new(&database.url), &["migrate"]).await;
    assert_eq!(migrated.assert_code(0).out, "applied V1__users\n");
    eventually("the service is ready", async || client.get("/readyz").await.status == 200).await;
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let database = Database::create().await;
    // It needs the database's settings only.
    let environment = Environment::new(&database.url).without("JWT_SECRET");
    run(&environment, &["migrate"]).await.assert_code(0);
    let schema = database.schema().await;
    assert_eq!(run(&environment, &["migrate"]).await.assert_code(0).out, "the schema is up to date\n");
    assert_eq!(database.schema().await, schema);
}

// What a later release leaves behind, as far as this one can see.
async fn newer_schema(oldest_binary: &str) -> Database {
    let database = Database::create().await;
    run(&Environment::new(&database.url), &["migrate"]).await.assert_code(0);
    database
        .execute(&format!(
            "ALTER TABLE users ADD COLUMN phone text; \
             INSERT INTO refinery_schema_history VALUES (2, 'phone', '2027-01-01T00:00:00Z', '1'); \
             INSERT INTO schema_compatibility VALUES (2, '{oldest_binary}')"
        ))
        .await;
    database
}

#[tokio::test]
async fn a_newer_schema_that_this_binary_can_live_with_is_served() {
    for oldest in ["0.9.0", mini_api::VERSION] {
        let app = TestApp::start_on(newer_schema(oldest).await, |e| e).await.unwrap();
        let token = app.token_of("a@b.com", "secret123").await;
        assert_eq!(app.client.me(&token).await.status, 200);
        assert_eq!(app.client.get("/readyz").await.status, 200);
        let migrated = run(&app.environment(), &["migrate"]).await;
        assert_eq!(migrated.assert_code(0).out, "the schema is up to date\n");
    }
}

#[tokio::test]
async fn a_schema_that_needs_a_newer_binary_ends_the_start_with_a_sentence_and_exit_78() {
    let database = newer_schema("99.1.0").await;
    let environment = Environment::new(&database.url);
    let sentence = format!(
        "the schema is of a newer release: it needs mini-api 99.1.0 or later, this is {}; run that release",
        mini_api::VERSION
    );
    let served = Process::start(&environment).ended().await;
    assert_eq!(served.code, Some(78), "{}", served.output);
    assert!(served.output.contains(&sentence), "{}", served.output);
    let migrated = run(&environment, &["migrate"]).await;
    assert_eq!(migrated.assert_code(78).err, format!("mini-api: {sentence}\n"));
    let operated = run(&environment, &["user", "disable", "a@b.com"]).await;
    assert_eq!(operated.assert_code(78).err, format!("mini-api: {sentence}\n"));
}

#[tokio::test]
async fn a_service_whose_schema_became_too_new_goes_on_but_is_not_ready() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.database.execute("INSERT INTO schema_compatibility VALUES (2, '99.0.0')").await;
    app.client.get("/readyz").await.assert_problem(503, "The service is not ready");
    assert_eq!(app.client.me(&token).await.status, 200);
}

#[tokio::test]
async fn a_lock_timeout_meant_for_requests_does_not_cut_a_migration_that_waits_its_turn() {
    let database = Database::create().await;
    let limit = format!("ALTER DATABASE {} SET lock_timeout = '50ms'", database.name);
    database.execute(&limit).await;
    let first = database.connect().await;
    // The number of src/store/migrate.rs: a replica that migrates.
    first.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(x'6d696e695f6170'::bigint)").await.unwrap();
    let second = Process::start(&Environment::new(&database.url));
    eventually("the second waits far longer than the limit", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND wait_event_type = 'Lock' AND now() - query_start > interval '500ms'";
        database.value(waiting).await == "1"
    })
    .await;
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(second.ready().await.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_migration_that_went_elsewhere_ends_the_start_with_78_and_names_both_settings() {
    let (here, there) = (Database::create().await, Database::create().await);
    let lost = Process::start(&Environment::new(&here.url).with("MIGRATE_DATABASE_URL", &there.url)).ended().await;
    assert_eq!(lost.code, Some(78), "{}", lost.output);
    assert!(
        lost.output.contains("let DATABASE_URL and MIGRATE_DATABASE_URL name the same database"),
        "{}",
        lost.output
    );
    assert_eq!(lost.output.matches("db.migrated").count(), 1, "{}", lost.output);
}

#[tokio::test]
async fn a_migration_waits_for_its_own_server_as_long_as_its_own_url_says() {
    // It takes the connection and then says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("postgresql://a@{}/a?sslmode=disable&connect_timeout=1", silent.local_addr().unwrap());
    let here = Database::create().await;
    let ended = run(&Environment::new(&here.url).with("MIGRATE_DATABASE_URL", &there), &["migrate"]).await;
    ended.assert_code(69);
    assert!(ended.err.contains("no connection to the database within 1 s"), "{}", ended.err);
}

#[tokio::test]
async fn a_service_starts_from_the_parts_of_an_address_as_from_a_url() {
    let database = Database::create().await;
    let url = url::Url::parse(&database.url).unwrap();
    let password = url.password().unwrap_or_default().to_owned();
    let (port, name) = (url.port().unwrap().to_string(), database.name.clone());
    let app = TestApp::start_on(database, |environment| {
        let parts = environment.without("DATABASE_URL").with("DB_HOST", "127.0.0.1").with("DB_PORT", &port);
        // Its default is another.
        parts.with("DB_NAME", &name).with("DB_USER", "postgres").with("DB_PASSWORD", &password)
    })
    .await
    .unwrap();
    let token = app.token_of("a@b.com", "secret123").await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
}
