#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bodies;
mod connections;
mod drain;
mod time_outs;
mod tls;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use poem::{
    Endpoint, Request, Response, Result,
    http::{Method, StatusCode},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Accept, Counters, Deadline, Refused, ServeReport, Tls, serve_from};
use crate::{config::HttpLimits, http::problem::Problem};

/// Longer than anything here takes, shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// A limit no test reaches.
const NEVER: Duration = Duration::from_hours(1);
/// A limit that is reached, yet long enough for a busy machine to do what must come before.
const SHORT: Duration = Duration::from_millis(500);
const MIB: usize = 1024 * 1024;

fn limits() -> HttpLimits {
    HttpLimits {
        connections: NonZeroUsize::new(10_000).unwrap(),
        body_bytes: 1000,
        header: NEVER,
        request: NEVER,
        idle: NEVER,
        drain_delay: Duration::ZERO,
        drain: PATIENCE,
    }
}

/// The endpoint of these tests.
struct Desk {
    /// `/gate` is answered once for each permit.
    gate: Semaphore,
    /// Requests being answered now.
    inside: AtomicU64,
}

struct Visit<'a>(&'a AtomicU64);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Desk {
    async fn answer(&self, mut request: Request) -> Response {
        self.inside.fetch_add(1, Relaxed);
        let _visit = Visit(&self.inside);
        if let Some(Refused(problem)) = request.extensions().get().cloned() {
            let forwarded = request.header("x-forwarded-for").unwrap_or_default();
            let id = format!("{} {} {forwarded}", request.method(), request.uri());
            assert!(request.take_body().into_bytes().await.unwrap().is_empty());
            return problem.to_response(&id);
        }
        let Deadline(deadline) = *request.extensions().get().expect("a deadline");
        match (request.method(), request.uri().path()) {
            (&Method::POST, _) => Response::from(request.take_body()),
            (_, "/gate") => {
                self.gate.acquire().await.unwrap().forget();
                "through".into()
            }
            (_, "/never") => {
                tokio::time::sleep_until(deadline).await;
                Problem::TimedOut.to_response("")
            }
            (_, "/large") => vec![b'x'; 64 * MIB].into(),
            (_, "/panic") => panic!("as asked"),
            (_, "/who") => format!("{} {} {}", request.remote_addr(), request.local_addr(), request.scheme()).into(),
            (_, path) => path.to_owned().into(),
        }
    }
}

struct SharedDesk(Arc<Desk>);

impl Endpoint for SharedDesk {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        Ok(self.0.answer(request).await)
    }
}

struct Running {
    port: u16,
    desk: Arc<Desk>,
    counters: Arc<Counters>,
    events: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    task: JoinHandle<ServeReport>,
}

async fn start(limits: HttpLimits) -> Running {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    start_on(socket, port, None, limits)
}

fn start_on(socket: impl Accept + Send + Sync + 'static, port: u16, tls: Option<Tls>, limits: HttpLimits) -> Running {
    let desk = Arc::new(Desk { gate: Semaphore::new(0), inside: AtomicU64::new(0) });
    let counters = Arc::new(Counters::default());
    let events = Arc::new(Mutex::new(Vec::new()));
    let stop = CancellationToken::new();
    let on_event = {
        let events = Arc::clone(&events);
        Arc::new(move |event: &super::Event| events.lock().unwrap().push(event.to_string()))
    };
    let serving =
        serve_from(socket, tls, limits, SharedDesk(Arc::clone(&desk)), Arc::clone(&counters), on_event, stop.clone());
    Running { port, desk, counters, events, stop, task: tokio::spawn(serving) }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    async fn get(&self, path: &str) -> Reply {
        get(&mut self.connect().await, path).await
    }

    fn open(&self) -> u64 {
        self.counters.open.load(Relaxed)
    }

    fn inside(&self) -> u64 {
        self.desk.inside.load(Relaxed)
    }

    async fn finish(self) -> ServeReport {
        self.stop.cancel();
        within(self.task).await.unwrap()
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[derive(Debug)]
struct Reply {
    status: StatusCode,
    head: String,
    body: String,
}

impl Reply {
    fn ok(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    fn says(&self, header: &str) -> bool {
        self.head.to_ascii_lowercase().lines().any(|line| line == header)
    }
}

async fn get(stream: &mut TcpStream, path: &str) -> Reply {
    send(stream, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    reply(stream).await
}

async fn send(stream: &mut TcpStream, text: &str) {
    within(stream.write_all(text.as_bytes())).await.unwrap();
}

/// One answer, and nothing after it.
async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Reply {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    within(stream.read_exact(&mut body)).await.unwrap();
    Reply { status, head, body: String::from_utf8(body).unwrap() }
}

/// What still comes until the server closes; a reset is an error here.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.expect("the connection was reset");
    rest
}
