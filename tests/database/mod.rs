//! What the service promises of its database, shown on real ones that are frozen, killed, filled and failed over.

mod as_root;
mod failover;
mod limits;
mod lookups;
mod outage;
mod passwords;
mod roles;
mod starting;
mod tls;

use mini_api::store::Store;
use tokio_postgres::Client;

use crate::support::{Environment, wait::eventually};

pub const UNREACHABLE: &str = "The database cannot be reached";

/// A store alone, without a service around it.
fn store(environment: &Environment) -> Store {
    Store::new(&environment.settings().database).expect("the store's settings are sound")
}

/// Holds `users` so that nobody reads it until the connection says `ROLLBACK`.
async fn lock_users(connection: &Client) {
    connection.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
}

/// How many statements of that name the server is executing.
async fn running(connection: &Client, name: &str) -> i64 {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity \
        WHERE state = 'active' AND starts_with(query, $1) AND datname = current_database()";
    connection.query_one(SQL, &[&format!("/* {name} */")]).await.expect("the server's activity").get(0)
}

/// Waits until the server executes that many statements of that name.
async fn until_running(connection: &Client, name: &str, count: i64) {
    eventually(&format!("{count} {name} are running"), async || running(connection, name).await == count).await;
}
