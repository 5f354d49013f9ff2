//! A fixed rate, whatever the answers do: each latency counts from when its request was due, so a stall is charged for
//! everything it delayed.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
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
    begin: Instant,
    next: AtomicU64,
}

#[derive(Default)]
struct Record {
    latencies: Vec<Duration>,
    /// From when a request was due to when it was sent: what the generator itself, or busy connections, cost.
    late: Vec<Duration>,
    errors: u64,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn run(arguments: &Arguments) -> Result<String, Fault> {
    let rate: f64 = arguments.number("rate")?;
    let seconds: f64 = arguments.number("seconds")?;
    let tokens = fs::read_to_string(arguments.text("tokens")?)?;
    let plan = Arc::new(Plan {
        address: arguments.number("address")?,
        requests: tokens.lines().map(request).collect(),
        rate,
        total: (rate * seconds) as u64,
        begin: Instant::now() + Duration::from_millis(100),
        next: AtomicU64::new(0),
    });
    if plan.requests.is_empty() {
        return Err(Fault("the file of tokens is empty".into()));
    }
    let connections: usize = arguments.number("connections")?;
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let plan = Arc::clone(&plan);
            thread::spawn(move || plan.work())
        })
        .collect();
    let mut all = Record::default();
    for worker in workers {
        let one = worker.join().map_err(|_| Fault("a connection's thread ended early".into()))??;
        all.latencies.extend(one.latencies);
        all.late.extend(one.late);
        all.errors += one.errors;
    }
    let (latencies, late) = (Latencies::of(all.latencies), Latencies::of(all.late));
    Ok(format!(
        r#"{{{},"late_p50_ms":{:.3},"late_p99_ms":{:.3},"errors":{}}}"#,
        latencies.json(),
        late.quantile(0.5),
        late.quantile(0.99),
        all.errors
    ))
}

pub fn request(token: &str) -> Vec<u8> {
    format!("GET /users/me HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

impl Plan {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn work(&self) -> Result<Record, Fault> {
        let mut client = Client::connect(self.address)?;
        let mut record = Record::default();
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.total {
                return Ok(record);
            }
            let due = self.begin + Duration::from_secs_f64(number as f64 / self.rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            record.late.push(due.elapsed());
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
