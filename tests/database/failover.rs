use std::time::Instant;

use futures_util::future::join_all;
use mini_api::user::UserId;

use super::{UNREACHABLE, lock_users, until_running};
use crate::support::{
    Database, Environment, TestApp,
    cluster::{Cluster, Stop},
    wait::{PATIENCE, eventually},
};

struct Pair {
    first: Cluster,
    second: Cluster,
    both: String,
}

impl Pair {
    // A primary and a standby that streams from it, with an empty database.
    async fn start() -> Self {
        let mut first = Cluster::start().await;
        first.database("app").await;
        first.stop(Stop::Fast).await;
        let mut second = first.standby();
        first.run().await;
        second.run().await;
        let both = format!("postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/app", first.port, second.port);
        Self { first, second, both }
    }

    async fn service(&self) -> TestApp {
        self.service_with(|environment| environment).await
    }

    async fn service_with(&self, change: impl FnOnce(Environment) -> Environment) -> TestApp {
        let database = Database { name: "app".into(), url: self.both.clone() };
        TestApp::start_on(database, |environment| change(environment.with("DB_CONNECT_TIMEOUT", "2"))).await.unwrap()
    }

    // Waits until the standby has what the primary has.
    async fn caught_up(&self) {
        let at = self.first.connect("app").await.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap();
        let at: String = at.get(0);
        let standby = self.second.connect("app").await;
        eventually("the standby catches up", async || {
            let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{at}'::pg_lsn");
            standby.query_one(&sql, &[]).await.unwrap().get(0)
        })
        .await;
    }

    async fn promote_second(&self) {
        let standby = self.second.connect("app").await;
        let promoted: bool = standby.query_one("SELECT pg_promote()", &[]).await.unwrap().get(0);
        assert!(promoted);
    }

    // As a managed service demotes a server: it keeps its connections and refuses writes.
    async fn demote_first_in_place(&self) {
        self.first.set("default_transaction_read_only", "on");
        self.first.reload();
        eventually("the first server is read-only", async || {
            let row = self.first.connect("app").await.query_one("SHOW transaction_read_only", &[]).await.unwrap();
            row.get::<_, String>(0) == "on"
        })
        .await;
    }

    // So that an answer tells which server it came from.
    async fn mark_second(&self) {
        let second = self.second.connect("app").await;
        second.batch_execute("UPDATE users SET full_name = 'Second'").await.unwrap();
    }
}

#[tokio::test]
async fn after_a_failover_the_service_goes_on_with_the_promoted_standby() {
    let mut pair = Pair::start().await;
    let app = pair.service().await;
    let token = app.token_of("a@b.com", "secret123").await;
    pair.caught_up().await;

    pair.first.stop(Stop::Fast).await;
    app.client.get("/readyz").await.assert_problem(503, UNREACHABLE);
    pair.promote_second().await;
    eventually("readiness returns", async || app.client.get("/readyz").await.status == 200).await;
    eventually("look-ups return", async || app.client.get_as("/users/me", &token).await.status == 200).await;
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
    assert_eq!(app.client.register("c@d.com", "secret123").await.status, 201);

    // The old primary comes back as a standby, and stands first in the URL: nobody may begin with it.
    pair.first.follow(&pair.second);
    pair.first.run().await;
    let other = pair.service().await;
    assert_eq!(other.client.register("e@f.com", "secret123").await.status, 201);
    assert_eq!(app.client.login("e@f.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn a_host_that_hangs_does_not_keep_the_service_from_the_next() {
    let pair = Pair::start().await;
    let app = pair.service().await;
    let token = app.token_of("a@b.com", "secret123").await;
    pair.caught_up().await;

    pair.first.freeze();
    pair.promote_second().await;
    eventually("readiness returns", async || app.client.get("/readyz").await.status == 200).await;
    eventually("look-ups return", async || app.client.get_as("/users/me", &token).await.status == 200).await;
    let other = pair.service().await;
    assert_eq!(other.client.register("c@d.com", "secret123").await.status, 201);
}

#[tokio::test]
async fn the_first_write_a_demoted_server_refuses_makes_the_service_leave_it() {
    let pair = Pair::start().await;
    let app = pair.service().await;
    let token = app.token_of("a@b.com", "secret123").await;
    // Several connections of the pool, all to the server that will be demoted.
    join_all((0..8).map(|_| app.client.get("/health"))).await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
    pair.caught_up().await;
    pair.demote_first_in_place().await;
    pair.promote_second().await;
    pair.mark_second().await;

    app.client.register("c@d.com", "secret123").await.assert_problem(503, UNREACHABLE);
    assert_eq!(app.client.register("c@d.com", "secret123").await.status, 201);
    for answer in join_all((0..8).map(|_| app.client.login("a@b.com", "secret123"))).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(app.client.get_as("/users/me", &token).await.json()["full_name"], "Second");
}

// Without any write that would tell, and without a pause between look-ups.
#[tokio::test]
async fn look_ups_leave_a_demoted_server_even_while_they_are_busy() {
    let pair = Pair::start().await;
    let app = pair.service_with(|environment| environment.with("DB_LOOKUP_CONNECTIONS", "1")).await;
    let token = app.token_of("a@b.com", "secret123").await;
    pair.caught_up().await;
    assert_eq!(app.client.get_as("/users/me", &token).await.json()["full_name"], serde_json::Value::Null);
    pair.demote_first_in_place().await;
    pair.promote_second().await;
    pair.mark_second().await;

    // Two groups, one of which always waits while the statement for the other runs: each asks again when it is answered.
    let (holder, watcher) = (pair.first.connect("app").await, pair.first.connect("app").await);
    holder.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    lock_users(&holder).await;
    let deadline = Instant::now() + PATIENCE;
    let caller = |_| {
        let store = app.app.store.clone();
        tokio::spawn(async move {
            while store.session(UserId(1)).await.unwrap().unwrap().user.full_name.is_none() {
                assert!(Instant::now() < deadline, "look-ups stayed with the demoted server");
            }
        })
    };
    let mut callers: Vec<_> = (0..16).map(caller).collect();
    until_running(&watcher, "users.sessions", 1).await;
    callers.extend((0..16).map(caller));
    tokio::task::yield_now().await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    assert_eq!(app.client.get_as("/users/me", &token).await.json()["full_name"], "Second");
}
