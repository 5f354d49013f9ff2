//! The life of the service: start, become ready, serve, drain, stop.

use std::{
    fmt, iter,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{
        password::{self, Cost, Hasher, Resources},
        throttle::Throttle,
        token::Tokens,
    },
    config::Settings,
    http::{
        self, App, metrics,
        server::{self, Counters, Listener, Tls, serve},
    },
    store::{MigrateError, SchemaState, Store, StoreError},
    telemetry::{Event, Log, Metrics},
};

/// How often renewed certificates are looked for.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(2);
/// How often rows of the throttle that mean nothing any more are removed.
pub const KEEP_HOUSE_EVERY: Duration = Duration::from_mins(1);
/// Connections the system holds ready for us: thousands may come at once after a failover elsewhere.
const BACKLOG: u32 = 4096;
/// Between two attempts to reach a database that is still starting.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// Between two attempts to migrate a table that somebody uses: each holds everybody else up for a moment.
const RETRY_LOCKED: Duration = Duration::from_secs(10);

/// Why the service could not start or go on; `main` knows the exit code of each.
#[derive(Debug)]
pub enum Fatal {
    /// A setting that only shows to be wrong when it is used.
    Settings(String),
    /// The database did not become usable in time.
    Unavailable(String),
    /// The data must be mended by a person first.
    Data(String),
    /// The operating system refused.
    System(String),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(why) | Self::Unavailable(why) | Self::Data(why) | Self::System(why) => f.write_str(why),
        }
    }
}

impl From<MigrateError> for Fatal {
    fn from(error: MigrateError) -> Self {
        match &error {
            MigrateError::Store(StoreError::Unavailable(_)) | MigrateError::Locked(_) => {
                Self::Unavailable(error.to_string())
            }
            MigrateError::Collisions(_) | MigrateError::Foreign(_) => Self::Data(error.to_string()),
            MigrateError::TooNew { .. } | MigrateError::Refused(_) | MigrateError::Store(_) => {
                Self::Settings(error.to_string())
            }
        }
    }
}

// Why the service is not ready, and when to look again.
struct Wait {
    why: String,
    pause: Duration,
}

impl Wait {
    fn shortly(why: impl Into<String>) -> Self {
        Self { why: why.into(), pause: RETRY_EVERY }
    }
}

/// A service that listens.
pub struct Service {
    pub app: Arc<App>,
    /// Where it listens; the port is the one the system chose when 0 was asked for.
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    stop: CancellationToken,
    serving: Vec<tokio::task::JoinHandle<server::ServeReport>>,
    settings: Settings,
}

impl Service {
    /// Listens at once, so that `/livez` answers while the database is still starting.
    #[allow(clippy::unused_async, reason = "it spawns tasks, so it must be called inside the runtime")]
    pub async fn listen(settings: Settings, cost: Cost, log: Log) -> Result<Self, Fatal> {
        raise_descriptor_limit();
        let tokens = Tokens::new(&settings.tokens).map_err(|bad| Fatal::Settings(bad.0))?;
        let store = Store::new(&settings.database).map_err(Fatal::Settings)?;
        let tls = settings.http.tls.as_ref().map(|files| Tls::load(files, CERTIFICATE_CHECK)).transpose();
        let tls = tls.map_err(|fault| Fatal::Settings(fault.to_string()))?;
        let metrics = Arc::new(Metrics::new(crate::VERSION, SystemTime::now(), &log));
        let hasher = Hasher::start(
            &settings.passwords,
            cost,
            &Resources::detect(Path::new("/")),
            Arc::new(HashMeter(metrics.clone())),
        )
        .map_err(|error| Fatal::System(format!("the hash threads cannot be started: {error}")))?;
        metrics.hash_slots.set(gauge(hasher.slots().get()));
        let app = Arc::new(App::new(store, tokens, hasher, log.clone(), metrics, &settings.passwords));

        let stop = CancellationToken::new();
        let counters = Arc::new(Counters::default());
        let on_event: server::EventSink = {
            let log = log.clone();
            Arc::new(move |event| tell(&log, event))
        };
        let socket = bind("LISTEN_ADDR", settings.http.listen)?;
        let address = socket.local_addr().map_err(|e| Fatal::System(e.to_string()))?;
        let public = Listener {
            socket,
            tls,
            limits: settings.http.limits.clone(),
            endpoint: http::routes(app.clone(), settings.http.cors.clone(), settings.http.trusted_proxies.clone()),
            counters: counters.clone(),
            on_event: on_event.clone(),
        };
        let mut serving = vec![tokio::spawn(serve(public, stop.clone()))];
        let mut admin_address = None;
        if let Some(admin) = settings.http.admin {
            let socket = bind("ADMIN_ADDR", admin)?;
            admin_address = socket.local_addr().ok();
            let administration = Listener {
                socket,
                tls: None,
                limits: settings.http.limits.clone(),
                endpoint: metrics::routes(app.clone(), counters),
                counters: Arc::default(),
                on_event,
            };
            serving.push(tokio::spawn(serve(administration, stop.clone())));
        }
        for address in iter::once(address).chain(admin_address) {
            app.log.service(Event::Listening, &[("address", (&address.to_string()).into())]);
        }
        Ok(Self { app, address, admin_address, stop, serving, settings })
    }

    /// Waits for the database, brings or waits for the schema, and lets requests through; from then until it drains the
    /// service keeps house every so often.
    pub async fn become_ready(&self, keep_house_every: Duration) -> Result<(), Fatal> {
        let database = &self.settings.database;
        let deadline = Instant::now() + database.start_timeout;
        let mut told = String::new();
        loop {
            let Wait { why, pause } = match self.prepare().await? {
                Ok(key) => {
                    self.app.ready(Throttle::new(&key, self.settings.throttle.clone()));
                    self.app.log.service(Event::Ready, &[]);
                    let housekeeping = keep_house(self.app.clone(), keep_house_every);
                    tokio::spawn(self.stop.clone().run_until_cancelled_owned(housekeeping));
                    return Ok(());
                }
                Err(wait) => wait,
            };
            let now = Instant::now();
            if now >= deadline {
                return Err(Fatal::Unavailable(format!(
                    "the database was not usable within {} s (DB_START_TIMEOUT): {why}",
                    database.start_timeout.as_secs()
                )));
            }
            if why != told {
                self.app.log.service(Event::DatabaseWaiting, &[("error", (&why).into())]);
                told = why;
            }
            sleep_until(deadline.min(now + pause)).await;
        }
    }

    // The key for the throttle, or why it is worth waiting.
    async fn prepare(&self) -> Result<Result<Vec<u8>, Wait>, Fatal> {
        let state = match self.app.store.schema_state().await {
            Ok(SchemaState::Behind) if self.settings.database.migrate_on_start => match self.migrate().await? {
                Ok(()) => self.app.store.schema_state().await,
                Err(wait) => return Ok(Err(wait)),
            },
            Ok(SchemaState::Behind) => {
                let why = "the schema lacks migrations of this release and MIGRATE_ON_START is false";
                return Ok(Err(Wait::shortly(why)));
            }
            state => state,
        };
        match state {
            Ok(SchemaState::Ready { pseudonym_key }) => Ok(Ok(pseudonym_key)),
            Ok(SchemaState::TooNew { oldest }) => Err(MigrateError::TooNew { oldest }.into()),
            Ok(SchemaState::Behind) => Err(Fatal::Settings(
                "the schema was migrated, and is not seen where the service looks: let DATABASE_URL and \
                 MIGRATE_DATABASE_URL name the same database and schema"
                    .into(),
            )),
            Err(error) => Ok(Err(Wait::shortly(error.to_string()))),
        }
    }

    // Whether the schema is up to date now, or why it is worth waiting.
    async fn migrate(&self) -> Result<Result<(), Wait>, Fatal> {
        match self.app.store.migrate().await {
            Ok(migrated) => {
                let applied = migrated.applied.join(", ");
                self.app.log.service(Event::SchemaMigrated, &[("applied", (&applied).into())]);
                Ok(Ok(()))
            }
            Err(MigrateError::Store(StoreError::Unavailable(why))) => Ok(Err(Wait::shortly(why))),
            Err(locked @ MigrateError::Locked(_)) => Ok(Err(Wait { why: locked.to_string(), pause: RETRY_LOCKED })),
            Err(error) => Err(error.into()),
        }
    }

    /// Serves until told to stop by SIGTERM or SIGINT, then drains; a second signal ends the wait.
    pub async fn run(self) -> Result<(), Fatal> {
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| Fatal::System(e.to_string()))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| Fatal::System(e.to_string()))?;
        tokio::select! {
            ready = self.become_ready(KEEP_HOUSE_EVERY) => ready?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::select! {
            () = self.drain() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }

    /// Fails readiness, lets requests in flight finish, and closes.
    pub async fn drain(self) {
        let limits = &self.settings.http.limits;
        self.app.log.service(Event::Draining, &[]);
        self.app.drain();
        self.stop.cancel();
        let mut cut = 0;
        for serving in self.serving {
            // The server keeps its own deadline; this one is for the day it does not.
            let longest = limits.drain_delay + limits.drain + Duration::from_secs(5);
            if let Ok(Ok(report)) = timeout(longest, serving).await {
                cut += report.cut;
            }
        }
        self.app.log.service(Event::Stopped, &[("connections_cut", (cut as u64).into())]);
    }
}

// Systems start processes with a soft limit of 1024 files for the sake of old programs; each connection is one.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused, it only means that the listener makes room earlier.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Fatal> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart need not wait for the last one's connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        Fatal::System(format!(
            "{setting}: cannot listen on {address}: {error}; free that address or name another one in {setting}"
        ))
    })
}

async fn keep_house(app: Arc<App>, every: Duration) {
    let mut turn = tokio::time::interval(every);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    turn.tick().await;
    loop {
        turn.tick().await;
        if let Err(error) = app.store.prune_attempts().await {
            app.log.service(Event::HouseworkFailed, &[("error", (&error.to_string()).into())]);
        }
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

// What the listener does outside any request.
fn tell(log: &Log, event: &server::Event) {
    let text = event.to_string();
    let kind = match event {
        server::Event::AcceptFailed { .. } => Event::AcceptFailed,
        server::Event::Full { .. } => Event::ConnectionsFull,
        server::Event::ConnectionCut { .. } => Event::ConnectionCut,
        server::Event::CertificateRenewed => Event::TlsReloaded,
        server::Event::CertificateNotRenewed(_) => Event::TlsReloadFailed,
    };
    log.service(kind, &[("message", (&text).into())]);
}

// What the hash slots do, for the metrics.
struct HashMeter(Arc<Metrics>);

impl password::Observer for HashMeter {
    fn waiting(&self, requests: usize) {
        self.0.hash_queue.set(gauge(requests));
    }

    fn started(&self, waited: Duration) {
        self.0.hash_slots_busy.inc();
        self.0.hash_waited(waited);
    }

    fn finished(&self) {
        self.0.hash_slots_busy.dec();
    }
}
