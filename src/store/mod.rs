//! PostgreSQL: the only module that contains SQL.

mod attempts;
mod connect;
mod lookup;
mod migrate;
mod servers;
mod users;

use std::{
    fmt::{self, Write as _},
    future::Future,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};
use tokio::sync::Semaphore;
use tokio_postgres::{
    CancelToken, Config,
    error::{DbError, SqlState},
};

pub use self::lookup::Session;
pub use self::{
    attempts::Admission,
    migrate::{MigrateError, Migrated, SchemaState},
    users::{Account, CreateError, Credentials, NewUser},
};
use self::{connect::Tls, lookup::Lookups, servers::Servers};
use crate::config;

/// Why the store gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// No connection, or one that broke or took too long: trying again may help.
    Unavailable(String),
    /// PostgreSQL has no room left to write; it may read as ever.
    Full(String),
    /// PostgreSQL refused a statement that should have worked.
    Unexpected(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(cause) | Self::Full(cause) | Self::Unexpected(cause) => f.write_str(cause),
        }
    }
}

/// The database: a pool for transactions and single statements, and merged look-ups by id. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: Pool,
    lookups: Lookups,
    servers: Servers,
    settings: config::Database,
    // What was last seen of the tables.
    schema_missing: AtomicBool,
}

/// How long the server is asked to stop a statement that nobody waits for any more.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// Cancellations under way at once; each is a connection. Beyond them a statement is left to its own end.
const CANCELS_AT_ONCE: usize = 8;

impl Store {
    /// Opens nothing yet: connections are made when they are wanted. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A sentence when the CA certificates cannot be used.
    pub fn new(settings: &config::Database) -> Result<Self, String> {
        let servers = Servers::new(&settings.server, settings.connect_timeout)?;
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        // The servers know their own settings; the manager asks for some all the same.
        let manager = Manager::from_connect(Config::new(), servers.clone(), fast);
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size.get())
            .timeouts(Timeouts {
                wait: Some(settings.pool_timeout),
                create: Some(servers.patience()),
                recycle: Some(settings.connect_timeout),
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| format!("the connection pool cannot be made: {e}"))?;
        let lookups = Lookups::start(settings, &servers);
        Ok(Self(Arc::new(Inner {
            pool,
            lookups,
            servers,
            settings: settings.clone(),
            schema_missing: AtomicBool::new(false),
        })))
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
        Ok(Connection { object: Some(object), store: &self.0, busy: AtomicBool::new(false) })
    }
}

/// A connection lent by the pool; `settle` decides whether the pool gets it back.
struct Connection<'a> {
    // `None` only after the pool has been told not to expect it.
    object: Option<Object>,
    store: &'a Inner,
    busy: AtomicBool,
}

enum Answer<T> {
    InTime(Result<T, tokio_postgres::Error>),
    TooLate(Duration),
}

impl Connection<'_> {
    async fn bounded<T>(&self, statement: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Answer<T> {
        let limit = self.store.settings.statement_timeout;
        self.busy.store(true, Ordering::Relaxed);
        match tokio::time::timeout(limit, statement).await {
            Ok(result) => {
                self.busy.store(false, Ordering::Relaxed);
                Answer::InTime(result)
            }
            Err(_) => Answer::TooLate(limit),
        }
    }

    fn settle<T>(mut self, answer: Answer<T>) -> Result<T, StoreError> {
        match answer {
            Answer::InTime(Ok(value)) => Ok(value),
            Answer::InTime(Err(error)) => {
                if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                    // A failover: this server was demoted, and so every connection to it is stale.
                    self.store.pool.retain(|_, _| false);
                    self.store.lookups.reconnect();
                }
                if is_broken(&error) {
                    drop(self.object.take().map(Object::take));
                    let why = explain(&error);
                    let full = error.code() == Some(&SqlState::DISK_FULL);
                    return Err(if full { StoreError::Full(why) } else { StoreError::Unavailable(why) });
                }
                Err(refusal(&error))
            }
            Answer::TooLate(limit) => {
                Err(StoreError::Unavailable(format!("the database took longer than {} s", limit.as_secs_f32())))
            }
        }
    }
}

impl Drop for Connection<'_> {
    // A statement took too long, or the client it was for has gone. The next borrower must not wait behind it, and the
    // server need not finish it.
    fn drop(&mut self) {
        if self.busy.load(Ordering::Relaxed)
            && let Some(object) = self.object.take()
        {
            let client = Object::take(object);
            cancel(client.cancel_token(), self.store.servers.tls().clone(), client);
        }
    }
}

impl Deref for Connection<'_> {
    type Target = deadpool_postgres::ClientWrapper;

    // A borrower has no connection without an object: only `settle` and `drop`, which end it, take that away.
    fn deref(&self) -> &Self::Target {
        match &self.object {
            Some(object) => object,
            None => unreachable!("a connection was used after it was settled"),
        }
    }
}

// Asks the server to stop what runs on a connection, and lets go of it only then: a server that sees its client go does
// not stop by itself.
fn cancel<T: Send + 'static>(token: CancelToken, tls: Tls, connection: T) {
    // Clients that come and go quickly must not make a crowd of connections that only cancel.
    static UNDER_WAY: Semaphore = Semaphore::const_new(CANCELS_AT_ONCE);
    if let (Ok(runtime), Ok(place)) = (tokio::runtime::Handle::try_current(), UNDER_WAY.try_acquire()) {
        runtime.spawn(async move {
            let _place = place;
            let _ = tokio::time::timeout(CANCEL_LIMIT, token.cancel_query(tls)).await;
            drop(connection);
        });
    }
}

// A refusal by a server that is well.
fn refusal(error: &tokio_postgres::Error) -> StoreError {
    let code = error.code().map(SqlState::code).unwrap_or_default();
    // 40 rolled back (a deadlock, a serialization failure), 57014 cancelled (a server's own statement_timeout),
    // 55P03 lock not available (lock_timeout): the same may go well the next time.
    if code.starts_with("40") || matches!(code, "57014" | "55P03") {
        StoreError::Unavailable(explain(error))
    } else {
        StoreError::Unexpected(explain(error))
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
        // A refusal's DETAIL repeats the row it is about: addresses and hashes have no place in a log.
        match inner.downcast_ref::<DbError>() {
            Some(refusal) => {
                let _ = write!(text, "{} {}: {}", refusal.severity(), refusal.code().code(), refusal.message());
            }
            None => text.push_str(&inner.to_string()),
        }
        cause = inner.source();
    }
    text
}
