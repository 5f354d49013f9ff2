//! The real binary as an operator runs it: signals, exit codes, what it prints.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Client, Environment, wait::eventually};

/// The path of the binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_mini-api");

/// A running service; killed when dropped.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
}

impl Process {
    /// Starts `mini-api serve` with these settings and no others.
    pub fn start(environment: &Environment) -> Self {
        Self::spawn(Command::new(BINARY).arg("serve"), environment)
    }

    /// Starts a command that ends in the binary, such as one that runs it in a namespace.
    pub fn spawn(command: &mut Command, environment: &Environment) -> Self {
        prepare(command, environment);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take(), &lines);
        collect(child.stderr.take(), &lines);
        Self { child, lines }
    }

    /// Starts it with its output going where the command says; [`Self::lines`] then stays empty.
    pub fn spawn_unheard(command: &mut Command, environment: &Environment) -> Self {
        prepare(command, environment);
        let child = command.spawn().expect("the binary runs");
        Self { child, lines: Arc::default() }
    }

    /// What it printed until now, on both outputs.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no reader panicked").clone()
    }

    /// Waits for a line that has all of these words.
    pub async fn line_with(&self, words: &[&str]) -> String {
        let mut found = None;
        eventually(&format!("a line has {words:?}"), async || {
            found = self.lines().into_iter().find(|line| words.iter().all(|word| line.contains(word)));
            found.is_some()
        })
        .await;
        found.expect("found")
    }

    /// Waits until it listens, and says where.
    pub async fn address(&self) -> SocketAddr {
        let line = self.line_with(&["istening", "127.0.0.1:"]).await;
        let rest = &line[line.find("127.0.0.1:").expect("an address")..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
        rest[..end].parse().expect("an address")
    }

    /// A client of it.
    pub async fn client(&self) -> Client {
        Client::new(self.address().await)
    }

    /// Waits until `/readyz` says yes.
    pub async fn ready(&self) -> Client {
        let address = self.address().await;
        eventually("the service is ready", async || status(address, "/readyz").await == Some(200)).await;
        Client::new(address)
    }

    /// Stops reading what it prints.
    pub fn hang_up(&mut self) {
        drop((self.child.stdout.take(), self.child.stderr.take()));
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it can be signalled");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits until it has ended, and its output with it.
    pub async fn ended(mut self) -> Ended {
        let mut status: Option<ExitStatus> = None;
        eventually("the process ends", async || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        })
        .await;
        // Both readers drop their share at the end of what they read.
        eventually("its output ends", async || Arc::strong_count(&self.lines) == 1).await;
        Ended { code: status.and_then(|status| status.code()), output: self.lines().join("\n") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- output of the process ---\n{}", self.lines().join("\n"));
        }
    }
}

fn prepare(command: &mut Command, environment: &Environment) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Real hashes at the lowest priority: on a busy machine they take what time they take.
    command.env_clear().env("PATH", path).env("REQUEST_TIMEOUT", "300").env("HASH_DEADLINE", "300");
    command.envs(environment.variables()).stdin(Stdio::null());
}

fn collect(output: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<Vec<String>>>) {
    let (output, lines) = (output.expect("a pipe"), lines.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().expect("no reader panicked").push(line);
        }
    });
}

/// The status of a GET over a connection of its own; `None` when there is no answer.
pub async fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Whether a program is there, for a failure that names what is missing.
pub fn installed(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").into(), Path::new("/sbin").into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
