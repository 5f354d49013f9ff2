//! The operator's commands on users: an image without a shell has no `psql`.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    auth::{
        password::{Begun, Cost, Hasher, Resources},
        throttle::Throttle,
    },
    config,
    service::Fatal,
    store::{Account, MigrateError, SchemaState, Store, StoreError},
    telemetry::{Event, Log, Subject, is_direction},
    user::{Email, NewPassword, PasswordHash},
};

/// What to do with a user.
pub enum Action {
    Show,
    Disable,
    Enable,
    Revoke,
    SetPassword(NewPassword),
}

/// Why it was not done.
#[derive(Debug)]
pub enum Refused {
    Address(&'static str),
    NoSuchUser,
    Fatal(Fatal),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Fatal(match error {
            StoreError::Unavailable(why) | StoreError::Full(why) => Fatal::Unavailable(why),
            StoreError::Unexpected(why) => Fatal::System(why),
        })
    }
}

// One hash, in a slot as the service's are.
async fn hash(password: &NewPassword) -> Result<PasswordHash, Refused> {
    let one = config::Passwords {
        rehash_legacy: true,
        slots: Some(NonZeroUsize::MIN),
        queue: NonZeroUsize::MIN,
        deadline: Duration::from_mins(1),
    };
    let resources = Resources::detect(Path::new("/"));
    let hasher = Hasher::start(&one, Cost::OWASP, &resources, Arc::new(()))
        .map_err(|error| Refused::Fatal(Fatal::System(error.to_string())))?;
    hasher
        .hash(password.as_password(), &Begun::default())
        .await
        .map_err(|busy| Refused::Fatal(Fatal::System(format!("the password cannot be hashed: {:?}", busy.cause))))
}

/// A user as he stands after the command.
pub struct Shown(Account);

/// Does it, writes it to the log, and returns the user as he stands then.
pub async fn act(database: &config::Database, address: &str, action: Action, log: &Log) -> Result<Shown, Refused> {
    let email = Email::parse(address).map_err(|invalid| Refused::Address(invalid.0))?;
    let store = Store::new(database).map_err(|why| Refused::Fatal(Fatal::Settings(why)))?;
    let pseudonym_key = match store.schema_state().await? {
        SchemaState::Ready { pseudonym_key } => pseudonym_key,
        SchemaState::TooNew { oldest } => return Err(Refused::Fatal(MigrateError::TooNew { oldest }.into())),
        SchemaState::Behind => {
            let why = "the schema lacks migrations of this release: run mini-api migrate first";
            return Err(Refused::Fatal(Fatal::Settings(why.into())));
        }
    };
    let event = match &action {
        Action::Show => None,
        Action::Disable => Some(Event::UserDisabled),
        Action::Enable => Some(Event::UserEnabled),
        Action::Revoke => Some(Event::UserRevoked),
        Action::SetPassword(_) => Some(Event::UserPasswordSet),
    };
    let account = match action {
        Action::Show => store.account(&email).await?,
        Action::Disable => store.disable(&email).await?,
        Action::Enable => store.enable(&email).await?,
        Action::Revoke => store.revoke(&email).await?,
        Action::SetPassword(password) => {
            let hash = hash(&password).await?;
            store.set_password(&email, &hash).await?
        }
    };
    let account = account.ok_or(Refused::NoSuchUser)?;
    if let Some(event) = event {
        // The same pseudonym as in the service's log, so that one account's story can be put together.
        let throttle = Throttle::new(&pseudonym_key, no_limits());
        log.security(event, &Subject { account: Some(throttle.account(&email).0.into()), ..Subject::default() });
    }
    Ok(Shown(account))
}

fn no_limits() -> config::Throttle {
    let off = config::Limit::Off;
    config::Throttle { account_network: off, network: off, account: off, register_network: off }
}

impl Shown {
    /// For people.
    pub fn table(&self) -> String {
        let account = &self.0;
        let rows = [
            ("id", account.user.id.to_string()),
            ("email", account.user.email.clone()),
            ("full name", account.user.full_name.clone().unwrap_or_else(|| "-".into())),
            ("created", account.created_at.map_or_else(|| "-".into(), moment)),
            (
                "state",
                account.disabled_at.map_or_else(|| "active".into(), |at| format!("disabled since {}", moment(at))),
            ),
            ("tokens revoked", times(account.token_version)),
            ("password hash", account.hash_scheme.clone()),
        ];
        rows.iter().fold(String::new(), |table, (name, value)| table + &format!("{name:<15} {}\n", printable(value)))
    }

    /// For programs.
    pub fn json(&self) -> String {
        let account = &self.0;
        let document = json!({
            "id": account.user.id.0,
            "email": account.user.email,
            "full_name": account.user.full_name,
            "created_at": account.created_at.map(moment),
            "disabled_at": account.disabled_at.map(moment),
            "token_version": account.token_version,
            "hash_scheme": account.hash_scheme,
        });
        format!("{document}\n")
    }
}

fn times(count: i32) -> String {
    match count {
        0 => "never".into(),
        1 => "once".into(),
        n => format!("{n} times"),
    }
}

fn moment(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

// A name is whatever its owner typed; it must not steer the operator's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_direction(c) { '\u{fffd}' } else { c }).collect()
}
