//! A fixed rate, whatever the answers do: each latency counts from when its request was due, so a stall of the service is
//! charged for everything it delayed. A connection that was free and merely woke late is the generator's own delay:
//! there the latency counts from when it woke, and what it overslept is told apart.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    arguments::{Arguments, Fault},
    http::Client,
    latency::Latencies,
};

struct Plan {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    rate: f64,
    total: u64,
    /// All connections begin together, each after a first exchange: a thread's first use of memory costs milliseconds.
    warm: Barrier,
    begin: OnceLock<Instant>,
    next: AtomicU64,
}

struct Record {
    latencies: Vec<Duration>,
    /// How much later than due a free connection woke.
    overslept: Vec<Duration>,
    errors: u64,
}

impl Record {
    // With room for all, and that room touched.
    fn for_up_to(count: usize) -> Self {
        let touched = || {
            let mut room = vec![Duration::MAX; count];
            room.clear();
            room
        };
        Self { latencies: touched(), overslept: touched(), errors: 0 }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn run(arguments: &Arguments) -> Result<String, Fault> {
    let rate: f64 = arguments.number("rate")?;
    let seconds: f64 = arguments.number("seconds")?;
    let tokens = fs::read_to_string(arguments.text("tokens")?)?;
    let connections: usize = arguments.number("connections")?;
    let plan = Arc::new(Plan {
        address: arguments.number("address")?,
        requests: tokens.lines().map(request).collect(),
        rate,
        total: (rate * seconds) as u64,
        warm: Barrier::new(connections),
        begin: OnceLock::new(),
        next: AtomicU64::new(0),
    });
    if plan.requests.is_empty() {
        return Err(Fault("the file of tokens is empty".into()));
    }
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let plan = Arc::clone(&plan);
            thread::spawn(move || plan.work())
        })
        .collect();
    let mut all = Record::for_up_to(0);
    for worker in workers {
        let one = worker.join().map_err(|_| Fault("a connection's thread ended early".into()))??;
        all.latencies.extend(one.latencies);
        all.overslept.extend(one.overslept);
        all.errors += one.errors;
    }
    let (latencies, overslept) = (Latencies::of(all.latencies), Latencies::of(all.overslept));
    Ok(format!(
        r#"{{{},"overslept_p50_ms":{:.3},"overslept_p99_ms":{:.3},"errors":{}}}"#,
        latencies.json(),
        overslept.quantile(0.5),
        overslept.quantile(0.99),
        all.errors
    ))
}

pub fn request(token: &str) -> Vec<u8> {
    format!("GET /users/me HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

impl Plan {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn work(&self) -> Result<Record, Fault> {
        let mut record = Record::for_up_to(usize::try_from(self.total)?);
        let warm = Client::connect(self.address).and_then(|mut client| {
            client.exchange(&self.requests[0])?;
            Ok(client)
        });
        // Failed or not, the others wait here.
        self.warm.wait();
        let mut client = warm?;
        let begin = *self.begin.get_or_init(|| Instant::now() + Duration::from_millis(10));
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.total {
                return Ok(record);
            }
            let mut due = begin + Duration::from_secs_f64(number as f64 / self.rate);
            let early = due.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                thread::sleep(early);
                record.overslept.push(due.elapsed());
                due = Instant::now();
            }
            match client.exchange(&self.requests[number as usize % self.requests.len()]) {
                Ok(200) => {}
                Ok(_) => record.errors += 1,
                Err(_) => {
                    record.errors += 1;
                    client = Client::connect(self.address)?;
                }
            }
            record.latencies.push(due.elapsed());
        }
    }
}
