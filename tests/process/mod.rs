//! The binary as the operating system meets it: signals, exit codes, what it prints and where it may not write.

mod as_root;
mod log;
mod stop;

use crate::support::{
    Environment,
    process::{BINARY, Process},
};

#[tokio::test]
async fn a_taken_port_is_told_in_a_sentence_and_exits_71() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let environment = Environment::new("postgresql://nobody@127.0.0.1:1/none");
    for setting in ["LISTEN_ADDR", "ADMIN_ADDR"] {
        let ended = Process::start(&environment.clone().with(setting, &address)).ended().await;
        assert_eq!(ended.code, Some(71), "{}", ended.output);
        let sentence = format!("{setting}: cannot listen on {address}");
        assert!(ended.output.contains(&sentence), "{}", ended.output);
    }
}

#[tokio::test]
async fn a_bad_setting_exits_78_before_anything_is_opened() {
    let environment = Environment::new("postgresql://nobody@127.0.0.1:1/none").with("JWT_SECRET", "change-me");
    let ended = Process::start(&environment).ended().await;
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    assert!(ended.output.contains("JWT_SECRET"), "{}", ended.output);
    assert!(!ended.output.contains("istening"), "{}", ended.output);
}

#[tokio::test]
async fn an_unknown_command_exits_64_with_the_usage() {
    let mut command = std::process::Command::new(BINARY);
    let ended = Process::spawn(command.arg("dance"), &Environment::new("")).ended().await;
    assert_eq!(ended.code, Some(64));
    assert!(ended.output.contains("no such command: dance") && ended.output.contains("usage:"), "{}", ended.output);
}
