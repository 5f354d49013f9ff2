//! PostgreSQL: the only module that contains SQL.

mod attempts;
mod connect;
mod lookup;
mod migrate;
mod users;

use std::{fmt, future::Future, ops::Deref, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::error::SqlState;

pub use self::lookup::Session;
pub use self::{
    attempts::Admission,
    migrate::{MigrateError, Migrated, SchemaState},
    users::{Account, CreateError, Credentials, NewUser},
};
use self::{connect::Tls, lookup::Lookups};
use crate::config;

/// Why the store gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// No connection, or one that broke or took too long: trying again may help.
    Unavailable(String),
    /// PostgreSQL refused a statement that should have worked.
    Unexpected(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(cause) | Self::Unexpected(cause) => f.write_str(cause),
        }
    }
}

/// The database: a pool for transactions and single statements, and merged look-ups by id. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: Pool,
    lookups: Lookups,
    tls: Tls,
    settings: config::Database,
}

impl Store {
    /// Opens nothing yet: connections are made when they are wanted. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A sentence when the CA certificates cannot be used.
    pub fn new(settings: &config::Database) -> Result<Self, String> {
        let tls = Tls::new(&settings.server.tls)?;
        let manager = Manager::from_config(
            settings.server.postgres.clone(),
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size.get())
            .timeouts(Timeouts {
                wait: Some(settings.pool_timeout),
                create: Some(settings.connect_timeout),
                recycle: Some(settings.connect_timeout),
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| format!("the connection pool cannot be made: {e}"))?;
        let lookups = Lookups::start(settings, &tls);
        Ok(Self(Arc::new(Inner { pool, lookups, tls, settings: settings.clone() })))
    }

    /// Whether PostgreSQL answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let connection = self.connection().await?;
        let answer = connection.bounded(connection.simple_query("/* ping */ SELECT 1")).await;
        connection.settle(answer).map(drop)
    }

    /// Who a token speaks for. Concurrent calls share one statement.
    pub async fn session(&self, id: crate::user::UserId) -> Result<Option<Session>, StoreError> {
        self.0.lookups.find(id).await
    }

    /// Connections of the pool: in use, idle, allowed.
    pub fn pool_status(&self) -> (usize, usize, usize) {
        let status = self.0.pool.status();
        (status.size.saturating_sub(status.available), status.available, status.max_size)
    }

    async fn connection(&self) -> Result<Connection<'_>, StoreError> {
        let object = self.0.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(kind) => StoreError::Unavailable(format!("no database connection in time ({kind:?})")),
            PoolError::Backend(error) => StoreError::Unavailable(explain(&error)),
            other => StoreError::Unavailable(other.to_string()),
        })?;
        Ok(Connection { object, store: &self.0 })
    }
}

/// A connection lent by the pool; `settle` decides whether the pool gets it back.
struct Connection<'a> {
    object: Object,
    store: &'a Inner,
}

enum Answer<T> {
    InTime(Result<T, tokio_postgres::Error>),
    TooLate(Duration),
}

impl Connection<'_> {
    async fn bounded<T>(&self, statement: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Answer<T> {
        let limit = self.store.settings.statement_timeout;
        match tokio::time::timeout(limit, statement).await {
            Ok(result) => Answer::InTime(result),
            Err(_) => Answer::TooLate(limit),
        }
    }

    fn settle<T>(self, answer: Answer<T>) -> Result<T, StoreError> {
        match answer {
            Answer::InTime(Ok(value)) => Ok(value),
            Answer::InTime(Err(error)) => {
                if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                    // A failover: this server was demoted, and so every connection to it is stale.
                    self.store.pool.retain(|_, _| false);
                    self.store.lookups.reconnect();
                }
                if is_broken(&error) {
                    drop(Object::take(self.object));
                    return Err(StoreError::Unavailable(explain(&error)));
                }
                Err(StoreError::Unexpected(explain(&error)))
            }
            Answer::TooLate(limit) => {
                // The statement may still run on the server; nobody waits for it any more.
                let client = Object::take(self.object);
                let (cancel, tls) = (client.cancel_token(), self.store.tls.clone());
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(Duration::from_secs(5), cancel.cancel_query(tls)).await;
                    drop(client);
                });
                Err(StoreError::Unavailable(format!("the database took longer than {} s", limit.as_secs_f32())))
            }
        }
    }
}

impl Deref for Connection<'_> {
    type Target = deadpool_postgres::ClientWrapper;

    fn deref(&self) -> &Self::Target {
        &self.object
    }
}

// Whether a connection is of no more use, or the server of none for now.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // No SQLSTATE: the server did not answer at all.
        return true;
    };
    let class = code.code().get(..2).unwrap_or_default();
    // 08 connection, 25006 read only, 53 out of resources, 57P operator intervention, 58 system error.
    matches!(class, "08" | "53" | "58")
        || code.code().starts_with("57P")
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

// The whole chain of causes in one line: the outermost alone says only "db error".
fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
