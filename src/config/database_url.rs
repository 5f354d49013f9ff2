//! `postgresql://…` as libpq and `SQLAlchemy` write it. The URL parser of tokio-postgres is not used: it knows neither
//! `verify-full` nor a password that was pasted without percent-encoding.

use std::{net::Ipv6Addr, path::PathBuf, time::Duration};

use tokio_postgres::{
    Config,
    config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs},
};

use super::fault::Refusal;

pub(super) const DEFAULT_PORT: u16 = 5432;
const FORM: &str = "write postgresql://USER:PASSWORD@HOST:PORT/NAME, special characters percent-encoded";

/// One host, address or socket folder, with its port where it is written down.
pub(super) type Host = (String, Option<u16>);

/// What a URL says. TLS, and time-outs that settings of their own have as well, are not yet in `postgres`.
pub(super) struct Parsed {
    pub postgres: Config,
    pub sslmode: Option<String>,
    pub sslrootcert: Option<PathBuf>,
    pub connect_timeout: Option<Duration>,
    pub target_session_attrs: Option<TargetSessionAttrs>,
}

/// Parses a URL. A refusal never repeats a value, because any part may be one of the password.
pub(super) fn parse(url: &str) -> Result<Parsed, Vec<Refusal>> {
    let one = |refusal| vec![refusal];
    let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| one(Refusal::new("is not a URL", FORM)))?;
    let dialect = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
    if !matches!(dialect.as_str(), "postgres" | "postgresql") {
        return Err(one(Refusal::new("its scheme is not postgresql", FORM)));
    }
    let (head, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !head.contains('@') && query.contains('@') {
        let mend = "in a user or password write %3F for ? and %40 for @; in a parameter write %40 for @";
        return Err(one(Refusal::new("has an @ after a ?", mend)));
    }
    // The last @, and before any look at /: people paste passwords that have both.
    let (user_info, location) = head.rsplit_once('@').map_or((None, head), |(user, place)| (Some(user), place));
    let (authority, name) = location.split_once('/').unwrap_or((location, ""));

    let mut parsed = Parsed {
        postgres: Config::new(),
        sslmode: None,
        sslrootcert: None,
        connect_timeout: None,
        target_session_attrs: None,
    };
    let mut refusals = Vec::new();
    let mut place = Place::default();
    if let Some(user_info) = user_info {
        let (user, password) = user_info.split_once(':').map_or((user_info, None), |(u, p)| (u, Some(p)));
        place.user = Some(user.to_owned());
        place.password = password.map(decode);
    }
    if !authority.is_empty() {
        place.hosts = authority.split(',').map(str::to_owned).collect();
    }
    if !name.is_empty() {
        place.name = Some(name.to_owned());
    }
    for parameter in query.split('&').filter(|p| !p.is_empty()) {
        if let Err(refusal) = apply(&mut parsed, &mut place, parameter) {
            refusals.push(refusal);
        }
    }
    if let Err(refusal) = place.settle(&mut parsed.postgres) {
        refusals.push(refusal);
    }
    if refusals.is_empty() { Ok(parsed) } else { Err(refusals) }
}

/// Who and where, still percent-encoded; a parameter may replace what stood before the `?`.
#[derive(Default)]
struct Place {
    user: Option<String>,
    password: Option<Vec<u8>>,
    hosts: Vec<String>,
    host_parameter: Vec<String>,
    ports: Vec<String>,
    addresses: Vec<String>,
    name: Option<String>,
}

impl Place {
    fn settle(self, postgres: &mut Config) -> Result<(), Refusal> {
        let user = self.user.map(|u| text(&u)).transpose()?.filter(|u| !u.is_empty());
        postgres.user(user.ok_or_else(|| Refusal::new("names no user", FORM))?);
        if let Some(password) = self.password.filter(|p| !p.is_empty()) {
            if password.contains(&0) {
                return Err(Refusal::new("has a NUL character in its password", "no password of PostgreSQL has one"));
            }
            postgres.password(password);
        }
        if let Some(name) = self.name {
            postgres.dbname(text(&name)?);
        }
        let hosts = if self.host_parameter.is_empty() { self.hosts } else { self.host_parameter };
        let hosts = hosts.iter().map(|h| host(h, text)).collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(Refusal::new("names no host", FORM));
        }
        let ports = self.ports.iter().map(|p| port(p)).collect::<Result<Vec<_>, _>>()?;
        add_hosts(postgres, hosts, &ports)?;
        if !self.addresses.is_empty() && self.addresses.len() != postgres.get_hosts().len() {
            return Err(Refusal::new("has not as many hostaddr as hosts", "give one hostaddr for each host, or none"));
        }
        for address in self.addresses {
            let refusal = || Refusal::new("its hostaddr is not an IP address", "write an address such as 10.0.0.5");
            postgres.hostaddr(address.parse().map_err(|_| refusal())?);
        }
        Ok(())
    }
}

/// Adds hosts to a configuration: their own ports first, else the listed ones, else the usual one.
pub(super) fn add_hosts(postgres: &mut Config, hosts: Vec<Host>, ports: &[u16]) -> Result<(), Refusal> {
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(Refusal::new("has not as many ports as hosts", "give one port for all hosts, or one for each"));
    }
    for (index, (name, own_port)) in hosts.into_iter().enumerate() {
        let listed = ports.get(index).or(ports.first()).copied();
        postgres.host(name).port(own_port.or(listed).unwrap_or(DEFAULT_PORT));
    }
    Ok(())
}

/// `host`, `host:port`, `[v6]:port`, a bare IPv6 address or a folder.
pub(super) fn host(entry: &str, decode: impl Fn(&str) -> Result<String, Refusal>) -> Result<Host, Refusal> {
    if entry.starts_with('/') {
        return Ok((decode(entry)?, None));
    }
    let (name, own_port) = if let Some(bracketed) = entry.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']').ok_or_else(bad_host)?;
        address.parse::<Ipv6Addr>().map_err(|_| bad_host())?;
        match rest.strip_prefix(':') {
            Some(digits) => (address, Some(port(digits)?)),
            None if rest.is_empty() => (address, None),
            None => return Err(bad_host()),
        }
    } else if entry.parse::<Ipv6Addr>().is_ok() {
        (entry, None)
    } else {
        match entry.split_once(':') {
            Some((name, digits)) => (name, Some(port(digits)?)),
            None => (entry, None),
        }
    };
    let name = decode(name)?;
    let good = name.starts_with('/')
        || !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b));
    if good { Ok((name, own_port)) } else { Err(bad_host()) }
}

fn bad_host() -> Refusal {
    Refusal::new(
        "has a host that is no name, address or socket folder",
        "write host, host:port or [IPv6]:port, several separated by commas",
    )
}

pub(super) fn port(digits: &str) -> Result<u16, Refusal> {
    // libpq: an empty port is the usual one.
    if digits.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    let number = digits.parse().ok().filter(|p| *p > 0 && digits.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| {
        Refusal::new(
            "has a port that is not a number from 1 to 65535",
            "write one such as 5432; a : / ? or @ in a password is percent-encoded",
        )
    })
}

fn apply(parsed: &mut Parsed, place: &mut Place, parameter: &str) -> Result<(), Refusal> {
    let unusable = || Refusal::new("has a parameter that is not NAME=VALUE", "write parameters as ?NAME=VALUE&…");
    let (name, raw) = parameter.split_once('=').ok_or_else(unusable)?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return Err(unusable());
    }
    let value = text(raw)?;
    let list = || value.split(',').map(str::to_owned);
    let bad = |mend: &str| Refusal::new(format!("its parameter {name} has an unknown value"), mend.to_owned());
    let number =
        |unit: &str| value.parse::<u32>().map_err(|_| bad(&format!("write a whole number of {unit}"))).map(u64::from);
    let postgres = &mut parsed.postgres;
    match name {
        "user" => place.user = Some(raw.to_owned()),
        "password" => place.password = Some(decode(raw)),
        "dbname" => place.name = Some(raw.to_owned()),
        "host" => {
            place.host_parameter.extend(raw.replace("%2C", ",").replace("%2c", ",").split(',').map(str::to_owned));
        }
        "port" => place.ports.extend(list()),
        "hostaddr" => place.addresses.extend(list()),
        "sslmode" => parsed.sslmode = Some(value),
        "sslrootcert" if value == "system" => {
            return Err(Refusal::new(
                "its sslrootcert is system, but the service brings no authorities along",
                "name a PEM file in DB_CA_FILE",
            ));
        }
        "sslrootcert" => parsed.sslrootcert = Some(value.into()).filter(|_| !raw.is_empty()),
        "connect_timeout" => {
            parsed.connect_timeout = Some(Duration::from_secs(number("seconds")?)).filter(|t| !t.is_zero());
        }
        "target_session_attrs" => {
            parsed.target_session_attrs = Some(match value.as_str() {
                "any" => TargetSessionAttrs::Any,
                "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
                "read-only" => TargetSessionAttrs::ReadOnly,
                _ => return Err(bad("write any, read-write or read-only")),
            });
        }
        "load_balance_hosts" => {
            postgres.load_balance_hosts(match value.as_str() {
                "disable" => LoadBalanceHosts::Disable,
                "random" => LoadBalanceHosts::Random,
                _ => return Err(bad("write disable or random")),
            });
        }
        "channel_binding" => {
            postgres.channel_binding(match value.as_str() {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" => ChannelBinding::Require,
                _ => return Err(bad("write disable, prefer or require")),
            });
        }
        "sslnegotiation" => {
            postgres.ssl_negotiation(match value.as_str() {
                "postgres" => SslNegotiation::Postgres,
                "direct" => SslNegotiation::Direct,
                _ => return Err(bad("write postgres or direct")),
            });
        }
        "application_name" => {
            postgres.application_name(value);
        }
        "options" => {
            postgres.options(value);
        }
        "keepalives" => {
            postgres.keepalives(number("0 or 1")? != 0);
        }
        "keepalives_idle" => {
            postgres.keepalives_idle(Duration::from_secs(number("seconds")?));
        }
        "keepalives_interval" => {
            postgres.keepalives_interval(Duration::from_secs(number("seconds")?));
        }
        "keepalives_count" => {
            postgres.keepalives_retries(u32::try_from(number("probes")?).unwrap_or(u32::MAX));
        }
        "tcp_user_timeout" => {
            postgres.tcp_user_timeout(Duration::from_millis(number("milliseconds")?));
        }
        // SQLAlchemy users write it; nothing else is ever spoken here.
        "client_encoding" if matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "auto") => {}
        "client_encoding" => return Err(bad("leave it out: the service speaks UTF-8")),
        // Without Kerberos these two mean what happens anyway.
        "gssencmode" if matches!(value.as_str(), "disable" | "prefer") => {}
        _ => {
            return Err(Refusal::new(
                format!("has the unknown parameter {}", shortened(name)),
                "leave it out; docs/configuration.md lists those that are known",
            ));
        }
    }
    Ok(())
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Percent-decodes; a `%` without two hexadecimal digits stands for itself, as it does for `SQLAlchemy`.
pub(super) fn decode(encoded: &str) -> Vec<u8> {
    let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*first),
        }
    }
    decoded
}

// Everything but a password is text without NUL: the protocol ends its strings with one.
fn text(encoded: &str) -> Result<String, Refusal> {
    let refusal = || Refusal::new("has a part that is not UTF-8 text without NUL", "percent-encode its UTF-8 bytes");
    String::from_utf8(decode(encoded)).ok().filter(|t| !t.contains('\0')).ok_or_else(refusal)
}
