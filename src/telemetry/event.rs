//! What can be logged. Events are an enum so that no caller can misspell one and the page that lists them is complete.

use std::{fmt, net::IpAddr, time::Duration};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

macro_rules! events {
    ($($variant:ident = $name:literal, $level:ident, $meaning:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = $meaning] $variant,)*
        }

        impl Event {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it stands in a line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }

            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

events! {
    Request = "http.request", Info, "A request was answered. `error` when the status is 500 or more.";
    ConnectionCut = "http.connection.cut", Info, "A connection was ended that brought no HTTP, or too slowly.";
    LoginSucceeded = "auth.login.succeeded", Info, "A password was right and a token was issued.";
    LoginFailed = "auth.login.failed", Warn, "A password was wrong, or the account is unknown or disabled.";
    LoginThrottled = "auth.login.throttled", Warn, "A login was refused before its password was looked at.";
    Registered = "auth.register", Info, "An account was made.";
    RegisterTaken = "auth.register.taken", Info, "A registration for an address that has an account.";
    RegisterThrottled = "auth.register.throttled", Warn, "A registration was refused: too many from its network.";
    TokenRefused = "auth.token.refused", Warn, "A token was expired, forged, revoked or of a user who is gone.";
    PasswordRehashed = "auth.password.rehashed", Info, "An old hash was replaced at login.";
    HashUnusable = "auth.password.unusable", Error, "A stored hash is none that can be verified; `reason` says why. Its user cannot log in.";
    UserDisabled = "user.disabled", Warn, "An operator disabled an account.";
    UserEnabled = "user.enabled", Warn, "An operator enabled an account.";
    UserPasswordSet = "user.password.set", Warn, "An operator set a password.";
    UserRevoked = "user.revoked", Warn, "An operator ended all tokens of an account.";
    Starting = "service.start", Info, "The process begins; with its version.";
    SettingWarning = "service.setting", Warn, "A setting is odd but no reason to stop.";
    Listening = "service.listening", Info, "An address is open.";
    Ready = "service.ready", Info, "Requests are answered.";
    Draining = "service.drain", Info, "Asked to stop: readiness fails, requests in flight finish.";
    Stopped = "service.stop", Info, "The process ends.";
    Failed = "service.failed", Error, "The process ends because it cannot go on.";
    AcceptFailed = "service.accept.failed", Error, "A connection could not be accepted, such as for want of file descriptors.";
    ConnectionsFull = "http.connections.full", Warn, "All `MAX_CONNECTIONS` places are taken, so that waiting clients leave for newcomers; told once a minute.";
    DatabaseLost = "db.lost", Error, "The database cannot be reached.";
    DatabaseBack = "db.back", Info, "The database is reached again.";
    DatabaseWaiting = "db.waiting", Warn, "The start waits for the database.";
    SchemaMigrated = "db.migrated", Info, "The schema is up to date.";
    TlsReloaded = "tls.reloaded", Info, "A changed certificate is in use.";
    TlsReloadFailed = "tls.reload.failed", Error, "A changed certificate is bad; the old one stays in use.";
    HouseworkFailed = "service.housework.failed", Warn, "Work beside requests, such as pruning, failed; it is tried again.";
    LinesDropped = "log.dropped", Warn, "Lines were lost because nobody took them in time.";
}

/// The line of a request.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    pub request_id: &'a str,
    pub method: &'a str,
    /// The template (`/users/:id`), never the path: paths are the client's to choose.
    pub route: &'static str,
    pub status: u16,
    pub duration: Duration,
    pub client: Option<IpAddr>,
    /// What the client was not told.
    pub cause: Option<&'a str>,
}

/// Whom an event of security is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    pub request_id: Option<&'a str>,
    pub account: Option<AccountTag>,
    pub client: Option<IpAddr>,
    /// A word for machines, such as `expired`.
    pub reason: Option<&'a str>,
}

/// An account in the log: the same for the same address, and useless to who has no key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccountTag([u8; 16]);

impl From<[u8; 16]> for AccountTag {
    /// From a keyed hash that was made elsewhere.
    fn from(hash: [u8; 16]) -> Self {
        Self(hash)
    }
}

impl fmt::Display for AccountTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AccountTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountTag({self})")
    }
}

/// The value of a free field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field<'a> {
    Text(&'a str),
    Number(u64),
    Flag(bool),
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Field<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Field<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Field<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
