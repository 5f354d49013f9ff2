//! Every setting: its name, values, default and meaning. The parsers take defaults and bounds from here, and the
//! tables of docs/configuration.md are this one printed.

use std::fmt;

/// One variable of the environment.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub values: Values,
    /// As it would be written in the environment; empty when there is none.
    pub default: &'static str,
    pub meaning: &'static str,
}

/// What may be written in a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    Text(&'static str),
    /// Also as `NAME_FILE`; white space around a file's content is no part of it.
    Secret(&'static str),
    /// Also as `NAME_FILE`; only line ends after a file's content are no part of it, as in the database's own image.
    Password,
    File(&'static str),
    Flag,
    Whole {
        min: u64,
        max: u64,
    },
    Seconds {
        min: u64,
        max: u64,
    },
    Address,
    Limit,
    OneOf(&'static [&'static str]),
}

impl Setting {
    pub fn is_secret(&self) -> bool {
        matches!(self.values, Values::Secret(_) | Values::Password)
    }

    /// The variable that names a file with the secret.
    pub fn file_name(&self) -> String {
        format!("{}_FILE", self.name)
    }

    pub(super) fn bounds(&self) -> (u64, u64) {
        match self.values {
            Values::Whole { min, max } | Values::Seconds { min, max } => (min, max),
            _ => (0, u64::MAX),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(form) => f.write_str(form),
            Self::Secret(form) => write!(f, "secret: {form}"),
            Self::Password => f.write_str("secret: any characters"),
            Self::File(form) => write!(f, "path of {form}"),
            Self::Flag => f.write_str("true or false"),
            Self::Whole { min, max } => write!(f, "{min} to {max}"),
            Self::Seconds { min, max } => write!(f, "{min} to {max} seconds"),
            Self::Address => f.write_str("`IP:PORT`"),
            Self::Limit => f.write_str("`BURST/SECONDS` or `off`"),
            Self::OneOf(words) => write!(f, "`{}`", words.join("`, `")),
        }
    }
}

macro_rules! settings {
    ($($group:literal { $($name:ident: $values:expr, $default:literal, $meaning:literal;)* })*) => {
        $($(pub(super) const $name: Setting =
            Setting { name: stringify!($name), values: $values, default: $default, meaning: $meaning };)*)*

        /// All settings, in the groups of the documentation.
        pub const GROUPS: &[(&str, &[Setting])] = &[$(($group, &[$($name),*])),*];
    };
}

const fn seconds(min: u64, max: u64) -> Values {
    Values::Seconds { min, max }
}

const fn whole(min: u64, max: u64) -> Values {
    Values::Whole { min, max }
}

settings! {
    "The database" {
        DATABASE_URL: Values::Secret("`postgresql://USER:PASSWORD@HOST:PORT/NAME`"), "",
            "Where PostgreSQL is; a SQLAlchemy scheme is understood. The `DB_*` parts below are used when it is unset.";
        DB_HOST: Values::Text("host, address or socket folder; several: `h1,h2:5433`"), "db",
            "The server, or all servers of one cluster.";
        DB_PORT: Values::Text("1 to 65535; one for all hosts, or one for each"), "5432",
            "The port.";
        DB_NAME: Values::Text("name"), "app_db",
            "The database.";
        DB_USER: Values::Text("name"), "app",
            "The user.";
        DB_PASSWORD: Values::Password, "",
            "The user's password; also the password of a URL that has none.";
        DB_SSLMODE: Values::OneOf(&["disable", "prefer", "require", "verify-ca", "verify-full"]), "prefer",
            "TLS to the database, as libpq means the words. Only `verify-full` knows whom it talks to.";
        DB_CA_FILE: Values::File("PEM certificates"), "",
            "The authorities believed by `verify-ca` and `verify-full`; the image has none of its own. With `require`, as in libpq, it means `verify-ca`.";
        DB_POOL_SIZE: whole(1, 1000), "8",
            "Connections for everything but look-ups by id.";
        DB_LOOKUP_CONNECTIONS: whole(1, 64), "2",
            "Connections that share merged look-ups by id.";
        DB_CONNECT_TIMEOUT: seconds(1, 3600), "5",
            "The longest wait for a connection, for each host.";
        DB_STATEMENT_TIMEOUT: seconds(1, 3600), "5",
            "The longest a statement may run.";
        DB_POOL_TIMEOUT: seconds(1, 3600), "5",
            "The longest wait for a free connection.";
        DB_START_TIMEOUT: seconds(0, 86400), "60",
            "At the start: the longest wait for a database that is still starting.";
        MIGRATE_ON_START: Values::Flag, "true",
            "Bring the schema up to date before serving.";
        MIGRATE_DATABASE_URL: Values::Secret("as `DATABASE_URL`"), "",
            "A direct way past a pooler, for migrations only.";
    }
    "Tokens" {
        JWT_ALG: Values::OneOf(&["HS256", "HS384", "HS512", "EdDSA", "ES256"]), "HS256",
            "How tokens are signed.";
        JWT_SECRET: Values::Secret("32, 48, 64 bytes or more for HS256, HS384, HS512"), "",
            "The key of the HS algorithms. `JWT_SECRET_FILE` wins where both are set, and is never passed over.";
        JWT_PRIVATE_KEY: Values::Secret("PKCS#8 PEM"), "",
            "The key of EdDSA (Ed25519) and ES256 (P-256).";
        JWT_PREVIOUS_SECRETS: Values::Secret("one a line, each `SECRET` or `ALG:SECRET`"), "",
            "Secrets that still verify tokens but sign none.";
        JWT_PREVIOUS_KEYS_FILE: Values::File("PEM `PUBLIC KEY` blocks"), "",
            "Public keys that still verify tokens.";
        JWT_EXPIRE_MIN: whole(1, 525_600), "60",
            "Minutes a token lives.";
    }
    "Passwords" {
        REHASH_LEGACY: Values::Flag, "true",
            "Replace bcrypt hashes by scrypt at login; `false` keeps the way back to the reference service open.";
        HASH_SLOTS: whole(1, 1024), "",
            "Hashes computed at once; unset: from cores and memory.";
        HASH_QUEUE: whole(1, 100_000), "64",
            "Logins that may wait for a slot.";
        HASH_DEADLINE: seconds(1, 300), "5",
            "The longest wait for a slot.";
    }
    "The throttle" {
        LOGIN_LIMIT_ACCOUNT_NETWORK: Values::Limit, "10/60",
            "Logins to one account from one network: a burst, then one more each so many seconds.";
        LOGIN_LIMIT_NETWORK: Values::Limit, "100/3",
            "Logins from one network to any account.";
        LOGIN_LIMIT_ACCOUNT: Values::Limit, "50/300",
            "Logins to one account from all networks its owner never logged in from.";
        REGISTER_LIMIT_NETWORK: Values::Limit, "100/3",
            "Registrations from one network.";
    }
    "The listener" {
        LISTEN_ADDR: Values::Address, "0.0.0.0:8000",
            "Where the API is served; `:8000` is every IPv4 address, `[::]:8000` every address.";
        ADMIN_ADDR: Values::Address, "",
            "Where `/metrics` is served; nowhere when unset.";
        TLS_CERT_FILE: Values::File("a PEM certificate chain"), "",
            "Serve TLS with it; with `TLS_KEY_FILE` or not at all.";
        TLS_KEY_FILE: Values::File("a PEM private key"), "",
            "The certificate's key.";
        TRUSTED_PROXIES: Values::Text("networks or addresses: `10.0.0.0/8,fd00::1`"), "",
            "Whose `X-Forwarded-For` is believed.";
        CORS_ALLOW_ORIGINS: Values::Text("origins: `https://a.example,http://b.example:3000`, or `*`"), "",
            "Web pages that may call the API; `*` never with credentials.";
        MAX_CONNECTIONS: whole(1, 1_000_000), "10000",
            "Connections open at once.";
        MAX_BODY_BYTES: whole(1024, 16_777_216), "65536",
            "The longest body of a request.";
        HEADER_TIMEOUT: seconds(1, 3600), "10",
            "From the first byte wanted to the last header.";
        REQUEST_TIMEOUT: seconds(1, 3600), "30",
            "From the last header to the response.";
        IDLE_TIMEOUT: seconds(1, 3600), "75",
            "How long a connection may stay without a request.";
        DRAIN_DELAY: seconds(0, 3600), "0",
            "When stopping: from failing readiness to closing the listener.";
        DRAIN_TIMEOUT: seconds(1, 3600), "20",
            "When stopping: what requests in flight get to finish.";
    }
    "The log" {
        LOG_FORMAT: Values::OneOf(&["json", "text"]), "json",
            "`text` is for people at a terminal.";
    }
}

/// Names that look like ours and do nothing, with the one that was probably meant.
pub(super) const NEAR_MISSES: &[(&str, &str)] = &[
    ("DATABASE_URI", "DATABASE_URL"),
    ("DB_URL", "DATABASE_URL"),
    ("DB_PASS", "DB_PASSWORD"),
    ("DB_PWD", "DB_PASSWORD"),
    ("DB_PASS_FILE", "DB_PASSWORD_FILE"),
    ("DB_USERNAME", "DB_USER"),
    ("DB_DATABASE", "DB_NAME"),
    ("DB_SSL_MODE", "DB_SSLMODE"),
    ("DB_SSLROOTCERT", "DB_CA_FILE"),
    ("JWT_SECRETS_FILE", "JWT_SECRET_FILE"),
    ("JWT_SECRET_KEY", "JWT_SECRET"),
    ("JWT_KEY", "JWT_SECRET"),
    ("JWT_PREVIOUS_SECRET", "JWT_PREVIOUS_SECRETS"),
    ("JWT_PREVIOUS_KEYS", "JWT_PREVIOUS_KEYS_FILE"),
    ("JWT_ALGORITHM", "JWT_ALG"),
    ("JWT_EXPIRE_MINUTES", "JWT_EXPIRE_MIN"),
    ("LISTEN_ADDRESS", "LISTEN_ADDR"),
    ("ADMIN_ADDRESS", "ADMIN_ADDR"),
    ("TLS_CERT", "TLS_CERT_FILE"),
    ("TLS_KEY", "TLS_KEY_FILE"),
    ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
    ("CORS_ORIGINS", "CORS_ALLOW_ORIGINS"),
    ("CORS_ALLOWED_ORIGINS", "CORS_ALLOW_ORIGINS"),
];
