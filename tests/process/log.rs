use std::process::{Command, Stdio};

use crate::support::{
    Client, Database, Environment,
    cluster::free_port,
    process::{BINARY, Process, status},
    wait::eventually,
};

// A service whose output nobody can read says where it listens to nobody either.
fn on_a_known_port(database: &Database) -> (Environment, std::net::SocketAddr) {
    let address = format!("127.0.0.1:{}", free_port());
    (Environment::new(&database.url).with("LISTEN_ADDR", &address), address.parse().unwrap())
}

async fn serves(service: &mut Process, address: std::net::SocketAddr) {
    eventually("the service is ready", async || status(address, "/readyz").await == Some(200)).await;
    let client = Client::new(address);
    // More lines than a pipe holds, and causes among them.
    for number in 0..1500 {
        assert_eq!(client.get("/livez").await.status, 200, "after {number} requests");
    }
    assert_eq!(client.login("nobody@b.com", "secret123").await.status, 401);
    assert_eq!(client.register("a@b.com", "secret123").await.status, 201);
    assert!(service.is_running());
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_stop_the_service() {
    let database = Database::create().await;
    let (environment, address) = on_a_known_port(&database);
    let mut command = Command::new(BINARY);
    command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Process::spawn_unheard(&mut command, &environment);
    serves(&mut service, address).await;
}

#[tokio::test]
async fn a_log_whose_reader_went_away_does_not_stop_the_service() {
    let database = Database::create().await;
    let (environment, address) = on_a_known_port(&database);
    let mut command = Command::new(BINARY);
    command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Process::spawn_unheard(&mut command, &environment);
    service.hang_up();
    serves(&mut service, address).await;
}

#[tokio::test]
async fn a_log_on_a_full_disk_does_not_stop_the_service() {
    let database = Database::create().await;
    let (environment, address) = on_a_known_port(&database);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(BINARY);
    command.arg("serve").stdout(full()).stderr(full());
    let mut service = Process::spawn_unheard(&mut command, &environment);
    serves(&mut service, address).await;
}

#[tokio::test]
async fn closed_outputs_do_not_stop_the_service() {
    let database = Database::create().await;
    let (environment, address) = on_a_known_port(&database);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" serve <&- >&- 2>&-", BINARY]);
    let mut service = Process::spawn_unheard(&mut command, &environment);
    serves(&mut service, address).await;
}
