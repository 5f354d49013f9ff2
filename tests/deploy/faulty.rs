//! A service that answers like ours and is not well, for the watch of a rollout: it fails one request in twenty (FAULT=errors),
//! takes half a second for each (FAULT=slow) or does not start (FAULT=broken), and tells so in the metrics that ours has. A real one
//! cannot be made to do that.
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

static ANSWERED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

fn metrics(slow: bool) -> String {
    let (all, failed) = (ANSWERED.load(Relaxed), FAILED.load(Relaxed));
    let quick = if slow { 0 } else { all };
    format!(
        "mini_api_http_requests_total{{method=\"GET\",route=\"/users/me\",status=\"200\"}} {}\n\
         mini_api_http_requests_total{{method=\"GET\",route=\"/users/me\",status=\"500\"}} {failed}\n\
         mini_api_http_request_duration_seconds_bucket{{le=\"0.005\",route=\"/users/me\"}} {quick}\n\
         mini_api_http_request_duration_seconds_bucket{{le=\"1.0\",route=\"/users/me\"}} {all}\n\
         mini_api_http_request_duration_seconds_bucket{{le=\"+Inf\",route=\"/users/me\"}} {all}\n",
        all - failed
    )
}

fn serve(stream: TcpStream, slow: bool) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(first) = lines.next() {
        let path = first?.split(' ').nth(1).unwrap_or("/").to_owned();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let (status, body) = match path.as_str() {
            "/metrics" => ("200 OK", metrics(slow)),
            "/livez" | "/readyz" => ("200 OK", String::new()),
            _ => {
                if slow {
                    thread::sleep(Duration::from_millis(500));
                }
                if ANSWERED.fetch_add(1, Relaxed) % 20 == 19 && !slow {
                    FAILED.fetch_add(1, Relaxed);
                    ("500 Internal Server Error", String::new())
                } else {
                    ("200 OK", "{}".to_owned())
                }
            }
        };
        write!(out, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}

fn listen(port: u16, slow: bool) {
    for stream in TcpListener::bind(("0.0.0.0", port)).expect("a port").incoming().flatten() {
        thread::spawn(move || serve(stream, slow));
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("migrate") => {}
        Some("healthcheck") => drop(TcpStream::connect(("127.0.0.1", 8000)).expect("an answer")),
        _ => {
            let fault = std::env::var("FAULT").unwrap_or_default();
            assert!(fault != "broken", "this one does not start");
            let slow = fault == "slow";
            thread::spawn(move || listen(9000, slow));
            listen(8000, slow);
        }
    }
}
