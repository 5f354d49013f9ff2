//! Logins as fast as they are answered.

use std::{
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
    rows: u64,
    password: String,
    begin: Instant,
    time: Duration,
    next: AtomicU64,
}

#[derive(Default)]
struct Record {
    ended: Vec<Duration>,
    latencies: Vec<Duration>,
    refused: u64,
}

pub fn run(arguments: &Arguments) -> Result<String, Fault> {
    let plan = Arc::new(Plan {
        address: arguments.number("address")?,
        rows: arguments.number("rows")?,
        password: arguments.text("password")?.to_owned(),
        begin: Instant::now(),
        time: Duration::from_secs_f64(arguments.number("seconds")?),
        next: AtomicU64::new(0),
    });
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
        all.ended.extend(one.ended);
        all.latencies.extend(one.latencies);
        all.refused += one.refused;
    }
    let rate = rate(&mut all.ended);
    Ok(format!(r#"{{"rate":{rate:.4},{},"refused":{}}}"#, Latencies::of(all.latencies).json(), all.refused))
}

// From the first end to the last: hashes begun and not ended at the edges count neither way.
#[allow(clippy::cast_precision_loss)]
fn rate(ended: &mut [Duration]) -> f64 {
    ended.sort_unstable();
    match (ended.first(), ended.last()) {
        (Some(first), Some(last)) if last > first => (ended.len() - 1) as f64 / last.saturating_sub(*first).as_secs_f64(),
        _ => 0.0,
    }
}

impl Plan {
    fn work(&self) -> Result<Record, Fault> {
        let mut client = Client::connect(self.address)?;
        let mut record = Record::default();
        while self.begin.elapsed() < self.time {
            let number = self.next.fetch_add(1, Relaxed);
            let start = Instant::now();
            match client.exchange(&self.request(number)) {
                Ok(200) => {
                    // What ends after the time is over ends beside fewer others.
                    if self.begin.elapsed() < self.time {
                        record.ended.push(self.begin.elapsed());
                        record.latencies.push(start.elapsed());
                    }
                }
                Ok(_) => record.refused += 1,
                Err(_) => {
                    record.refused += 1;
                    client = Client::connect(self.address)?;
                }
            }
        }
        Ok(record)
    }

    // Spread over the table, so that no limit by account or network is met when the service trusts our X-Forwarded-For.
    fn request(&self, number: u64) -> Vec<u8> {
        let user = number.wrapping_mul(7919) % self.rows + 1;
        let body = format!(r#"{{"email":"user{user}@bench.example","password":"{}"}}"#, self.password);
        let network = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
        format!(
            "POST /auth/login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-Forwarded-For: {network}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}
