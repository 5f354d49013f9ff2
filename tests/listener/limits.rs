use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, timeout},
};

use crate::support::{
    Database, Environment,
    process::{Process, status},
};

async fn service(change: impl FnOnce(Environment) -> Environment) -> (Process, std::net::SocketAddr) {
    let database = Database::create().await;
    let service = Process::start(&change(Environment::new(&database.url)));
    let address = service.address().await;
    service.line_with(&["service.ready"]).await;
    (service, address)
}

async fn connect(address: std::net::SocketAddr, text: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text).await.unwrap();
    stream
}

// Waits for the server to close, and returns what it sent before.
async fn closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    // A reset is an end as well.
    let _ = read.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn half_a_head_is_cut_after_header_timeout_with_one_line_in_the_log() {
    let (service, address) = service(|e| e.with("HEADER_TIMEOUT", "1")).await;
    let mut half = connect(address, b"GET /livez HTTP/1.1\r\nhost").await;
    assert_eq!(closed(&mut half).await, "");
    service.line_with(&["http.connection.cut", "too slow", "127.0.0.1"]).await;
    let lines = service.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("http.connection.cut")).count(), 1, "{lines:?}");
    assert_eq!(status(address, "/livez").await, Some(200));
}

#[tokio::test]
async fn what_is_no_http_is_closed_with_one_line_in_the_log() {
    let (service, address) = service(|e| e).await;
    let mut garbage = connect(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(closed(&mut garbage).await.starts_with("HTTP/1.1 400 "));
    service.line_with(&["http.connection.cut", "127.0.0.1"]).await;
    assert_eq!(status(address, "/livez").await, Some(200));
    service.line_with(&["http.request", "/livez"]).await;
    let lines = service.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("http.")).count(), 2, "{lines:?}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_idle_timeout() {
    let (_service, address) = service(|e| e.with("IDLE_TIMEOUT", "1")).await;
    let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut idle = connect(address, request).await;
    assert!(closed(&mut idle).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn two_thousand_idle_connections_shut_nobody_out_and_the_log_says_so_once() {
    let (service, address) = service(|e| e.with("MAX_CONNECTIONS", "500")).await;
    let mut idle = Vec::new();
    for _ in 0..2000 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(status(address, "/livez").await, Some(200));
    let line = service.line_with(&["http.connections.full"]).await;
    assert!(line.contains("all 500 places are taken"), "{line}");
    let lines = service.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("http.connections.full")).count(), 1);
    drop(idle);
    assert_eq!(status(address, "/readyz").await, Some(200));
}

#[tokio::test]
async fn with_log_format_text_a_person_can_read_what_happened() {
    let (service, address) = service(|e| e.with("LOG_FORMAT", "text")).await;
    assert_eq!(status(address, "/livez").await, Some(200));
    let line = service.line_with(&["GET", "/livez", "200"]).await;
    assert!(!line.starts_with('{'), "{line}");
}

#[tokio::test]
async fn a_start_and_a_stop_tell_their_story_in_order() {
    let (service, _) = service(|e| e).await;
    service.signal(rustix::process::Signal::TERM);
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let story = ["service.start", "service.listening", "db.migrated", "service.ready", "service.drain", "service.stop"];
    let places: Vec<usize> = story
        .iter()
        .map(|event| ended.output.find(event).unwrap_or_else(|| panic!("{event}: {}", ended.output)))
        .collect();
    assert!(places.is_sorted(), "{places:?} in {}", ended.output);
}

#[tokio::test]
async fn a_listener_on_all_addresses_knows_an_ipv4_client_by_its_ipv4_address() {
    let database = Database::create().await;
    let service = Process::start(&Environment::new(&database.url).with("LISTEN_ADDR", "[::]:0"));
    let line = service.line_with(&["service.listening", "[::]:"]).await;
    let port: u16 = line.split("[::]:").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    service.line_with(&["service.ready"]).await;
    assert_eq!(status(([127, 0, 0, 1], port).into(), "/livez").await, Some(200));
    service.line_with(&["/livez", "\"client\":\"127.0.0.1\""]).await;
}

#[tokio::test]
async fn answers_leave_at_once_as_tcp_nodelay_is_set_on_each_connection() {
    let (service, address) = service(|e| e).await;
    let here = connect(address, b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    service.line_with(&["/livez"]).await;
    let theirs = sockets_of(service.id()).into_iter();
    let stream = theirs.map(std::net::TcpStream::from).find(|s| s.peer_addr().ok() == here.local_addr().ok());
    assert!(stream.expect("the other end").nodelay().unwrap());
}

// Copies of all sockets that a process holds.
fn sockets_of(id: u32) -> Vec<OwnedFd> {
    let pid = Pid::from_raw(id.try_into().unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().map(Result::unwrap);
    let sockets = open.filter(|file| {
        std::fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    });
    let numbers = sockets.map(|file| file.file_name().into_string().unwrap().parse().unwrap());
    numbers.filter_map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()).collect()
}
