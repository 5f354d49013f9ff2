use super::UNREACHABLE;
use crate::support::{
    Environment,
    cluster::Cluster,
    process::{Process, status},
    run,
    wait::eventually,
};

#[tokio::test]
async fn a_service_waits_for_a_database_that_starts_after_it() {
    let mut cluster = Cluster::create();
    let service = Process::start(&Environment::new(&cluster.url("postgres")).with("DB_START_TIMEOUT", "60"));
    let address = service.address().await;
    service.line_with(&["aiting", "refused"]).await;
    assert_eq!(status(address, "/livez").await, Some(200));
    assert_eq!(status(address, "/readyz").await, Some(503));
    service.client().await.login("a@b.com", "secret123").await.assert_problem(503, "The service is not ready");

    cluster.run().await;
    let client = service.ready().await;
    assert_eq!(client.register("a@b.com", "secret123").await.status, 201);
    // A reason is told when it is new, not at every attempt.
    let refused = service.lines().iter().filter(|line| line.contains("aiting") && line.contains("refused")).count();
    assert_eq!(refused, 1, "{:?}", service.lines());
}

#[tokio::test]
async fn a_database_that_never_comes_ends_the_start_with_69_and_a_sentence() {
    let nobody = crate::support::cluster::free_port();
    let environment = Environment::new(&format!("postgresql://postgres@127.0.0.1:{nobody}/postgres"));
    let ended = Process::start(&environment.with("DB_START_TIMEOUT", "1")).ended().await;
    assert_eq!(ended.code, Some(69), "{}", ended.output);
    let last = ended.output.lines().filter(|line| line.contains("DB_START_TIMEOUT")).count();
    assert_eq!(last, 1, "{}", ended.output);
}

// It may still be given that password, by whoever sets the database up beside us: so it is told at once, and waited for.
#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_ends_the_start_in_time() {
    let mut cluster = Cluster::create();
    cluster.write("pg_hba.conf", "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    cluster.run().await;
    let admin = cluster.connect("postgres").await;
    admin.batch_execute("CREATE ROLE app LOGIN PASSWORD 'the right one'").await.unwrap();
    let url = format!("postgresql://app@127.0.0.1:{}/postgres", cluster.port);
    let environment = Environment::new(&url).with("DB_PASSWORD", "not-the-right-one");
    let service = Process::start(&environment.with("DB_START_TIMEOUT", "3"));
    service.line_with(&["password authentication failed"]).await;
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(69), "{}", ended.output);
    assert!(!ended.output.contains("not-the-right-one"), "{}", ended.output);
}

#[tokio::test]
async fn without_migrate_on_start_the_service_waits_for_somebody_else_to_migrate() {
    let cluster = Cluster::start().await;
    let environment = Environment::new(&cluster.url("postgres"));
    let service = Process::start(&environment.clone().with("MIGRATE_ON_START", "false"));
    service.line_with(&["aiting", "MIGRATE_ON_START"]).await;
    let mut migrate = std::process::Command::new(crate::support::process::BINARY);
    let done = Process::spawn(migrate.arg("migrate"), &environment).ended().await;
    assert_eq!(done.code, Some(0), "{}", done.output);
    assert!(done.output.contains("applied"), "{}", done.output);
    service.ready().await;
}

#[tokio::test]
async fn a_start_that_times_out_does_not_depend_on_the_database_answering() {
    let cluster = Cluster::start().await;
    cluster.freeze();
    let environment = Environment::new(&cluster.url("postgres")).with("DB_CONNECT_TIMEOUT", "1");
    let service = Process::start(&environment.with("DB_START_TIMEOUT", "1"));
    let address = service.address().await;
    eventually("/livez answers", async || status(address, "/livez").await == Some(200)).await;
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(69), "{}", ended.output);
    assert!(!ended.output.contains(UNREACHABLE), "{}", ended.output);
}

// PostgreSQL logs a question for a table that is not there as an error.
#[tokio::test]
async fn waiting_for_somebody_to_migrate_does_not_fill_the_log_of_the_database() {
    let mut cluster = Cluster::create();
    cluster.set("log_statement", "all");
    cluster.run().await;
    let database = cluster.url("postgres");
    let waiting = Process::start(&Environment::new(&database).with("MIGRATE_ON_START", "false"));
    eventually("it has asked some times", async || cluster.log().matches("schema.exists").count() >= 5).await;
    assert_eq!(cluster.log().matches("ERROR:").count(), 1, "{}", cluster.log());
    run(&Environment::new(&database), &["migrate"]).await.assert_code(0);
    waiting.ready().await;
}
