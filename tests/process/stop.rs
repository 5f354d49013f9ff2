use rustix::process::Signal;
use tokio::task::JoinHandle;
use tokio_postgres::Client as Connection;

use crate::support::{
    Answer, Database, Environment,
    process::{Process, status},
    wait::eventually,
};

/// A service in the middle of a login that lasts until the lock is let go.
struct Busy {
    service: Process,
    holder: Connection,
    login: JoinHandle<Option<Answer>>,
}

impl Busy {
    async fn start(change: impl FnOnce(Environment) -> Environment) -> Self {
        let database = Database::create().await;
        let environment = Environment::new(&database.url).with("DB_STATEMENT_TIMEOUT", "300");
        let service = Process::start(&change(environment));
        let client = service.ready().await;
        assert_eq!(client.register("a@b.com", "secret123").await.status, 201);
        let holder = database.connect().await;
        holder.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let address = service.address().await;
        let login = tokio::spawn(async move {
            // A client that is cut off panics; the test asks whether it was.
            let call =
                tokio::spawn(async move { crate::support::Client::new(address).login("a@b.com", "secret123").await });
            call.await.ok()
        });
        let watcher = database.connect().await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock' \
                   AND datname = current_database()";
        eventually("the login is under way", async || watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1)
            .await;
        Self { service, holder, login }
    }
}

#[tokio::test]
async fn sigterm_fails_readiness_first_and_lets_a_login_in_flight_finish() {
    let busy = Busy::start(|environment| environment.with("DRAIN_DELAY", "5").with("DRAIN_TIMEOUT", "60")).await;
    let address = busy.service.address().await;
    busy.service.signal(Signal::TERM);
    eventually("readiness fails", async || status(address, "/readyz").await == Some(503)).await;
    assert_eq!(status(address, "/livez").await, Some(200), "a draining service is alive");
    eventually("the listener closes", async || status(address, "/livez").await.is_none()).await;
    busy.holder.batch_execute("ROLLBACK").await.unwrap();
    let login = busy.login.await.unwrap().expect("the login in flight was cut off");
    assert_eq!(login.status, 200, "{}", login.text());
    let ended = busy.service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let busy = Busy::start(|environment| environment.with("DRAIN_TIMEOUT", "1")).await;
    busy.service.signal(Signal::TERM);
    let ended = busy.service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(busy.login.await.unwrap().is_none(), "the login was never under way");
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    let busy = Busy::start(|environment| environment.with("DRAIN_TIMEOUT", "3600").with("DRAIN_DELAY", "3600")).await;
    busy.service.signal(Signal::TERM);
    busy.service.line_with(&["rain"]).await;
    busy.service.signal(Signal::TERM);
    let ended = busy.service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[tokio::test]
async fn sigint_stops_as_sigterm_does() {
    let database = Database::create().await;
    let service = Process::start(&Environment::new(&database.url));
    service.ready().await;
    service.signal(Signal::INT);
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[tokio::test]
async fn a_service_that_waits_for_its_database_stops_when_told() {
    let nobody = crate::support::cluster::free_port();
    let url = format!("postgresql://postgres@127.0.0.1:{nobody}/postgres");
    let service = Process::start(&Environment::new(&url).with("DB_START_TIMEOUT", "86400"));
    service.line_with(&["aiting"]).await;
    service.signal(Signal::TERM);
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

// Those of this database: others on the cluster have theirs.
const WAITING: &str = "FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[tokio::test]
async fn a_migration_that_waits_ends_when_it_is_told_to() {
    let database = Database::create().await;
    let holder = database.connect().await;
    holder.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(x'6d696e695f6170'::bigint)").await.unwrap();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut command = std::process::Command::new(crate::support::process::BINARY);
        let waiting = Process::spawn(command.arg("migrate"), &Environment::new(&database.url));
        eventually("it waits", async || database.value(&format!("SELECT count(*) {WAITING}")).await != "0").await;
        waiting.signal(signal);
        // As process 1 it would be deaf to a signal that it does not handle, and so would have no exit code of its own.
        let ended = waiting.ended().await;
        assert_eq!(ended.code, Some(code), "{}", ended.output);
        // PostgreSQL would find out only when it has the lock.
        database.execute(&format!("SELECT pg_terminate_backend(pid) {WAITING}")).await;
    }
}
