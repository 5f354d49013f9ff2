//! All SQL of users.

use std::time::SystemTime;

use tokio_postgres::{Row, SimpleQueryRow, error::SqlState, types::Type};

use super::{Answer, Store, StoreError, lookup::Session};
use crate::user::{Email, FullName, PasswordHash, User, UserId};

/// What a login compares against.
#[derive(Debug)]
pub struct Credentials {
    pub id: UserId,
    pub password_hash: PasswordHash,
    pub token_version: i32,
    pub disabled: bool,
}

/// A user about to be.
pub struct NewUser<'a> {
    pub email: &'a Email,
    pub password_hash: &'a PasswordHash,
    pub full_name: Option<&'a FullName>,
}

/// Why a user was not created.
#[derive(Debug)]
pub enum CreateError {
    EmailTaken,
    Store(StoreError),
}

/// What an operator sees of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: User,
    pub created_at: Option<SystemTime>,
    pub disabled_at: Option<SystemTime>,
    pub token_version: i32,
    /// The scheme of the stored hash: `scrypt`, `2b` …
    pub hash_scheme: String,
}

const ACCOUNT: &str = "id, email, full_name, created_at, disabled_at, token_version, \
                       split_part(password_hash, '$', 2) AS hash_scheme";

impl Store {
    pub async fn find_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        const SQL: &str = "/* users.find_by_email */ \
            SELECT id, password_hash, token_version, disabled_at IS NOT NULL AS disabled \
            FROM users WHERE lower(email COLLATE \"C\") = $1";
        let key = email.key();
        let connection = self.connection().await?;
        let answer = connection.bounded(connection.query_typed_opt(SQL, &[(&key, Type::TEXT)])).await;
        let row = connection.settle(answer)?;
        Ok(row.map(|row| Credentials {
            id: UserId(row.get("id")),
            password_hash: PasswordHash::new(row.get::<_, String>("password_hash")),
            token_version: row.get("token_version"),
            disabled: row.get("disabled"),
        }))
    }

    /// Whether an address is registered: asked before hashing, decided by the unique index after it.
    pub async fn is_registered(&self, email: &Email) -> Result<bool, StoreError> {
        const SQL: &str = "/* users.is_registered */ SELECT FROM users WHERE lower(email COLLATE \"C\") = $1";
        let key = email.key();
        let connection = self.connection().await?;
        let answer = connection.bounded(connection.query_typed(SQL, &[(&key, Type::TEXT)])).await;
        Ok(!connection.settle(answer)?.is_empty())
    }

    pub async fn create_user(&self, new: &NewUser<'_>) -> Result<User, CreateError> {
        const SQL: &str = "/* users.create */ \
            INSERT INTO users (email, password_hash, full_name) VALUES ($1, $2, $3) RETURNING id, email, full_name";
        let full_name = new.full_name.map(FullName::as_str);
        let connection = self.connection().await.map_err(CreateError::Store)?;
        let answer = connection
            .bounded(connection.query_typed_one(
                SQL,
                &[
                    (&new.email.as_str(), Type::VARCHAR),
                    (&new.password_hash.expose_hash(), Type::VARCHAR),
                    (&full_name, Type::VARCHAR),
                ],
            ))
            .await;
        if let Answer::InTime(Err(error)) = &answer
            && is_taken_address(error)
        {
            return Err(CreateError::EmailTaken);
        }
        connection.settle(answer).map(|row| user(&row)).map_err(CreateError::Store)
    }

    /// Replaces a hash unless somebody else changed it since it was read.
    pub async fn replace_hash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        const SQL: &str = "/* users.replace_hash */ \
            UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id";
        let connection = self.connection().await?;
        let answer = connection
            .bounded(connection.query_typed(
                SQL,
                &[(&id.0, Type::INT4), (&old.expose_hash(), Type::VARCHAR), (&new.expose_hash(), Type::VARCHAR)],
            ))
            .await;
        Ok(!connection.settle(answer)?.is_empty())
    }

    /// What `user show` prints.
    pub async fn account(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let sql = format!("/* users.account */ SELECT {ACCOUNT} FROM users WHERE lower(email COLLATE \"C\") = $1");
        self.change(&sql, email, None).await
    }

    /// No more logins, and tokens already issued are refused at once.
    pub async fn disable(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let sql = format!(
            "/* users.disable */ UPDATE users SET disabled_at = coalesce(disabled_at, now()) \
             WHERE lower(email COLLATE \"C\") = $1 RETURNING {ACCOUNT}"
        );
        self.change(&sql, email, None).await
    }

    /// Undoes `disable`; tokens from before live again until they expire.
    pub async fn enable(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let sql = format!(
            "/* users.enable */ UPDATE users SET disabled_at = NULL \
             WHERE lower(email COLLATE \"C\") = $1 RETURNING {ACCOUNT}"
        );
        self.change(&sql, email, None).await
    }

    /// Ends all tokens issued until now.
    pub async fn revoke(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let sql = format!(
            "/* users.revoke */ UPDATE users SET token_version = token_version + 1 \
             WHERE lower(email COLLATE \"C\") = $1 RETURNING {ACCOUNT}"
        );
        self.change(&sql, email, None).await
    }

    /// A new password ends all tokens: whoever had the old one may hold some.
    pub async fn set_password(&self, email: &Email, hash: &PasswordHash) -> Result<Option<Account>, StoreError> {
        let sql = format!(
            "/* users.set_password */ UPDATE users SET password_hash = $2, token_version = token_version + 1 \
             WHERE lower(email COLLATE \"C\") = $1 RETURNING {ACCOUNT}"
        );
        self.change(&sql, email, Some(hash.expose_hash())).await
    }

    async fn change(&self, sql: &str, email: &Email, hash: Option<&str>) -> Result<Option<Account>, StoreError> {
        let key = email.key();
        let connection = self.connection().await?;
        let answer = match hash {
            None => connection.bounded(connection.query_typed_opt(sql, &[(&key, Type::TEXT)])).await,
            Some(hash) => {
                let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                    [(&key, Type::TEXT), (&hash, Type::VARCHAR)];
                connection.bounded(connection.query_typed_opt(sql, &parameters)).await
            }
        };
        Ok(connection.settle(answer)?.map(|row| Account {
            user: user(&row),
            created_at: row.get("created_at"),
            disabled_at: row.get("disabled_at"),
            token_version: row.get("token_version"),
            hash_scheme: row.get("hash_scheme"),
        }))
    }
}

// By the name of the index: a number that is taken, because a sequence lags behind a restored table, is another matter.
fn is_taken_address(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
        && error
            .as_db_error()
            .and_then(|refusal| refusal.constraint())
            .is_some_and(|name| matches!(name, "uq_users_email" | "ix_users_email" | "uq_users_email_key"))
}

fn user(row: &Row) -> User {
    User { id: UserId(row.get("id")), email: row.get("email"), full_name: row.get("full_name") }
}

/// Many look-ups in one: the ids in any order, the rows in any order.
pub(super) const SESSIONS: &str = "/* users.sessions */ \
    SELECT id, email, full_name, token_version, disabled_at IS NOT NULL AS disabled FROM users WHERE id = ANY($1)";

/// The same columns for one id.
pub(super) const SESSION: &str = "/* users.session */ \
    SELECT id, email, full_name, token_version, disabled_at IS NOT NULL AS disabled FROM users WHERE id = $1";

/// Reads a row of [`SESSIONS`]; a row that cannot be read fails alone.
pub(super) fn session(row: &Row) -> Result<Session, tokio_postgres::Error> {
    Ok(Session {
        user: User { id: UserId(row.try_get(0)?), email: row.try_get(1)?, full_name: row.try_get(2)? },
        token_version: row.try_get(3)?,
        disabled: row.try_get(4)?,
    })
}

/// Reads a row of [`SESSIONS`] that came as text.
pub(super) fn session_in_text(row: &SimpleQueryRow) -> Option<Session> {
    Some(Session {
        user: User {
            id: UserId(row.get(0)?.parse().ok()?),
            email: row.get(1)?.to_owned(),
            full_name: row.get(2).map(str::to_owned),
        },
        token_version: row.get(3)?.parse().ok()?,
        disabled: row.get(4)? == "t",
    })
}
