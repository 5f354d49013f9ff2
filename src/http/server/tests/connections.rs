use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize},
};

use super::{super::connection::canonical, *};

fn at_most(connections: usize) -> HttpLimits {
    HttpLimits { connections: NonZeroUsize::new(connections).unwrap(), ..limits() }
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    for path in ["/1", "/2", "/3"] {
        assert_eq!(get(&mut stream, path).await.ok(), path);
    }
    assert_eq!(running.counters.accepted.load(Relaxed), 1);
    drop(stream);
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    let paths: Vec<_> = (0..50).map(|n| format!("/{n}")).collect();
    let requests: Vec<_> = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    send(&mut stream, &requests.concat()).await;
    for path in paths {
        assert_eq!(reply(&mut stream).await.ok(), path);
    }
}

#[tokio::test]
async fn the_endpoint_knows_who_calls_and_how() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    let who = get(&mut stream, "/who").await.ok();
    let (client, server) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    assert_eq!(who, format!("socket://{client} socket://{server} http"));
}

#[test]
fn an_ipv4_client_of_a_dual_stack_socket_is_an_ipv4_client() {
    let seen = |addr: &str| canonical(addr.parse().unwrap()).to_string();
    assert_eq!(seen("[::ffff:192.0.2.1]:80"), "192.0.2.1:80");
    assert_eq!(seen("[2001:db8::1]:80"), "[2001:db8::1]:80");
}

#[tokio::test]
async fn two_thousand_silent_connections_leave_room_for_a_request() {
    let running = start(at_most(1000)).await;
    let mut silent = Vec::new();
    for _ in 0..2000 {
        silent.push(running.connect().await);
    }
    let mut stream = running.connect().await;
    assert_eq!(get(&mut stream, "/1").await.ok(), "/1");
    assert_eq!(get(&mut stream, "/2").await.ok(), "/2");
    assert!(running.counters.evicted.load(Relaxed) >= 1000);
    assert!(running.open() <= 1000);
}

#[tokio::test]
async fn at_the_cap_the_one_idle_longest_leaves() {
    let running = start(at_most(2)).await;
    let (mut first, mut second) = (running.connect().await, running.connect().await);
    get(&mut second, "/").await.ok();
    get(&mut first, "/").await.ok();
    assert_eq!(running.get("/").await.ok(), "/");
    assert!(rest(&mut second).await.is_empty());
    assert_eq!(get(&mut first, "/").await.ok(), "/");
}

#[tokio::test]
async fn at_the_cap_one_whose_body_never_comes_leaves() {
    let running = start(at_most(1)).await;
    let mut slow = running.connect().await;
    send(&mut slow, "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n").await;
    // Told to go on: its head has arrived, and its body is waited for.
    assert_eq!(reply(&mut slow).await.status, 100);
    assert_eq!(running.get("/").await.ok(), "/");
    assert!(rest(&mut slow).await.is_empty());
}

#[tokio::test]
async fn at_the_cap_one_that_was_refused_and_stays_leaves() {
    let running = start(at_most(1)).await;
    let mut refused = running.connect().await;
    send(&mut refused, "\x01\r\n\r\n").await;
    assert_eq!(reply(&mut refused).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(running.get("/").await.ok(), "/");
}

#[tokio::test]
async fn a_full_house_is_told_once_and_not_for_each_who_leaves() {
    let running = start(at_most(1)).await;
    for _ in 0..5 {
        running.get("/").await.ok();
    }
    let idle = running.connect().await;
    for _ in 0..5 {
        running.get("/").await.ok();
    }
    drop(idle);
    let events = running.events.lock().unwrap();
    let full: Vec<_> = events.iter().filter(|event| event.contains("all 1 places are taken")).collect();
    assert_eq!(full.len(), 1, "{events:?}");
    assert!(full[0].contains("MAX_CONNECTIONS"));
}

#[tokio::test]
async fn at_the_cap_those_being_answered_stay_and_a_newcomer_waits() {
    let running = start(at_most(2)).await;
    let mut streams = Vec::new();
    for inside in [1, 2, 2] {
        let mut stream = running.connect().await;
        send(&mut stream, "GET /gate HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        until(|| running.inside() == inside).await;
        streams.push(stream);
    }
    assert_eq!(running.open(), 2);
    running.desk.gate.add_permits(3);
    for stream in &mut streams {
        assert_eq!(reply(stream).await.ok(), "through");
    }
    assert_eq!(running.counters.evicted.load(Relaxed), 0);
}

/// A socket that takes one connection, and then fails as if descriptors had run out.
struct Exhausted {
    socket: TcpListener,
    first: AtomicBool,
    failures: AtomicUsize,
}

impl Accept for Exhausted {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.first.swap(false, Relaxed) {
            return self.socket.accept().await;
        }
        if self.failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(rustix::io::Errno::MFILE.into());
        }
        self.socket.accept().await
    }
}

#[tokio::test]
async fn accepting_goes_on_after_descriptors_ran_out_and_each_failure_is_reported() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let running = start_on(Exhausted { socket, first: true.into(), failures: 3.into() }, port, None, limits());
    // It holds a descriptor, and must leave; but places there were.
    let mut idle = running.connect().await;
    assert!(rest(&mut idle).await.is_empty());
    assert_eq!(running.get("/").await.ok(), "/");
    assert_eq!(running.counters.accept_errors.load(Relaxed), 3);
    let events = running.events.lock().unwrap().clone();
    let pauses: Vec<_> = events.iter().map(|event| event.rsplit("next attempt in ").next().unwrap()).collect();
    assert_eq!(pauses, ["5 ms", "10 ms", "20 ms"], "{events:?}");
}

#[tokio::test]
async fn what_a_client_waited_for_is_dropped_when_it_goes() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(|| running.inside() == 1).await;
    drop(stream);
    until(|| running.inside() == 0).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let running = start(limits()).await;
    let many = "x: a\r\n".repeat(101);
    let large = format!("x: {}\r\n", "a".repeat(200_000));
    for headers in [many, large] {
        let mut stream = running.connect().await;
        send(&mut stream, &format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n")).await;
        assert_eq!(reply(&mut stream).await.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert!(rest(&mut stream).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_http_is_answered_400_and_closed() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "\u{1}\u{2}\u{3} what is this?\r\n\r\n").await;
    assert_eq!(reply(&mut stream).await.status, StatusCode::BAD_REQUEST);
    assert!(rest(&mut stream).await.is_empty());
}

#[tokio::test]
async fn http2_without_tls_is_refused() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    drop(stream);
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn a_handler_that_panics_takes_only_its_own_connection_along() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(rest(&mut stream).await.is_empty());
    until(|| running.open() == 0).await;
    assert_eq!(running.get("/").await.ok(), "/");
}
