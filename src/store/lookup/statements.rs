//! The statement of merged look-ups: planned once for a connection where that can be had, else each time.
//!
//! Planning costs PostgreSQL about as much as twenty look-ups. A statement prepared by the protocol would be named by
//! the driver (`s0`, `s1` …), and through a pooler in transaction mode such a name may mean another client's statement.
//! So it is prepared in SQL under a name nobody else can have: through such a pooler it is at worst missing, which
//! PostgreSQL says, and from then on each look-up carries its text.

use std::fmt::Write as _;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio_postgres::{
    Client, Error, SimpleQueryMessage,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{
    super::{
        StoreError, explain, is_broken,
        users::{SESSION, SESSIONS, session, session_in_text},
    },
    Session,
};

/// An id that was found, with its row, or why the row cannot be read: it fails alone.
type Found = (i32, Result<Session, StoreError>);

/// What one connection knows.
pub(super) enum Statements {
    Unprepared,
    /// Under this name for many ids, and with `_1` behind it for one, which PostgreSQL plans better by itself.
    Prepared(String),
    /// Not to be had here.
    Refused,
}

impl Statements {
    pub fn new() -> Self {
        Self::Unprepared
    }

    /// The users among `ids`, in any order.
    pub async fn find(&mut self, client: &Client, ids: &[i32]) -> Result<Vec<Found>, Error> {
        if let Self::Unprepared = self {
            *self = prepare(client).await?;
        }
        if let Self::Prepared(name) = self {
            match client.simple_query(&execute(name, ids)).await {
                Ok(messages) => return Ok(messages.iter().filter_map(found_in_text).collect()),
                Err(error) if is_about_the_preparation(&error) => *self = Self::Refused,
                Err(error) => return Err(error),
            }
        }
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&ids, Type::INT4_ARRAY)];
        let rows = client.query_typed(SESSIONS, &parameters).await?;
        let found = rows.iter().filter_map(|row| {
            let id = row.try_get(0).ok()?;
            Some((id, session(row).map_err(|error| StoreError::Unexpected(explain(&error)))))
        });
        Ok(found.collect())
    }
}

async fn prepare(client: &Client) -> Result<Statements, Error> {
    let mut random = [0; 16];
    if SystemRandom::new().fill(&mut random).is_err() {
        return Ok(Statements::Refused);
    }
    let name = format!("mini_api_{:032x}", u128::from_ne_bytes(random));
    let sql = format!(
        "/* users.sessions */ PREPARE {name} (int4[]) AS {SESSIONS}; \
         PREPARE {name}_1 (int4) AS {SESSION}"
    );
    match client.batch_execute(&sql).await {
        Ok(()) => Ok(Statements::Prepared(name)),
        Err(error) if is_broken(&error) => Err(error),
        Err(_) => Ok(Statements::Refused),
    }
}

// The name is unknown where we were sent, or the table's columns changed their types since.
fn is_about_the_preparation(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::FEATURE_NOT_SUPPORTED))
}

// Ids are numbers, so nothing in the text needs quoting.
fn execute(name: &str, ids: &[i32]) -> String {
    let mut sql = String::with_capacity(96 + ids.len() * 8);
    // Writing to a string cannot fail.
    if let [id] = ids {
        let _ = write!(sql, "/* users.sessions */ EXECUTE {name}_1('{id}')");
        return sql;
    }
    let _ = write!(sql, "/* users.sessions */ EXECUTE {name}('{{");
    for (position, id) in ids.iter().enumerate() {
        let _ = write!(sql, "{}{id}", if position == 0 { "" } else { "," });
    }
    sql.push_str("}')");
    sql
}

fn found_in_text(message: &SimpleQueryMessage) -> Option<Found> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let id = row.get(0)?.parse().ok()?;
    Some((id, session_in_text(row).ok_or_else(|| StoreError::Unexpected("a user's row cannot be read".into()))))
}
