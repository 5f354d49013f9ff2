//! The throttle's rows: one function call admits or refuses, one statement puts back.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use super::{Store, StoreError};
use crate::auth::throttle::{Attempt, Scope};

/// How long a network stays one that its owner is known to log in from.
const NETWORK_MEMORY_DAYS: i32 = 90;
/// How many such networks an account has; the longest unused is forgotten first.
const NETWORKS_PER_ACCOUNT: i64 = 32;
/// How many rows one round of pruning removes at most, so that it never holds locks for long.
const PRUNE_ROWS: i64 = 10_000;
/// How many rounds follow each other while there is more.
const PRUNE_ROUNDS: usize = 100;

/// What the throttle says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    Admitted,
    Refused { scope: Scope, retry_after: Duration },
}

// Puts back what an attempt took, in the order in which every statement locks these rows. Where its owner was known
// already the account-wide bucket was not asked and gets nothing back.
macro_rules! put_back {
    () => {
        "UPDATE login_attempts AS a SET full_at = a.full_at - asked.seconds \
         FROM (SELECT a.key, asked.seconds \
               FROM unnest($1::bytea[], $2::float8[], $3::bool[]) AS asked (key, seconds, account_wide) \
               JOIN login_attempts AS a USING (key) \
               WHERE NOT (asked.account_wide AND EXISTS ( \
                   SELECT FROM login_networks AS n WHERE n.account = $4 AND n.network = $5)) \
               ORDER BY a.key FOR UPDATE OF a) AS asked \
         WHERE a.key = asked.key"
    };
}

// The buckets of an attempt, as columns for `unnest`.
struct Columns<'a> {
    keys: Vec<&'a [u8]>,
    intervals: Vec<f64>,
    account_wide: Vec<bool>,
}

impl<'a> From<&'a Attempt> for Columns<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let buckets = &attempt.buckets;
        Self {
            keys: buckets.iter().map(|b| b.key.0.as_slice()).collect(),
            intervals: buckets.iter().map(|b| b.interval.as_secs_f64()).collect(),
            account_wide: buckets.iter().map(|b| b.scope == Scope::Account).collect(),
        }
    }
}

impl Store {
    /// Takes a place from every bucket of the attempt, or from none and says which one is empty.
    pub async fn admit(&self, attempt: &Attempt) -> Result<Admission, StoreError> {
        const SQL: &str = "/* attempts.admit */ SELECT refused, wait FROM login_admit($1, $2, $3, $4, $5, $6)";
        if attempt.buckets.is_empty() {
            return Ok(Admission::Admitted);
        }
        let Columns { keys, intervals, account_wide } = attempt.into();
        let bursts: Vec<f64> = attempt.buckets.iter().map(|b| f64::from(b.burst)).collect();
        let connection = self.connection().await?;
        let answer = connection
            .bounded(connection.query_typed_one(
                SQL,
                &[
                    (&keys, Type::BYTEA_ARRAY),
                    (&bursts, Type::FLOAT8_ARRAY),
                    (&intervals, Type::FLOAT8_ARRAY),
                    (&account_wide, Type::BOOL_ARRAY),
                    (&attempt.account.0.as_slice(), Type::BYTEA),
                    (&attempt.network.0.as_slice(), Type::BYTEA),
                ],
            ))
            .await;
        let row = connection.settle(answer)?;
        let (refused, wait): (i32, f64) = (row.get(0), row.get(1));
        let bucket = usize::try_from(refused - 1).ok().and_then(|i| attempt.buckets.get(i));
        Ok(bucket.map_or(Admission::Admitted, |bucket| Admission::Refused {
            scope: bucket.scope,
            retry_after: Duration::try_from_secs_f64(wait).unwrap_or(bucket.interval),
        }))
    }

    /// After a good login: the places come back, and the network is one its owner is known in.
    pub async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError> {
        const SQL: &str = concat!(
            "/* attempts.forgive */ WITH back AS (",
            put_back!(),
            "), stale AS ( \
                DELETE FROM login_networks WHERE account = $4 AND network IN ( \
                    SELECT network FROM login_networks WHERE account = $4 AND network <> $5 \
                    ORDER BY last_seen DESC OFFSET $6 - 1) \
            ) \
            INSERT INTO login_networks AS n (account, network) VALUES ($4, $5) \
            ON CONFLICT (account, network) DO UPDATE SET last_seen = now() \
            WHERE n.last_seen < now() - interval '1 hour'"
        );
        self.put_back(SQL, attempt, &[(&NETWORKS_PER_ACCOUNT, Type::INT8)]).await
    }

    /// The places come back, for an attempt that was never judged because we could not.
    pub async fn give_back(&self, attempt: &Attempt) -> Result<(), StoreError> {
        const SQL: &str = concat!("/* attempts.give_back */ ", put_back!(), " RETURNING 1");
        if attempt.buckets.is_empty() {
            return Ok(());
        }
        self.put_back(SQL, attempt, &[]).await
    }

    async fn put_back(
        &self,
        sql: &str,
        attempt: &Attempt,
        more: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(), StoreError> {
        let Columns { keys, intervals, account_wide } = attempt.into();
        let (account, network) = (attempt.account.0.as_slice(), attempt.network.0.as_slice());
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&keys, Type::BYTEA_ARRAY),
            (&intervals, Type::FLOAT8_ARRAY),
            (&account_wide, Type::BOOL_ARRAY),
            (&account, Type::BYTEA),
            (&network, Type::BYTEA),
        ];
        parameters.extend_from_slice(more);
        let connection = self.connection().await?;
        let answer = connection.bounded(connection.query_typed(sql, &parameters)).await;
        connection.settle(answer).map(drop)
    }

    /// Forgets buckets that are full again and networks long unused; how many rows went.
    pub async fn prune_attempts(&self) -> Result<u64, StoreError> {
        let mut all = 0;
        for _ in 0..PRUNE_ROUNDS {
            let some = self.prune_some_attempts().await?;
            all += some;
            if some < PRUNE_ROWS.unsigned_abs() {
                break;
            }
        }
        Ok(all)
    }

    async fn prune_some_attempts(&self) -> Result<u64, StoreError> {
        const BUCKETS: &str = "/* attempts.prune */ DELETE FROM login_attempts WHERE key IN ( \
            SELECT key FROM login_attempts WHERE full_at < extract(epoch FROM clock_timestamp()) \
            ORDER BY full_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING 1";
        const NETWORKS: &str = "/* networks.prune */ DELETE FROM login_networks WHERE ctid IN ( \
            SELECT ctid FROM login_networks WHERE last_seen < now() - make_interval(days => $2) \
            ORDER BY last_seen LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING 1";
        let connection = self.connection().await?;
        let answer = connection.bounded(connection.query_typed(BUCKETS, &[(&PRUNE_ROWS, Type::INT8)])).await;
        let buckets = connection.settle(answer)?.len();
        let connection = self.connection().await?;
        let answer = connection
            .bounded(connection.query_typed(NETWORKS, &[(&PRUNE_ROWS, Type::INT8), (&NETWORK_MEMORY_DAYS, Type::INT4)]))
            .await;
        let networks = connection.settle(answer)?.len();
        Ok((buckets + networks) as u64)
    }
}
