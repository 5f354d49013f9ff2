//! A database of its own for each test, on the cluster of `TEST_DATABASE_URL`.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, NoTls};

/// An empty database; dropped with the throw-away cluster it is on.
pub struct Database {
    pub name: String,
    pub url: String,
}

/// The cluster's URL, as superuser.
pub fn cluster_url() -> String {
    std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a PostgreSQL to test on: run scripts/test api")
}

impl Database {
    pub async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cluster = connect(&cluster_url()).await;
        cluster.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database can be created");
        let mut url = url::Url::parse(&cluster_url()).expect("a URL");
        url.set_path(&name);
        Self { url: url.to_string(), name }
    }

    /// A connection for what only the test does.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the test's PostgreSQL answers");
    tokio::spawn(connection);
    client
}
