//! The schema: bring it up to date, or say why not.
//!
//! All of it happens in one transaction under one transaction lock: replicas that start together wait for each other, a
//! failure changes nothing, and a pooler in transaction mode may stand between.

use std::{fmt, sync::atomic::Ordering, time::Duration};

use refinery_core::{
    AsyncMigrate, Migration, Runner,
    traits::r#async::{AsyncQuery, AsyncTransaction},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::timeout;
use tokio_postgres::{Client, Transaction, error::SqlState, types::Type};

use super::{Answer, Store, StoreError, explain, servers::Servers};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Any number, as long as all replicas lock the same.
const LOCK: i64 = 0x006d_696e_695f_6170;
/// How long a migration holds up those who use a table while it waits for its lock.
const LONGEST_LOCK: &str = "300ms";
/// The name of the key that pseudonyms are made with.
const PSEUDONYM_KEY: &str = "pseudonym";
const PSEUDONYM_KEY_BYTES: usize = 32;

/// Where the schema stands, as this binary sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// Everything this binary needs is there; also the key that all replicas make pseudonyms with.
    Ready { pseudonym_key: Vec<u8> },
    /// Migrations of this binary are missing.
    Behind,
    /// A migration says that only a newer binary can live with it.
    TooNew { oldest: String },
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Names of the migrations applied now.
    pub applied: Vec<String>,
}

/// Why the schema was left as it is.
#[derive(Debug)]
pub enum MigrateError {
    Store(StoreError),
    /// Somebody uses a table that must be altered. To be tried again, but not at once: others wait meanwhile.
    Locked(String),
    /// Addresses that differ only in case: groups of user ids.
    Collisions(String),
    /// A table `users` that is not the reference service's: its columns that are missing, of another type, or nullable.
    Foreign(String),
    TooNew {
        oldest: String,
    },
    /// An applied migration is not the one this binary knows, or a statement failed.
    Refused(String),
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Locked(cause) => write!(f, "a table is in use, nothing was changed: {cause}"),
            Self::Collisions(ids) => write!(
                f,
                "users with these ids have addresses that differ only in case: {ids}; nothing was changed: merge or rename \
                 each group until one address is left, then migrate again"
            ),
            Self::Foreign(columns) => write!(
                f,
                "the database has a table users whose columns {columns} are missing or not as the reference service made \
                 them; nothing was changed: give the service a database of its own"
            ),
            Self::TooNew { oldest } => write!(
                f,
                "the schema is of a newer release: it needs mini-api {oldest} or later, this is {}; run that release",
                crate::VERSION
            ),
            Self::Refused(cause) => write!(f, "the schema could not be migrated, nothing was changed: {cause}"),
        }
    }
}

impl Store {
    /// Compares the schema with this binary; changes nothing.
    pub async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        const EXISTS: &str = "/* schema.exists */ SELECT to_regclass('schema_compatibility') IS NOT NULL";
        // All in one: each round trip is paid by every start.
        const STATE: &str = "/* schema.state */ SELECT (SELECT coalesce(max(version), 0) FROM refinery_schema_history), \
            (SELECT coalesce(array_agg(oldest_binary), '{}') FROM schema_compatibility), \
            (SELECT value FROM service_keys WHERE name = $1)";
        let connection = self.connection().await?;
        // PostgreSQL logs a missing table as an error: one is enough while somebody else is awaited to migrate.
        if self.0.schema_missing.load(Ordering::Relaxed) {
            let answer = connection.bounded(connection.query_typed_one(EXISTS, &[])).await;
            match answer {
                Answer::InTime(Ok(row)) if row.get::<_, bool>(0) => {}
                Answer::InTime(Ok(_)) => return Ok(SchemaState::Behind),
                other => return connection.settle(other).map(|_| SchemaState::Behind),
            }
        }
        let answer = connection.bounded(connection.query_typed_one(STATE, &[(&PSEUDONYM_KEY, Type::TEXT)])).await;
        let missing = matches!(&answer, Answer::InTime(Err(error)) if error.code() == Some(&SqlState::UNDEFINED_TABLE));
        self.0.schema_missing.store(missing, Ordering::Relaxed);
        if missing {
            return Ok(SchemaState::Behind);
        }
        let row = connection.settle(answer)?;
        Ok(match judge(row.get(0), &row.get::<_, Vec<String>>(1)) {
            Standing::TooNew { oldest } => SchemaState::TooNew { oldest },
            Standing::Behind => SchemaState::Behind,
            Standing::Ready => row
                .get::<_, Option<Vec<u8>>>(2)
                .map_or(SchemaState::Behind, |pseudonym_key| SchemaState::Ready { pseudonym_key }),
        })
    }

    /// Applies what is missing, over `MIGRATE_DATABASE_URL` where there is one.
    pub async fn migrate(&self) -> Result<Migrated, MigrateError> {
        let server = self.0.settings.migrate_server.as_ref().unwrap_or(&self.0.settings.server);
        let limit = server.postgres.get_connect_timeout().copied().unwrap_or(self.0.settings.connect_timeout);
        let servers = Servers::new(server, limit).map_err(MigrateError::Refused)?;
        let (mut client, connection) = servers
            .connect()
            .await
            .map_err(|unreachable| MigrateError::Store(StoreError::Unavailable(unreachable.to_string())))?;
        let driver = tokio::spawn(connection);
        let migrated = migrate_on(&mut client).await;
        drop(client);
        let _ = timeout(Duration::from_secs(1), driver).await;
        migrated
    }
}

async fn migrate_on(client: &mut Client) -> Result<Migrated, MigrateError> {
    let failed = |error: tokio_postgres::Error| {
        if super::is_broken(&error) {
            MigrateError::Store(StoreError::Unavailable(explain(&error)))
        } else {
            undone(&error)
        }
    };
    let transaction = client.transaction().await.map_err(failed)?;
    // A server-wide limit meant for requests must not cut a migration of a large table. But whoever waits for a table's
    // lock has everybody else queue behind: it is tried again rather than waited for.
    let prepare = format!(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({LOCK}); \
         SET LOCAL lock_timeout = '{LONGEST_LOCK}'"
    );
    transaction.batch_execute(&prepare).await.map_err(failed)?;
    if let Some(oldest) = floor(&transaction).await.map_err(failed)? {
        return Err(MigrateError::TooNew { oldest });
    }
    let mut in_transaction = InTransaction(&transaction);
    let runner: Runner = embedded::migrations::runner().set_grouped(true).set_abort_missing(false);
    let report = AsyncMigrate::migrate(
        &mut in_transaction,
        runner.get_migrations(),
        true,
        false,
        true,
        refinery_core::Target::Latest,
        "refinery_schema_history",
    )
    .await
    .map_err(|error| refused(&error))?;
    add_key(&transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(Migrated { applied: report.applied_migrations().iter().map(ToString::to_string).collect() })
}

// The first oldest binary that is newer than this one, where the schema already has the table that says so.
async fn floor(transaction: &Transaction<'_>) -> Result<Option<String>, tokio_postgres::Error> {
    let known = transaction.query_typed_one("SELECT to_regclass('schema_compatibility') IS NOT NULL", &[]).await?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let rows = transaction.query_typed("SELECT oldest_binary FROM schema_compatibility ORDER BY 1", &[]).await?;
    let floors: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(match judge(i32::MAX, &floors) {
        Standing::TooNew { oldest } => Some(oldest),
        Standing::Ready | Standing::Behind => None,
    })
}

async fn add_key(transaction: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    const SQL: &str = "/* service_keys.add */ INSERT INTO service_keys VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let mut key = [0_u8; PSEUDONYM_KEY_BYTES];
    if SystemRandom::new().fill(&mut key).is_ok() {
        transaction.query_typed(SQL, &[(&PSEUDONYM_KEY, Type::TEXT), (&key.as_slice(), Type::BYTEA)]).await?;
    }
    Ok(())
}

// What the numbers say.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Ready,
    Behind,
    TooNew { oldest: String },
}

fn judge(applied: i32, floors: &[String]) -> Standing {
    let own = version(crate::VERSION);
    if let Some(oldest) = floors.iter().filter(|floor| version(floor) > own).max_by_key(|floor| version(floor)) {
        return Standing::TooNew { oldest: oldest.clone() };
    }
    let newest = embedded::migrations::runner().get_migrations().iter().map(Migration::version).max();
    if newest.is_some_and(|newest| applied < newest) { Standing::Behind } else { Standing::Ready }
}

// Channels (`-rc.1`) do not count: a candidate lives with the schema of its release.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['-', '+']).next().unwrap_or_default().split('.').map(|n| n.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

fn refused(error: &refinery_core::Error) -> MigrateError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(database) = cause.downcast_ref::<tokio_postgres::Error>() {
            let message = database.as_db_error().map(|e| e.message().to_owned()).unwrap_or_default();
            return match database.code().map(tokio_postgres::error::SqlState::code) {
                Some("MA001") => MigrateError::Foreign(message),
                Some("MA002") => MigrateError::Collisions(message),
                _ if super::is_broken(database) => MigrateError::Store(StoreError::Unavailable(explain(database))),
                _ => undone(database),
            };
        }
        source = cause.source();
    }
    MigrateError::Refused(explain(error))
}

// What was rolled back through no fault of its own may go well the next time.
fn undone(error: &tokio_postgres::Error) -> MigrateError {
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return MigrateError::Locked(super::explain(error));
    }
    match super::refusal(error) {
        again @ (StoreError::Unavailable(_) | StoreError::Full(_)) => MigrateError::Store(again),
        StoreError::Unexpected(cause) => MigrateError::Refused(cause),
    }
}

/// refinery over a transaction that is already open, so that its work and ours commit together.
struct InTransaction<'a>(&'a Transaction<'a>);

impl AsyncTransaction for InTransaction<'_> {
    type Error = tokio_postgres::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let mut count = 0;
        for query in queries {
            self.0.batch_execute(query).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for InTransaction<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Self::Error> {
        let rows = self.0.query(query, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let applied_on = OffsetDateTime::parse(row.get(2), &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
                // A checksum that is no number cannot equal ours, and is reported as a divergence.
                let checksum = row.get::<_, String>(3).parse().unwrap_or(0);
                Migration::applied(row.get(0), row.get(1), applied_on, checksum)
            })
            .collect())
    }
}

impl AsyncMigrate for InTransaction<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_binary_is_refused() {
        assert_eq!(judge(99, &[crate::VERSION.into(), "0.1.0".into()]), Standing::Ready);
        assert_eq!(judge(99, &["999.0.0".into()]), Standing::TooNew { oldest: "999.0.0".into() });
        assert_eq!(judge(0, &[]), Standing::Behind);
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_channels_do_not_count() {
        assert!(version("1.10.0") > version("1.9.9"));
        assert_eq!(version("1.2.0-rc.1"), version("1.2.0"));
    }

    #[test]
    fn every_migration_states_the_oldest_binary_that_can_live_with_it() {
        for migration in embedded::migrations::runner().get_migrations() {
            let sql = migration.sql().unwrap_or_default();
            let stated = sql
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("-- Oldest binary that can live with this schema: "));
            assert!(stated.is_some(), "{migration} does not begin with its oldest binary");
            let row = format!(
                "INSERT INTO schema_compatibility VALUES ({}, '{}')",
                migration.version(),
                stated.unwrap_or("")
            );
            assert!(sql.contains(&row), "{migration} does not record its oldest binary: {row}");
        }
    }
}
