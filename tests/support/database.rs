//! A database of its own for each test, on the cluster of `TEST_DATABASE_URL`.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// An empty database; dropped with the throw-away cluster it is on.
#[derive(Clone)]
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

    /// Runs statements that give nothing back.
    pub async fn execute(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap_or_else(|e| panic!("{e:?} in {sql}"));
    }

    /// All rows of a query as texts; NULL is `∅`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let messages = self.connect().await.simple_query(sql).await.unwrap_or_else(|e| panic!("{e:?} in {sql}"));
        messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).unwrap_or("∅").to_owned()).collect())
                }
                _ => None,
            })
            .collect()
    }

    /// The first column of the first row.
    pub async fn value(&self, sql: &str) -> String {
        self.rows(sql).await[0][0].clone()
    }

    /// Everything a schema consists of, as PostgreSQL's catalogue has it.
    pub async fn schema(&self) -> Vec<Vec<String>> {
        self.rows(
            "SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text, \
                    coalesce(pg_get_expr(d.adbin, d.adrelid), '') \
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'S', 'v') AND a.attnum > 0 AND NOT a.attisdropped \
             UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public' \
             UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' \
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
             UNION ALL SELECT 'function', proname, '', prosrc, '', '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             ORDER BY 1, 2, 3, 4",
        )
        .await
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the test's PostgreSQL answers");
    tokio::spawn(connection);
    client
}
