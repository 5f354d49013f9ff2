use super::*;

fn chunk(length: usize) -> String {
    format!("{length:x}\r\n{}\r\n", "x".repeat(length))
}

/// Sends everything before it reads anything, as simple clients do.
async fn post_all(running: &Running, request: &str) -> (TcpStream, Reply) {
    let mut stream = running.connect().await;
    send(&mut stream, request).await;
    let reply = reply(&mut stream).await;
    (stream, reply)
}

async fn assert_refused_and_closed((mut stream, reply): (TcpStream, Reply)) {
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(reply.says("content-type: application/problem+json"));
    assert!(reply.says("connection: close"));
    assert!(reply.body.contains("larger than 1000 bytes"), "{}", reply.body);
    assert!(rest(&mut stream).await.is_empty());
}

#[tokio::test]
async fn ten_megabytes_announced_are_refused_with_a_413_that_the_client_can_read() {
    let running = start(limits()).await;
    let body = "x".repeat(10 * MIB);
    let request = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    assert_refused_and_closed(post_all(&running, &request).await).await;
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn ten_megabytes_in_chunks_are_refused_with_a_413_that_the_client_can_read() {
    let running = start(limits()).await;
    let body = chunk(MIB).repeat(10);
    let request = format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n");
    assert_refused_and_closed(post_all(&running, &request).await).await;
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_goes_on_sending_after_its_413_is_left_after_the_header_limit() {
    let running = start(HttpLimits { header: SHORT, ..limits() }).await;
    let (mut stream, _) = post_all(&running, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n").await;
    let endless = async {
        while stream.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    };
    within(endless).await;
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn a_length_announced_too_large_is_refused_before_the_body_is_sent() {
    let running = start(limits()).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n";
    assert_refused_and_closed(post_all(&running, request).await).await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_send_its_body() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(reply(&mut stream).await.status, StatusCode::CONTINUE);
    send(&mut stream, "ok").await;
    assert_eq!(reply(&mut stream).await.ok(), "ok");
}

#[tokio::test]
async fn a_body_as_large_as_the_limit_is_taken_and_one_byte_more_is_not() {
    let running = start(limits()).await;
    let announced =
        |length: usize| format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
    let counted = |length: usize| {
        let body = chunk(400) + &chunk(length - 400);
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n")
    };
    for request in [&announced, &counted] as [&dyn Fn(usize) -> String; 2] {
        assert_eq!(post_all(&running, &request(1000)).await.1.ok(), "x".repeat(1000));
        assert_refused_and_closed(post_all(&running, &request(1001)).await).await;
    }
}

#[tokio::test]
async fn the_body_of_a_get_is_bounded_as_well() {
    let running = start(limits()).await;
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n{}", "x".repeat(1001));
    assert_refused_and_closed(post_all(&running, &request).await).await;
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_arrives_whole_and_the_connection_goes_on() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\non").await;
    for piece in ["\r\n4\r\ne, t\r\n", "3\r\nwo!\r\n", "0\r\n\r\n"] {
        sleep(Duration::from_millis(20)).await;
        send(&mut stream, piece).await;
    }
    assert_eq!(reply(&mut stream).await.ok(), "one, two!");
    assert_eq!(get(&mut stream, "/next").await.ok(), "/next");
}

#[tokio::test]
async fn a_body_that_is_not_what_its_framing_says_is_a_bad_request() {
    let running = start(limits()).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n";
    let (mut stream, reply) = post_all(&running, request).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.says("content-type: application/problem+json"));
    assert!(rest(&mut stream).await.is_empty());
}
