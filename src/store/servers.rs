//! The servers behind one URL, asked in turn.
//!
//! tokio-postgres limits only the TCP connection of each host: one that accepts and then says nothing, or a deadline over
//! all of them, would keep a client from ever reaching the next. Here each host has the whole time-out to itself.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    Client, Config, Connection, Error, Socket,
    config::{Host, LoadBalanceHosts, TargetSessionAttrs},
};

use super::{
    connect::{Encrypted, Tls},
    explain,
};
use crate::config;

pub(super) type Connected = (Client, Connection<Socket, Encrypted<Socket>>);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Servers(Arc<Inner>);

struct Inner {
    each: Vec<Config>,
    limit: Duration,
    tls: Tls,
    balanced: bool,
    // The one to begin with: after a failover the server that is gone is asked last.
    first: AtomicUsize,
}

/// Why no server was good enough.
#[derive(Debug)]
pub(super) enum Unreachable {
    Refused(Error),
    Silent(Duration),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => f.write_str(&explain(error)),
            Self::Silent(limit) => write!(f, "no connection to the database within {} s", limit.as_secs_f32()),
        }
    }
}

impl Servers {
    /// # Errors
    /// A sentence when the CA certificates cannot be used.
    pub fn new(server: &config::Server, limit: Duration) -> Result<Self, String> {
        let all = &server.postgres;
        let count = all.get_hosts().len().max(all.get_hostaddrs().len());
        Ok(Self(Arc::new(Inner {
            each: (0..count).map(|i| only(all, i)).collect(),
            limit,
            tls: Tls::new(&server.tls)?,
            balanced: all.get_load_balance_hosts() == LoadBalanceHosts::Random,
            first: AtomicUsize::new(0),
        })))
    }

    pub fn tls(&self) -> &Tls {
        &self.0.tls
    }

    pub fn wants_writable(&self) -> bool {
        self.0.each.iter().all(|one| one.get_target_session_attrs() == TargetSessionAttrs::ReadWrite)
    }

    /// The longest that [`Self::connect`] takes.
    pub fn patience(&self) -> Duration {
        self.0.limit.saturating_mul(u32::try_from(self.0.each.len()).unwrap_or(u32::MAX))
    }

    /// The first server that will have us, and is what `target_session_attrs` asks for.
    pub async fn connect(&self) -> Result<Connected, Unreachable> {
        let Inner { each, limit, tls, balanced, first } = &*self.0;
        let mut refused = None;
        let start = if *balanced { first.fetch_add(1, Ordering::Relaxed) } else { first.load(Ordering::Relaxed) };
        for turn in 0..each.len() {
            let place = start.wrapping_add(turn) % each.len();
            match timeout(*limit, each[place].connect(tls.clone())).await {
                Ok(Ok(connected)) => {
                    if !balanced {
                        first.store(place, Ordering::Relaxed);
                    }
                    return Ok(connected);
                }
                Ok(Err(error)) => refused = Some(error),
                Err(_) => {}
            }
        }
        Err(refused.map_or_else(|| Unreachable::Silent(self.patience()), Unreachable::Refused))
    }
}

impl deadpool_postgres::Connect for Servers {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async move {
            match Self::connect(self).await {
                // How a connection ended, each statement on it is told.
                Ok((client, connection)) => Ok((client, tokio::spawn(async move { drop(connection.await) }))),
                Err(Unreachable::Refused(error)) => Err(error),
                // The pool's own deadline, which is the same, says so.
                Err(Unreachable::Silent(_)) => std::future::pending().await,
            }
        })
    }
}

// The settings of all hosts, for one of them.
fn only(all: &Config, place: usize) -> Config {
    let mut one = Config::new();
    match all.get_hosts().get(place) {
        Some(Host::Tcp(name)) => {
            one.host(name);
        }
        Some(Host::Unix(folder)) => {
            one.host_path(folder);
        }
        None => {}
    }
    if let Some(address) = all.get_hostaddrs().get(place) {
        one.hostaddr(*address);
    }
    if let Some(port) = all.get_ports().get(place).or_else(|| all.get_ports().first()) {
        one.port(*port);
    }
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    if let Some(limit) = all.get_connect_timeout() {
        one.connect_timeout(*limit);
    }
    if let Some(limit) = all.get_tcp_user_timeout() {
        one.tcp_user_timeout(*limit);
    }
    if let Some(pause) = all.get_keepalives_interval() {
        one.keepalives_interval(pause);
    }
    if let Some(count) = all.get_keepalives_retries() {
        one.keepalives_retries(count);
    }
    one.keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .target_session_attrs(all.get_target_session_attrs())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    // `only` copies by name, so a parameter it forgets would silently mean nothing.
    #[test]
    fn one_host_keeps_every_parameter_of_the_url() {
        let parameters = "user=u password=p dbname=d options=-cx=1 application_name=a connect_timeout=7 \
                          tcp_user_timeout=8000 keepalives=0 keepalives_idle=9 keepalives_interval=10 \
                          keepalives_retries=11 sslmode=require sslnegotiation=direct \
                          target_session_attrs=read-write channel_binding=require load_balance_hosts=random";
        let parse = |hosts: &str| format!("{hosts} {parameters}").parse::<Config>().unwrap_or_default();
        let all = parse("host=a,b hostaddr=1.2.3.4,5.6.7.8 port=1,2");
        assert_eq!(only(&all, 1), parse("host=b hostaddr=5.6.7.8 port=2"));
        let one_port = parse("host=a,/run/x port=3");
        assert_eq!(only(&one_port, 1), parse("host=/run/x port=3"));
    }
}
