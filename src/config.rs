//! The environment and secret files, read once, into typed settings.
//!
//! This is the only module that reads the environment or a secret file.

mod database;
mod database_url;
mod fault;
mod http;
mod reader;
pub mod table;
#[cfg(test)]
mod tests;
mod tokens;

use std::{
    fmt, io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;

pub use self::fault::{Fault, Faults};
use self::reader::Reader;

/// Everything the service can be told, already checked.
#[derive(Debug)]
pub struct Settings {
    pub http: Http,
    pub database: Database,
    pub tokens: Tokens,
    pub passwords: Passwords,
    pub throttle: Throttle,
    pub log_format: LogFormat,
    /// What is odd but no reason to stop: names that look like settings, keys that are not used.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Parses all settings. `look_up` is the environment, `read_file` what opens the files it names; [`environment`]
    /// and [`read_file`](read_file()) are the real ones.
    ///
    /// # Errors
    /// Every fault there is, not only the first.
    pub fn from_env(
        look_up: impl Fn(&str) -> Option<String>,
        read_file: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, Faults> {
        let mut reader = Reader::new(&look_up, &read_file);
        let database = database::read(&mut reader);
        let tokens = tokens::read(&mut reader);
        let passwords = Passwords::read(&mut reader);
        let throttle = Throttle::read(&mut reader);
        let http = http::read(&mut reader);
        let log_format = LogFormat::read(&mut reader);
        reader.warn_of_near_misses();
        let warnings = std::mem::take(&mut reader.warnings);
        let settings = database.zip(tokens).zip(http).map(|((database, tokens), http)| Self {
            http,
            database,
            tokens,
            passwords,
            throttle,
            log_format,
            warnings,
        });
        reader.finish(settings)
    }
}

impl Database {
    /// Parses only what commands such as `migrate` and `user` need.
    ///
    /// # Errors
    /// Every fault of these settings.
    pub fn from_env(
        look_up: impl Fn(&str) -> Option<String>,
        read_file: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, Faults> {
        let mut reader = Reader::new(&look_up, &read_file);
        let database = database::read(&mut reader);
        reader.finish(database)
    }
}

impl Http {
    /// Parses only what `healthcheck` needs to find the listener.
    ///
    /// # Errors
    /// Every fault of these settings.
    pub fn from_env(
        look_up: impl Fn(&str) -> Option<String>,
        read_file: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, Faults> {
        let mut reader = Reader::new(&look_up, &read_file);
        let http = http::read(&mut reader);
        reader.finish(http)
    }
}

/// A variable of this process. What is no UTF-8 comes with U+FFFD in its place, which the parsers refuse.
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The content of a file that a setting names.
///
/// # Errors
/// Those of the file system, and files over 1 MiB, which are no secret and no certificate.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    const MAX: u64 = 1 << 20;
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(content)
}

/// The listener, its limits and who may call it from a browser.
#[derive(Debug)]
pub struct Http {
    /// `LISTEN_ADDR`, default `0.0.0.0:8000`.
    pub listen: SocketAddr,
    /// `ADMIN_ADDR`: where `/metrics` is served; nowhere when unset.
    pub admin: Option<SocketAddr>,
    /// `TLS_CERT_FILE` and `TLS_KEY_FILE`.
    pub tls: Option<TlsFiles>,
    /// `TRUSTED_PROXIES`: networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    pub cors: Cors,
    pub limits: HttpLimits,
}

#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// `CORS_ALLOW_ORIGINS`. Credentials are allowed only for listed origins, never for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    Off,
    AnyOrigin,
    Origins(Vec<String>),
}

/// Bounds of the listener; all durations are whole seconds in the environment.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// `MAX_CONNECTIONS`, default 10000.
    pub connections: NonZeroUsize,
    /// `MAX_BODY_BYTES`, default 65536.
    pub body_bytes: usize,
    /// `HEADER_TIMEOUT`, default 10: from the first byte wanted to the last header.
    pub header: Duration,
    /// `REQUEST_TIMEOUT`, default 30: from the last header to the response.
    pub request: Duration,
    /// `IDLE_TIMEOUT`, default 75: a keep-alive connection without a request.
    pub idle: Duration,
    /// `DRAIN_DELAY`, default 0: between failing readiness and closing the listener.
    pub drain_delay: Duration,
    /// `DRAIN_TIMEOUT`, default 20: what requests in flight get to finish.
    pub drain: Duration,
}

/// Where the database is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Database {
    /// Hosts, ports, user, password, name: from `DATABASE_URL` or the `DB_*` parts.
    pub server: Server,
    /// `MIGRATE_DATABASE_URL`: a direct way past a pooler, for migrations only.
    pub migrate_server: Option<Server>,
    /// `MIGRATE_ON_START`, default true.
    pub migrate_on_start: bool,
    /// `DB_POOL_SIZE`, default 8: connections for everything but look-ups by id.
    pub pool_size: NonZeroUsize,
    /// `DB_LOOKUP_CONNECTIONS`, default 2: connections that share merged look-ups by id.
    pub lookup_connections: NonZeroUsize,
    /// `DB_CONNECT_TIMEOUT`, default 5.
    pub connect_timeout: Duration,
    /// `DB_STATEMENT_TIMEOUT`, default 5.
    pub statement_timeout: Duration,
    /// `DB_POOL_TIMEOUT`, default 5: waiting for a free connection.
    pub pool_timeout: Duration,
    /// `DB_START_TIMEOUT`, default 60: waiting for a database that is still starting.
    pub start_timeout: Duration,
}

/// One database server (or several hosts of one cluster) and how its TLS is checked.
#[derive(Clone)]
pub struct Server {
    pub postgres: tokio_postgres::Config,
    pub tls: DatabaseTls,
}

/// `DB_SSLMODE` (or `sslmode` in the URL) with `DB_CA_FILE` (or `sslrootcert`), as libpq means them.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseTls {
    Disable,
    /// Encrypt when the server can; nobody is authenticated.
    Prefer,
    /// Encrypt or fail; nobody is authenticated.
    Require,
    /// The chain must end in one of these PEM certificates; any host name.
    VerifyCa(Vec<u8>),
    /// The chain must end in one of these PEM certificates and name the host.
    VerifyFull(Vec<u8>),
}

/// How tokens are signed, and which earlier keys are still believed.
#[derive(Debug)]
pub struct Tokens {
    pub signing: SigningKey,
    /// `JWT_PREVIOUS_SECRETS` and `JWT_PREVIOUS_KEYS_FILE`: verification only.
    pub previous: Vec<VerifyingKey>,
    /// `JWT_EXPIRE_MIN`, default 60.
    pub lifetime: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacAlgorithm {
    Hs256,
    Hs384,
    Hs512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsymmetricAlgorithm {
    EdDsa,
    Es256,
}

/// `JWT_ALG` together with the key that fits it.
#[derive(Debug)]
pub enum SigningKey {
    /// `JWT_SECRET_FILE`, else `JWT_SECRET`.
    Hmac(HmacAlgorithm, Secret),
    /// `JWT_PRIVATE_KEY_FILE` or `JWT_PRIVATE_KEY`: PKCS#8 PEM.
    Private(AsymmetricAlgorithm, Secret),
}

#[derive(Debug)]
pub enum VerifyingKey {
    Hmac(HmacAlgorithm, Secret),
    /// A `SubjectPublicKeyInfo` PEM block.
    Public(AsymmetricAlgorithm, String),
}

/// How passwords are hashed.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// `REHASH_LEGACY`, default true: replace bcrypt by scrypt at login.
    pub rehash_legacy: bool,
    /// `HASH_SLOTS`: hashes at once; computed from cores and memory when unset.
    pub slots: Option<NonZeroUsize>,
    /// `HASH_QUEUE`, default 64: logins that may wait for a slot.
    pub queue: NonZeroUsize,
    /// `HASH_DEADLINE`, default 5: the longest wait for a slot.
    pub deadline: Duration,
}

impl Passwords {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            rehash_legacy: reader.flag(&table::REHASH_LEGACY),
            slots: reader.optional_count(&table::HASH_SLOTS),
            queue: reader.count(&table::HASH_QUEUE),
            deadline: reader.seconds(&table::HASH_DEADLINE),
        }
    }
}

/// How many logins are let through to hashing. Each limit is `BURST/SECONDS`: a burst, then one more each so many seconds.
#[derive(Debug, Clone)]
pub struct Throttle {
    /// `LOGIN_LIMIT_ACCOUNT_NETWORK`, default `10/60`: one account from one network.
    pub account_network: Limit,
    /// `LOGIN_LIMIT_NETWORK`, default `100/3`: one network, all accounts.
    pub network: Limit,
    /// `LOGIN_LIMIT_ACCOUNT`, default `50/300`: one account, all networks its owner never logged in from.
    pub account: Limit,
    /// `REGISTER_LIMIT_NETWORK`, default `100/3`: registrations from one network.
    pub register_network: Limit,
}

impl Throttle {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            account_network: reader.limit(&table::LOGIN_LIMIT_ACCOUNT_NETWORK),
            network: reader.limit(&table::LOGIN_LIMIT_NETWORK),
            account: reader.limit(&table::LOGIN_LIMIT_ACCOUNT),
            register_network: reader.limit(&table::REGISTER_LIMIT_NETWORK),
        }
    }
}

/// A burst, then one more each `interval`; `Off` never refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Off,
    Rate { burst: u32, interval: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

impl LogFormat {
    fn read(reader: &mut Reader<'_>) -> Self {
        if reader.word(&table::LOG_FORMAT) == Some("text") { Self::Text } else { Self::Json }
    }
}

/// A value that never appears in a log or a `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into())
    }

    /// The bytes themselves, for the one place that uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// Passwords are inside, so only hosts are shown.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("hosts", &self.postgres.get_hosts()).finish_non_exhaustive()
    }
}
