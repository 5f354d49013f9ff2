use super::*;

async fn enter_gate(running: &Running) -> TcpStream {
    let mut stream = running.connect().await;
    let before = running.inside();
    send(&mut stream, "GET /gate HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(|| running.inside() == before + 1).await;
    stream
}

async fn refuses_connections(port: u16) {
    within(async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_in_flight_finishes_while_new_connections_are_refused() {
    let running = start(limits()).await;
    let mut stream = enter_gate(&running).await;
    running.stop.cancel();
    refuses_connections(running.port).await;
    assert!(!running.task.is_finished());
    running.desk.gate.add_permits(1);
    let reply = reply(&mut stream).await;
    assert!(reply.says("connection: close"));
    assert_eq!(reply.ok(), "through");
    assert!(rest(&mut stream).await.is_empty());
    assert_eq!(running.finish().await, ServeReport { cut: 0 });
}

#[tokio::test]
async fn a_body_half_received_is_still_taken_and_answered() {
    let running = start(limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n").await;
    assert_eq!(reply(&mut stream).await.status, StatusCode::CONTINUE);
    running.stop.cancel();
    refuses_connections(running.port).await;
    send(&mut stream, "body").await;
    assert_eq!(reply(&mut stream).await.ok(), "body");
    assert_eq!(running.finish().await, ServeReport { cut: 0 });
}

#[tokio::test]
async fn idle_and_silent_connections_close_at_once() {
    let running = start(limits()).await;
    let (mut idle, mut silent) = (running.connect().await, running.connect().await);
    get(&mut idle, "/").await.ok();
    until(|| running.open() == 2).await;
    assert_eq!(running.finish().await, ServeReport { cut: 0 });
    assert!(rest(&mut idle).await.is_empty());
    assert!(rest(&mut silent).await.is_empty());
}

#[tokio::test]
async fn new_connections_are_served_during_the_drain_delay() {
    let running = start(HttpLimits { drain_delay: SHORT * 3, ..limits() }).await;
    running.stop.cancel();
    sleep(SHORT / 5).await;
    assert_eq!(running.get("/").await.ok(), "/");
    refuses_connections(running.port).await;
    assert_eq!(running.finish().await, ServeReport { cut: 0 });
}

#[tokio::test]
async fn during_the_drain_delay_an_answer_is_the_last_on_its_connection() {
    let running = start(HttpLimits { drain_delay: SHORT * 3, ..limits() }).await;
    let mut stream = running.connect().await;
    let before = get(&mut stream, "/").await;
    assert!(!before.says("connection: close"));
    running.stop.cancel();
    sleep(SHORT / 5).await;
    // The client learns it by an answer, and not by a request that meets a closed connection.
    let last = get(&mut stream, "/").await;
    assert!(last.says("connection: close"));
    assert_eq!(last.ok(), "/");
    assert!(rest(&mut stream).await.is_empty());
    assert_eq!(running.finish().await, ServeReport { cut: 0 });
}

#[tokio::test]
async fn what_is_stuck_is_cut_at_the_drain_limit_and_counted() {
    let running = start(HttpLimits { drain: SHORT, ..limits() }).await;
    let stuck = [enter_gate(&running).await, enter_gate(&running).await];
    let (desk, counters) = (Arc::clone(&running.desk), Arc::clone(&running.counters));
    assert_eq!(running.finish().await, ServeReport { cut: 2 });
    assert_eq!(desk.inside.load(Relaxed), 0);
    assert_eq!(counters.open.load(Relaxed), 0);
    for mut stream in stuck {
        assert!(rest(&mut stream).await.is_empty());
    }
}
