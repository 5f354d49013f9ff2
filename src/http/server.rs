//! The listener: connections, TLS, time-outs, the body limit and draining.
//!
//! One `serve` per address. It owns the accept loop and the register of open connections; `connection` drives one of
//! them, `request` answers one request, `tls` keeps the certificate.

mod connection;
mod meter;
mod request;
mod tls;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use poem::{Endpoint, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    connection::Shared,
    meter::{Meter, Order},
};
pub use self::{
    request::{Deadline, Refused},
    tls::{Tls, TlsFault},
};
use crate::config::HttpLimits;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one told to leave may take before another is told as well.
const EVICTION_PATIENCE: Duration = Duration::from_millis(50);
const FULL_TOLD_EVERY: Duration = Duration::from_mins(1);

/// One address and what answers there.
pub struct Listener<E> {
    pub socket: TcpListener,
    pub tls: Option<Tls>,
    pub limits: HttpLimits,
    /// Called once for each request: with [`Refused`] in the extensions for those the server refuses itself, with
    /// [`Deadline`] for all others.
    pub endpoint: E,
    pub counters: Arc<Counters>,
    /// Told of what a log should say; must not block.
    pub on_event: EventSink,
}

pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// What happened outside any request.
#[derive(Debug)]
pub enum Event {
    /// `accept` failed; the next attempt follows after `pause`.
    AcceptFailed {
        error: io::Error,
        pause: Duration,
    },
    /// All places are taken; told at most once a minute.
    Full {
        places: usize,
        evicted: u64,
    },
    /// A connection ended without a request, or with an answer that was not taken.
    ConnectionCut {
        peer: SocketAddr,
        why: String,
    },
    CertificateRenewed,
    /// The certificate served before stays in use.
    CertificateNotRenewed(TlsFault),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed { error, pause } => {
                write!(f, "cannot accept connections: {error}; next attempt in {} ms", pause.as_millis())
            }
            Self::Full { places, evicted } => write!(
                f,
                "all {places} places are taken: those that waited longest left for newcomers, {evicted} until now; more \
                 places: MAX_CONNECTIONS"
            ),
            Self::ConnectionCut { peer, why } => write!(f, "{} was cut off: {why}", peer.ip().to_canonical()),
            Self::CertificateRenewed => f.write_str("the renewed certificate is in use"),
            Self::CertificateNotRenewed(fault) => write!(f, "the certificate in use is kept: {fault}"),
        }
    }
}

/// What the metrics page tells about one listener.
#[derive(Debug, Default)]
pub struct Counters {
    /// Open now; all others only grow.
    pub open: AtomicU64,
    pub accepted: AtomicU64,
    /// TLS handshakes that failed or took too long.
    pub refused_handshakes: AtomicU64,
    pub accept_errors: AtomicU64,
    /// Connections closed because they waited longest when all places were taken.
    pub evicted: AtomicU64,
    /// Connections closed because a head, a next request or the reading of an answer took too long.
    pub overdue: AtomicU64,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeReport {
    /// Connections that had not finished when `DRAIN_TIMEOUT` was over.
    pub cut: usize,
}

/// Serves until `stop` is cancelled, then goes on for `limits.drain_delay` with one answer a connection, closes the listener,
/// lets requests in flight finish for at most `limits.drain`, and drops the rest.
pub async fn serve<E>(listener: Listener<E>, stop: CancellationToken) -> ServeReport
where
    E: Endpoint<Output = Response> + 'static,
{
    let Listener { socket, tls, limits, endpoint, counters, on_event } = listener;
    serve_from(socket, tls, limits, endpoint, counters, on_event, stop).await
}

/// Where connections come from; a trait so that a test can make `accept` fail.
trait Accept {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

async fn serve_from<E>(
    socket: impl Accept,
    tls: Option<Tls>,
    limits: HttpLimits,
    endpoint: E,
    counters: Arc<Counters>,
    on_event: EventSink,
    stop: CancellationToken,
) -> ServeReport
where
    E: Endpoint<Output = Response> + 'static,
{
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let renewal = tls.map(|tls| tokio::spawn(tls.keep_fresh(Arc::clone(&on_event))));
    let drain_delay = limits.drain_delay;
    let leaving = AtomicBool::new(false);
    let shared =
        Arc::new(Shared { endpoint, tls: acceptor, limits, counters, on_event: Arc::clone(&on_event), leaving });
    let mut connections = Connections {
        tasks: JoinSet::new(),
        meters: HashMap::new(),
        shared: Arc::clone(&shared),
        on_event,
        told_full: None,
    };
    let asked_to_stop = async {
        stop.cancelled().await;
        shared.leaving.store(true, Relaxed);
        sleep(drain_delay).await;
    };
    tokio::select! {
        never = connections.welcome(&socket) => match never {},
        () = asked_to_stop => {}
    }
    drop(socket);
    let report = connections.drain().await;
    if let Some(renewal) = renewal {
        renewal.abort();
    }
    report
}

/// The open connections of one listener.
struct Connections<E> {
    tasks: JoinSet<()>,
    meters: HashMap<Id, Arc<Meter>>,
    shared: Arc<Shared<E>>,
    on_event: EventSink,
    told_full: Option<Instant>,
}

impl<E> Connections<E>
where
    E: Endpoint<Output = Response> + 'static,
{
    async fn welcome(&mut self, socket: &impl Accept) -> Infallible {
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.forget(&ended);
                    continue;
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    self.make_room().await;
                    self.admit(stream, peer);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.shared.counters.accept_errors.fetch_add(1, Relaxed);
                    (self.on_event)(&Event::AcceptFailed { error, pause });
                    // Most likely descriptors ran out, and one who waits holds one.
                    self.evict();
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Returns once one more connection is allowed.
    ///
    /// When all places are taken, whoever has waited longest without a request being answered leaves for the newcomer: were
    /// the newcomer to wait instead, as many silent connections as there are places would shut the service for everybody.
    /// Those being answered stay, and newcomers wait in the backlog for them.
    async fn make_room(&mut self) {
        while self.tasks.len() >= self.shared.limits.connections.get() {
            if let Some(evicted) = self.evict() {
                self.tell_full(evicted);
            }
            if let Ok(Some(ended)) = timeout(EVICTION_PATIENCE, self.tasks.join_next_with_id()).await {
                self.forget(&ended);
            }
        }
    }

    /// Tells who has waited longest to leave; how many were told so until now, or `None` when nobody waits.
    fn evict(&self) -> Option<u64> {
        let waiting = self.meters.values().filter_map(|meter| Some((meter.waiting_since()?, meter)));
        let (_, longest) = waiting.min_by_key(|(since, _)| *since)?;
        longest.order(Order::Leave);
        Some(self.shared.counters.evicted.fetch_add(1, Relaxed) + 1)
    }

    fn tell_full(&mut self, evicted: u64) {
        if self.told_full.is_none_or(|told| told.elapsed() >= FULL_TOLD_EVERY) {
            self.told_full = Some(Instant::now());
            (self.on_event)(&Event::Full { places: self.shared.limits.connections.get(), evicted });
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let meter = Arc::new(Meter::new());
        let task = self.tasks.spawn(connection::serve(stream, peer, Arc::clone(&meter), Arc::clone(&self.shared)));
        self.meters.insert(task.id(), meter);
        self.shared.counters.accepted.fetch_add(1, Relaxed);
        self.shared.counters.open.fetch_add(1, Relaxed);
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.meters.remove(&id);
        self.shared.counters.open.fetch_sub(1, Relaxed);
    }

    async fn drain(mut self) -> ServeReport {
        for meter in self.meters.values() {
            meter.order(Order::Finish);
        }
        let limit = self.shared.limits.drain;
        let all_ended = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.forget(&ended);
            }
        };
        if timeout(limit, all_ended).await.is_ok() {
            return ServeReport { cut: 0 };
        }
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        self.shared.counters.open.fetch_sub(cut as u64, Relaxed);
        ServeReport { cut }
    }
}

/// Whether `accept` reports what befell one client: the next can be accepted at once.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
