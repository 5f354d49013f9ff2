//! The binary itself, as operators start it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::{Client, Environment};

const PATIENCE: Duration = Duration::from_secs(30);

/// What a command of the binary left behind.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Finished {
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

fn command(environment: &Environment, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini-api"));
    command.args(words).env_clear().envs(environment.variables());
    command
}

/// Runs a command of the binary with nothing but `environment`, and `input` on its standard input.
pub async fn run_with_input(environment: &Environment, words: &[&str], input: &str) -> Finished {
    let mut command = command(environment, words);
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // A command that does not read its input may close it first.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the command ends");
        Finished {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    })
    .await
    .expect("no panic")
}

pub async fn run(environment: &Environment, words: &[&str]) -> Finished {
    run_with_input(environment, words, "").await
}

/// A running `mini-api serve`; killed when dropped.
pub struct Process {
    pub address: SocketAddr,
    pub client: Client,
    child: Child,
}

impl Process {
    /// Starts it on a free port and waits until it says it is ready.
    pub async fn start(environment: &Environment) -> Self {
        let mut process = Self::launch(environment);
        process.wait_ready().await;
        process
    }

    /// Starts it on a free port.
    pub fn launch(environment: &Environment) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let environment = environment.clone().with("LISTEN_ADDR", &address.to_string());
        let child = command(&environment, &["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        Self { address, client: Client::new(address), child }
    }

    pub async fn wait_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("it ended with {status} before it was ready");
            }
            if std::net::TcpStream::connect(self.address).is_ok() && self.client.get("/readyz").await.status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "not ready in time");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to end, as an orchestrator does, and waits until it did.
    pub async fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end in time");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script with bash, strictly; `variables` are its environment beside PATH.
pub async fn bash(script: &str, variables: &[(&str, &str)]) -> Finished {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(variables.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash starts");
    tokio::task::spawn_blocking(move || {
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
        child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
        Finished { code: child.wait().expect("it ends").code(), out, err }
    })
    .await
    .expect("no panic")
}
