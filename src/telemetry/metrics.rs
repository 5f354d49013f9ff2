//! Counters, gauges and histograms, as Prometheus reads them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::Log;

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From a look-up in memory to a login that queues, in seconds.
const BUCKETS: [f64; 16] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metrics of the service. Every label has a bounded set of values, whatever clients send.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, Buckets>,
    logins: Family<LoginLabels, Counter>,
    registrations: Family<RegistrationLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    database_errors: Family<DatabaseLabels, Counter>,
    resident: Gauge,
    connections: Gauge,
    connections_accepted: Counter,
    connections_closed: Family<CloseLabels, Counter>,
    accept_errors: Counter,
    /// Hashes that may be computed at once.
    pub hash_slots: Gauge,
    /// Hashes being computed.
    pub hash_slots_busy: Gauge,
    /// Hashes waiting for a slot.
    pub hash_queue: Gauge,
    hash_wait: Histogram,
}

#[derive(Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// Connections of one listener: open now, and since it began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connections {
    pub open: u64,
    pub accepted: u64,
    pub accept_errors: u64,
    pub evicted: u64,
    pub overdue: u64,
    pub refused_handshakes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: Method,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    outcome: Login,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RegistrationLabels {
    outcome: Registration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    bucket: Bucket,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DatabaseLabels {
    kind: DatabaseError,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// The values of a label, and the words for them.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(
                &self,
                encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
            ) -> Result<(), std::fmt::Error> {
                self.word().encode(encoder)
            }
        }
    };
}

label! {
    /// A method, of which clients may invent more.
    Method {
        Get = "GET", Head = "HEAD", Post = "POST", Put = "PUT", Patch = "PATCH", Delete = "DELETE",
        Options = "OPTIONS", Other = "other",
    }
}

label! {
    /// How a login ended.
    Login { Succeeded = "succeeded", Failed = "failed", Throttled = "throttled", Busy = "busy", }
}

label! {
    /// How a registration ended.
    Registration { Created = "created", Taken = "taken", Throttled = "throttled", Busy = "busy", }
}

label! {
    /// The limit that refused.
    Bucket {
        AccountNetwork = "account_network", Network = "network", Account = "account",
        RegisterNetwork = "register_network",
    }
}

label! {
    /// What went wrong with the database.
    DatabaseError { Unavailable = "unavailable", Unexpected = "unexpected", }
}

impl Method {
    pub fn parse(method: &str) -> Self {
        Self::ALL.iter().copied().find(|m| m.word() == method).unwrap_or(Self::Other)
    }
}

/// The metrics of one route, found once. Cheap to clone, and cheap to observe with.
#[derive(Clone)]
pub struct Route {
    template: &'static str,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    /// The answer the route gives nearly always: its first success.
    usual: Arc<OnceLock<(Method, u16, Counter)>>,
}

impl Route {
    pub fn observe(&self, method: &str, status: u16, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        let method = Method::parse(method);
        match self.usual.get() {
            Some((usual_method, usual_status, counter)) if (*usual_method, *usual_status) == (method, status) => {
                counter.inc();
            }
            usual => {
                let labels = RequestLabels { method, route: self.template, status };
                let counter = self.requests.get_or_create_owned(&labels);
                counter.inc();
                if usual.is_none() && (200..300).contains(&status) {
                    // Lost races are lost work, no more.
                    let _ = self.usual.set((method, status, counter));
                }
            }
        }
    }
}

impl Metrics {
    /// `started` is when the process began; `log` counts the lines it had to drop.
    pub fn new(version: &'static str, started: SystemTime, log: &Log) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(Buckets),
            logins: Family::default(),
            registrations: Family::default(),
            refusals: Family::default(),
            database_errors: Family::default(),
            resident: Gauge::default(),
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_closed: Family::default(),
            accept_errors: Counter::default(),
            hash_slots: Gauge::default(),
            hash_slots_busy: Gauge::default(),
            hash_queue: Gauge::default(),
            hash_wait: Histogram::new(BUCKETS),
        };
        metrics.zeros();
        metrics.registered(version, started, log)
    }

    fn registered(mut self, version: &'static str, started: SystemTime, log: &Log) -> Self {
        let all = &mut self.registry;
        let our = all.sub_registry_with_prefix("mini_api");
        our.register("http_requests", "Requests answered, by method, route template and status", self.requests.clone());
        our.register_with_unit(
            "http_request_duration",
            "From the last header to the response, by route template",
            Unit::Seconds,
            self.durations.clone(),
        );
        our.register("connections", "Open connections of clients", self.connections.clone());
        our.register("connections_accepted", "Connections accepted", self.connections_accepted.clone());
        our.register(
            "connections_closed",
            "Connections that the service closed: `evicted` to make room, `overdue` in sending or taking, `handshake` of TLS \
             that failed",
            self.connections_closed.clone(),
        );
        our.register("accept_errors", "Connections that could not be accepted", self.accept_errors.clone());
        our.register("logins", "Logins by outcome", self.logins.clone());
        our.register("registrations", "Registrations by outcome", self.registrations.clone());
        our.register("throttle_refusals", "Refusals of the throttle, by the limit that refused", self.refusals.clone());
        our.register("hash_slots", "Password hashes that may be computed at once", self.hash_slots.clone());
        our.register("hash_slots_busy", "Password hashes being computed", self.hash_slots_busy.clone());
        our.register("hash_queue", "Password hashes waiting for a slot", self.hash_queue.clone());
        our.register_with_unit("hash_wait", "The wait for a slot", Unit::Seconds, self.hash_wait.clone());
        our.register("database_errors", "Errors of the database, by kind", self.database_errors.clone());
        our.register("log_lines_dropped", "Log lines lost because nobody took them in time", log.dropped());
        our.register("build", "The version of the binary", Info::new(BuildLabels { version }));
        let process = all.sub_registry_with_prefix("process");
        process.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, self.resident.clone());
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        start.set(started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        process.register_with_unit("start_time", "When the process began, since 1970", Unit::Seconds, start);
        self
    }

    // A rate over a series that appears with its first event misses that event.
    fn zeros(&self) {
        self.listener(&Connections::default());
        for outcome in Login::ALL {
            drop(self.logins.get_or_create(&LoginLabels { outcome: *outcome }));
        }
        for outcome in Registration::ALL {
            drop(self.registrations.get_or_create(&RegistrationLabels { outcome: *outcome }));
        }
        for bucket in Bucket::ALL {
            drop(self.refusals.get_or_create(&RefusalLabels { bucket: *bucket }));
        }
        for kind in DatabaseError::ALL {
            drop(self.database_errors.get_or_create(&DatabaseLabels { kind: *kind }));
        }
    }

    /// The metrics of a route template; to be asked once per route, not once per request.
    pub fn route(&self, route: &'static str) -> Route {
        Route {
            template: route,
            requests: self.requests.clone(),
            duration: self.durations.get_or_create_owned(&RouteLabels { route }),
            usual: Arc::default(),
        }
    }

    pub fn login(&self, outcome: Login) {
        self.logins.get_or_create(&LoginLabels { outcome }).inc();
    }

    pub fn registration(&self, outcome: Registration) {
        self.registrations.get_or_create(&RegistrationLabels { outcome }).inc();
    }

    pub fn throttle_refusal(&self, bucket: Bucket) {
        self.refusals.get_or_create(&RefusalLabels { bucket }).inc();
    }

    pub fn database_error(&self, kind: DatabaseError) {
        self.database_errors.get_or_create(&DatabaseLabels { kind }).inc();
    }

    /// What the listener has counted until now.
    pub fn listener(&self, counted: &Connections) {
        self.connections.set(i64::try_from(counted.open).unwrap_or(i64::MAX));
        self.connections_accepted.inner().store(counted.accepted, Ordering::Relaxed);
        self.accept_errors.inner().store(counted.accept_errors, Ordering::Relaxed);
        for (reason, count) in
            [("evicted", counted.evicted), ("overdue", counted.overdue), ("handshake", counted.refused_handshakes)]
        {
            self.connections_closed.get_or_create(&CloseLabels { reason }).inner().store(count, Ordering::Relaxed);
        }
    }

    /// How long a hash waited for its slot.
    pub fn hash_waited(&self, wait: Duration) {
        self.hash_wait.observe(wait.as_secs_f64());
    }

    /// Everything as OpenMetrics text, of the media type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let mut text = String::new();
        // Writing to a String cannot fail, and a half-told story is of no use.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

// From status, not statm: it counts in kilobytes, not in pages of a size one would have to ask for.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
