use futures_util::future::join_all;

use mini_api::user::UserId;
use tokio_postgres::{Client, NoTls};

use super::super::store;
use crate::support::{Database, Environment, TestApp, cluster::Cluster, pgbouncer::PgBouncer};

// Everything a user does, and nothing but his own.
async fn live(app: &TestApp, name: &str) {
    let email = format!("{name}@b.com");
    let token = app.token_of(&email, "secret123").await;
    for _ in 0..10 {
        let me = app.client.get_as("/users/me", &token).await;
        assert_eq!(me.status, 200, "{}", me.text());
        assert_eq!(me.json()["email"], email);
    }
    assert_eq!(app.client.login(&email, "wrong-one").await.status, 401);
    assert_eq!(app.client.register(&email, "secret123").await.status, 409);
    assert_eq!(app.client.get("/readyz").await.status, 200);
}

async fn behind(pooler: &PgBouncer) -> TestApp {
    let database = Database { name: "app".into(), url: pooler.url("app") };
    TestApp::start_on(database, |environment| environment.with("REGISTER_LIMIT_NETWORK", "off")).await.unwrap()
}

#[tokio::test]
async fn services_that_share_server_connections_never_meet_each_others_statements() {
    let cluster = Cluster::start().await;
    cluster.database("app").await;
    // Two connections for two services with nine each: every transaction comes after another's.
    let pooler = PgBouncer::start(&cluster, 2).await;
    let (one, other) = tokio::join!(behind(&pooler), behind(&pooler));
    let names: Vec<String> = (0..20).map(|number| format!("user{number}")).collect();
    join_all(names.iter().enumerate().map(|(i, name)| live(if i % 2 == 0 { &one } else { &other }, name))).await;
}

#[tokio::test]
async fn ten_replicas_may_start_at_once_on_an_empty_database_behind_a_pooler() {
    let cluster = Cluster::start().await;
    cluster.database("app").await;
    let pooler = PgBouncer::start(&cluster, 4).await;
    let replicas = join_all((0..10).map(|_| behind(&pooler))).await;
    for (number, replica) in replicas.iter().enumerate() {
        live(replica, &format!("user{number}")).await;
    }
    let history = cluster.connect("app").await.query("SELECT version FROM refinery_schema_history", &[]).await.unwrap();
    let keys = cluster.connect("app").await.query("SELECT FROM service_keys", &[]).await.unwrap();
    assert_eq!((history.len(), keys.len()), (std::fs::read_dir("migrations").unwrap().filter(is_migration).count(), 1));
}

// What a look-up prepares stays behind on the server connection it was lent then.
#[tokio::test]
async fn a_look_up_goes_on_when_the_pooler_lends_it_another_connection_than_before() {
    let cluster = Cluster::start().await;
    cluster.database("app").await;
    let pooler = PgBouncer::start(&cluster, 2).await;
    let store = store(&Environment::new(&pooler.url("app")));
    store.migrate().await.unwrap();
    let direct = cluster.connect("app").await;
    direct.batch_execute("INSERT INTO users (email, password_hash) VALUES ('a@b.com', 'x')").await.unwrap();
    let (one, other) = (through(&pooler).await, through(&pooler).await);
    let look_up = async || {
        for (id, email) in [(1, Some("a@b.com")), (2, None)] {
            let found = store.session(UserId(id)).await.unwrap();
            assert_eq!(found.as_ref().map(|session| session.user.email.as_str()), email);
        }
    };
    // Only the second of the two server connections is free, and then only the first.
    one.batch_execute("BEGIN").await.unwrap();
    look_up().await;
    other.batch_execute("BEGIN").await.unwrap();
    one.batch_execute("COMMIT").await.unwrap();
    look_up().await;
    other.batch_execute("COMMIT").await.unwrap();
    look_up().await;
}

async fn through(pooler: &PgBouncer) -> Client {
    let (client, connection) = tokio_postgres::connect(&pooler.url("app"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn is_migration(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "sql"))
}

// A pooler that lends a connection for one statement only: nothing but the direct way can carry the migration.
#[tokio::test]
async fn migrations_take_the_direct_way_when_they_are_given_one() {
    let cluster = Cluster::start().await;
    cluster.database("app").await;
    let pooler = PgBouncer::start_in_mode(&cluster, 2, "statement").await;
    let database = Database { name: "app".into(), url: pooler.url("app") };
    let app = TestApp::start_on(database, |environment| environment.with("MIGRATE_DATABASE_URL", &cluster.url("app")))
        .await
        .unwrap();
    live(&app, "user").await;
}
