use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn a_connection_that_never_sends_is_closed_after_the_header_limit() {
    let running = start(HttpLimits { header: SHORT, ..limits() }).await;
    let begin = Instant::now();
    let mut stream = running.connect().await;
    assert!(rest(&mut stream).await.is_empty());
    assert!(begin.elapsed() >= SHORT);
    until(|| running.open() == 0).await;
    assert_eq!(running.counters.overdue.load(Relaxed), 1);
}

/// Sends a head that never ends and returns how long the server listens.
async fn trickle(stream: &mut TcpStream) -> Duration {
    let begin = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let endless = async {
        writer.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        while writer.write_all(b"a").await.is_ok() {
            sleep(SHORT / 10).await;
        }
        std::future::pending::<()>().await;
    };
    let mut nothing = [0; 1];
    let closed = async {
        // A byte may cross the closing, which makes it a reset.
        assert_eq!(reader.read(&mut nothing).await.unwrap_or(0), 0);
    };
    within(async {
        tokio::select! { () = endless => {}, () = closed => {} }
    })
    .await;
    begin.elapsed()
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_after_the_header_limit() {
    let running = start(HttpLimits { header: SHORT, ..limits() }).await;
    assert!(trickle(&mut running.connect().await).await >= SHORT);
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn the_header_limit_holds_for_later_requests_of_a_connection_as_well() {
    let running = start(HttpLimits { header: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    get(&mut stream, "/").await.ok();
    assert!(trickle(&mut stream).await >= SHORT);
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_limit() {
    let running = start(HttpLimits { idle: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    get(&mut stream, "/").await.ok();
    assert!(rest(&mut stream).await.is_empty());
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_limit() {
    let running = start(HttpLimits { header: SHORT, idle: SHORT * 3, ..limits() }).await;
    let begin = Instant::now();
    let mut stream = running.connect().await;
    get(&mut stream, "/").await.ok();
    assert!(rest(&mut stream).await.is_empty());
    assert!(begin.elapsed() >= SHORT * 3);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_after_the_idle_limit() {
    let running = start(HttpLimits { idle: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    send(&mut stream, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(|| running.counters.overdue.load(Relaxed) == 1 && running.open() == 0).await;
}

#[tokio::test]
async fn a_long_answer_may_take_longer_than_the_idle_limit_while_the_client_reads() {
    let running = start(HttpLimits { idle: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    send(&mut stream, "GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let mut piece = vec![0; 2 * MIB];
    for _ in 0..32 {
        within(stream.read_exact(&mut piece)).await.expect("the answer was cut");
        sleep(SHORT / 5).await;
    }
    assert!(rest(&mut stream).await.len() < piece.len());
}

#[tokio::test]
async fn a_half_sent_body_is_answered_408_after_the_request_limit_and_the_connection_ends() {
    let running = start(HttpLimits { request: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    let begin = Instant::now();
    send(&mut stream, "POST /p HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 9.9.9.9\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    let reply = reply(&mut stream).await;
    assert!(begin.elapsed() >= SHORT);
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    assert!(reply.says("connection: close"));
    assert!(reply.body.contains("POST /p 9.9.9.9"), "{}", reply.body);
    assert!(rest(&mut stream).await.is_empty());
}

#[tokio::test]
async fn an_endpoint_is_told_its_deadline_and_the_connection_goes_on_after_it() {
    let running = start(HttpLimits { request: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    let begin = Instant::now();
    let reply = get(&mut stream, "/never").await;
    assert!(begin.elapsed() >= SHORT);
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&mut stream, "/next").await.ok(), "/next");
}

#[tokio::test]
async fn a_request_being_answered_outlives_the_header_and_idle_limits() {
    let running = start(HttpLimits { header: SHORT, idle: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    send(&mut stream, "GET /gate HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(|| running.inside() == 1).await;
    sleep(SHORT * 3).await;
    running.desk.gate.add_permits(1);
    assert_eq!(reply(&mut stream).await.ok(), "through");
}
