//! The settings of the database.

use std::{path::PathBuf, time::Duration};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres::{
    Config,
    config::{SslMode, TargetSessionAttrs},
};

use super::{
    Database, DatabaseTls, Server,
    database_url::{self, Parsed},
    fault::{Refusal, quoted},
    reader::{Given, Reader, Reported},
    table::{self, Setting},
    tokens,
};

/// How a server that vanished without a word is noticed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// What the settings beside the URL say about every connection.
struct Shared {
    /// `None` when `DB_SSLMODE` is unset.
    sslmode: Option<&'static str>,
    /// The content of `DB_CA_FILE`, with its path.
    ca: Option<(PathBuf, Vec<u8>)>,
    password: Option<Given>,
    /// `None` when `DB_CONNECT_TIMEOUT` is unset.
    connect_timeout: Option<Duration>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Database> {
    let timeout = reader.seconds(&table::DB_CONNECT_TIMEOUT);
    let sslmode = reader.word(&table::DB_SSLMODE);
    let ca = reader.file(&table::DB_CA_FILE);
    let password = reader.secret(&table::DB_PASSWORD);
    let url = reader.secret(&table::DATABASE_URL);
    let migrate_url = reader.secret(&table::MIGRATE_DATABASE_URL);
    let shared = Shared {
        sslmode: sslmode.filter(|_| reader.is_set(table::DB_SSLMODE.name)),
        ca: ca.ok().flatten(),
        password: password.ok().flatten(),
        connect_timeout: reader.is_set(table::DB_CONNECT_TIMEOUT.name).then_some(timeout),
    };
    let server = match url {
        Ok(Some(url)) => from_url(reader, &url, &shared),
        Ok(None) => from_parts(reader, &shared),
        Err(Reported) => Err(Reported),
    };
    let migrate_server = match migrate_url {
        Ok(Some(url)) => from_url(reader, &url, &shared).ok(),
        Ok(None) | Err(Reported) => None,
    };
    let database = |server: Server| Database {
        connect_timeout: server.postgres.get_connect_timeout().copied().unwrap_or(timeout),
        server,
        migrate_server,
        migrate_on_start: reader.flag(&table::MIGRATE_ON_START),
        pool_size: reader.count(&table::DB_POOL_SIZE),
        lookup_connections: reader.count(&table::DB_LOOKUP_CONNECTIONS),
        statement_timeout: reader.seconds(&table::DB_STATEMENT_TIMEOUT),
        pool_timeout: reader.seconds(&table::DB_POOL_TIMEOUT),
        start_timeout: reader.seconds(&table::DB_START_TIMEOUT),
    };
    let Ok(server) = server else {
        // Only for the faults of the other settings.
        let _ = database(Server { postgres: Config::new(), tls: DatabaseTls::Disable });
        return None;
    };
    Some(database(server))
}

fn from_url(reader: &mut Reader<'_>, url: &Given, shared: &Shared) -> Result<Server, Reported> {
    let Ok(text) = std::str::from_utf8(&url.value) else {
        let refusal = Refusal::new("is not UTF-8", "percent-encode what is not");
        return Err(reader.fault(&url.source, refusal));
    };
    let parsed = database_url::parse(text).map_err(|refusals| {
        for refusal in refusals {
            reader.fault(&url.source, refusal);
        }
        Reported
    })?;
    let given = parsed.postgres.get_password().map(<[u8]>::to_vec);
    if let Some(value) = given {
        refuse_placeholder(reader, &url.source, &value)?;
    }
    complete(reader, &url.source, parsed, shared)
}

fn from_parts(reader: &mut Reader<'_>, shared: &Shared) -> Result<Server, Reported> {
    let password_set = [table::DB_PASSWORD.name.to_owned(), table::DB_PASSWORD.file_name()].map(|n| reader.is_set(&n));
    if password_set == [false, false] {
        let refusal = Refusal::new(
            "is not set, and neither is DB_PASSWORD",
            "set DATABASE_URL=postgresql://USER:PASSWORD@HOST:5432/NAME, or DB_PASSWORD (or DB_PASSWORD_FILE) with \
             DB_HOST, DB_PORT, DB_NAME and DB_USER where they are not db, 5432, app_db and app",
        );
        return Err(reader.fault(table::DATABASE_URL.name, refusal));
    }
    let mut postgres = Config::new();
    postgres.user(reader.text(&table::DB_USER)).dbname(reader.text(&table::DB_NAME));
    let hosts = reader.text(&table::DB_HOST);
    let hosts: Result<Vec<_>, _> =
        hosts.split(',').map(|h| database_url::host(h.trim(), |plain| Ok(plain.to_owned()))).collect();
    let ports = ports(reader);
    let placed = hosts
        .map_err(|r| (table::DB_HOST, r))
        .and_then(|hosts| database_url::add_hosts(&mut postgres, hosts, &ports).map_err(|r| (table::DB_PORT, r)));
    if let Err((setting, refusal)) = placed {
        return Err(reader.fault(setting.name, refusal));
    }
    let parsed =
        Parsed { postgres, sslmode: None, sslrootcert: None, connect_timeout: None, target_session_attrs: None };
    complete(reader, table::DB_HOST.name, parsed, shared)
}

fn ports(reader: &mut Reader<'_>) -> Vec<u16> {
    let value = reader.text(&table::DB_PORT);
    // Kubernetes sets DB_PORT=tcp://10.0.0.1:5432 in every pod beside a service called db.
    if value.starts_with("tcp://") {
        reader.warnings.push(format!(
            "DB_PORT={} comes from a Kubernetes service named db and is ignored; set enableServiceLinks: false",
            quoted(&value)
        ));
        return vec![database_url::DEFAULT_PORT];
    }
    let ports = value.split(',').map(|p| database_url::port(p.trim())).collect::<Result<Vec<_>, _>>();
    ports.unwrap_or_else(|_| {
        let refusal = Refusal::new(
            format!("{} is not a port from 1 to 65535, nor a list of them", quoted(&value)),
            "write one such as 5432",
        );
        reader.fault(table::DB_PORT.name, refusal);
        Vec::new()
    })
}

/// Adds what the settings beside the URL say, and what no setting says.
fn complete(reader: &mut Reader<'_>, source: &str, parsed: Parsed, shared: &Shared) -> Result<Server, Reported> {
    let tls = tls(reader, source, &parsed, shared);
    let mut postgres = parsed.postgres;
    if let (None, Some(password)) = (postgres.get_password(), &shared.password) {
        refuse_placeholder(reader, &password.source, &password.value)?;
        if password.value.contains(&0) {
            let refusal = Refusal::new("has a NUL character", "no password of PostgreSQL has one");
            return Err(reader.fault(&password.source, refusal));
        }
        postgres.password(&password.value);
    }
    let timeout = match (shared.connect_timeout, parsed.connect_timeout) {
        (Some(set), Some(url)) if set != url => {
            return Err(both(reader, &table::DB_CONNECT_TIMEOUT, source, "connect_timeout"));
        }
        (set, url) => set.or(url),
    };
    if let Some(timeout) = timeout.or_else(|| table::DB_CONNECT_TIMEOUT.default.parse().ok().map(Duration::from_secs)) {
        postgres.connect_timeout(timeout);
    }
    // A client of several hosts that took the first one to answer would, after a failover, write to a standby.
    let several = postgres.get_hosts().len() > 1;
    let usual = if several { TargetSessionAttrs::ReadWrite } else { TargetSessionAttrs::Any };
    postgres.target_session_attrs(parsed.target_session_attrs.unwrap_or(usual));
    if postgres.get_application_name().is_none() {
        postgres.application_name("mini-api");
    }
    let untouched = Config::new();
    if postgres.get_keepalives_idle() == untouched.get_keepalives_idle() {
        postgres.keepalives_idle(KEEPALIVE_IDLE);
    }
    if postgres.get_keepalives_interval().is_none() {
        postgres.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if postgres.get_keepalives_retries().is_none() {
        postgres.keepalives_retries(KEEPALIVE_RETRIES);
    }
    if postgres.get_tcp_user_timeout().is_none() {
        postgres.tcp_user_timeout(UNACKNOWLEDGED);
    }
    let tls = tls?;
    postgres.ssl_mode(match tls {
        DatabaseTls::Disable => SslMode::Disable,
        DatabaseTls::Prefer => SslMode::Prefer,
        DatabaseTls::Require | DatabaseTls::VerifyCa(_) | DatabaseTls::VerifyFull(_) => SslMode::Require,
    });
    Ok(Server { postgres, tls })
}

fn both(reader: &mut Reader<'_>, setting: &Setting, source: &str, parameter: &str) -> Reported {
    let refusal = Refusal::new(
        format!("is set, and {source} has another {parameter}"),
        "leave one of them out, so that it is clear which one counts",
    );
    reader.fault(setting.name, refusal)
}

fn tls(reader: &mut Reader<'_>, source: &str, parsed: &Parsed, shared: &Shared) -> Result<DatabaseTls, Reported> {
    let mode = match (shared.sslmode, parsed.sslmode.as_deref()) {
        (Some(set), Some(url)) if set != url => return Err(both(reader, &table::DB_SSLMODE, source, "sslmode")),
        (Some(mode), _) | (None, Some(mode)) => mode,
        (None, None) => table::DB_SSLMODE.default,
    };
    let ca = match (&shared.ca, &parsed.sslrootcert) {
        (Some((set, _)), Some(url)) if set != url => {
            return Err(both(reader, &table::DB_CA_FILE, source, "sslrootcert"));
        }
        (Some((_, pem)), _) => Some((table::DB_CA_FILE.name, pem.clone())),
        (None, Some(path)) => Some((source, reader.read(source, path)?)),
        // DB_CA_FILE is set but unreadable, which is already noted.
        (None, None) if reader.is_set(table::DB_CA_FILE.name) => return Err(Reported),
        (None, None) => None,
    };
    let verify = matches!(mode, "verify-ca" | "verify-full");
    match (mode, ca) {
        ("disable" | "prefer", Some((name, _))) => {
            let refusal = Refusal::new(
                format!("names authorities, but with sslmode {mode} nobody is authenticated"),
                "set DB_SSLMODE=verify-full, or name no authorities",
            );
            Err(reader.fault(name, refusal))
        }
        ("disable", None) => Ok(DatabaseTls::Disable),
        ("prefer", None) => Ok(DatabaseTls::Prefer),
        ("require", None) => Ok(DatabaseTls::Require),
        ("require" | "verify-ca" | "verify-full", Some((name, pem))) => {
            let pem = authorities(reader, name, pem)?;
            // libpq: require with authorities at hand is verify-ca.
            Ok(if mode == "verify-full" { DatabaseTls::VerifyFull(pem) } else { DatabaseTls::VerifyCa(pem) })
        }
        (_, None) if verify => {
            let refusal = Refusal::new(
                format!("is not set, but sslmode is {mode}"),
                "name the PEM file of the authority that signed the database's certificate: the service brings no \
                 authorities along",
            );
            Err(reader.fault(table::DB_CA_FILE.name, refusal))
        }
        _ => {
            let refusal =
                Refusal::new("has an unknown sslmode", "write disable, prefer, require, verify-ca or verify-full");
            Err(reader.fault(source, refusal))
        }
    }
}

fn authorities(reader: &mut Reader<'_>, name: &str, pem: Vec<u8>) -> Result<Vec<u8>, Reported> {
    let mend = "name a file with at least one PEM block BEGIN CERTIFICATE";
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        if certificate.is_err() || certificate.is_ok_and(|c| roots.add(c).is_err()) {
            return Err(
                reader.fault(name, Refusal::new("the file it names has a certificate that cannot be read", mend))
            );
        }
    }
    if roots.is_empty() {
        return Err(reader.fault(name, Refusal::new("the file it names has no certificate", mend)));
    }
    Ok(pem)
}

fn refuse_placeholder(reader: &mut Reader<'_>, source: &str, password: &[u8]) -> Result<(), Reported> {
    if tokens::says_change_me(password) {
        let refusal = Refusal::new(
            "the password is a placeholder",
            "give the database's user a password of its own and set that",
        );
        return Err(reader.fault(source, refusal));
    }
    Ok(())
}
