//! A PostgreSQL cluster of a test's own, to be frozen, killed, filled and failed over.
//!
//! Its programs are those in `TEST_PG_BIN`, else the newest on the machine; as root they run as another user, because
//! PostgreSQL refuses root. It dies with the test's thread, whatever becomes of that.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{Client, NoTls};

use super::{Database, wait::eventually};

/// A cluster; dropped, it is stopped and its folder removed.
pub struct Cluster {
    pub port: u16,
    folder: PathBuf,
    server: Option<Child>,
}

/// How a server is stopped.
#[derive(Clone, Copy)]
pub enum Stop {
    /// Sessions are told, and what is in memory is written.
    Fast,
    /// As if the power had gone.
    Immediate,
}

impl Cluster {
    /// Running, with trust for everybody on 127.0.0.1 and the superuser `postgres`.
    pub async fn start() -> Self {
        let mut cluster = Self::create();
        cluster.run().await;
        cluster
    }

    /// Made but not started.
    pub fn create() -> Self {
        Self::create_on(None)
    }

    /// Made but not started; its tables are in a folder of their own, such as one that can be filled up.
    pub fn create_on(disk: Option<&Path>) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("mini-api-cluster-{}-{port}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for the cluster");
        let cluster = Self { port, folder, server: None };
        Self::own(&cluster.folder);
        let log = cluster.folder.join("wal");
        let tables = disk.map_or_else(|| cluster.data(), |disk| disk.join("data"));
        if disk.is_some() {
            std::os::unix::fs::symlink(&tables, cluster.data()).expect("a link");
        }
        let output = server_command("initdb")
            .args([
                "--no-sync",
                "--wal-segsize=1",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&tables)
            .args(disk.iter().flat_map(|_| ["--waldir".as_ref(), log.as_os_str()]))
            .output()
            .expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("shared_buffers", "16MB"),
            ("fsync", "off"),
            ("log_min_messages", "warning"),
        ] {
            cluster.set(name, value);
        }
        cluster.set("port", &port.to_string());
        cluster
    }

    /// Where the cluster keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Sets a parameter; the last one given counts from the next start, or `reload`, on.
    pub fn set(&self, name: &str, value: &str) {
        let line = format!("{name} = '{}'\n", value.replace('\'', "''"));
        let path = self.data().join("postgresql.conf");
        let text = fs::read_to_string(&path).expect("the cluster's settings") + &line;
        self.write("postgresql.conf", &text);
    }

    /// Replaces a file of the cluster; only its user may read it.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        fs::write(&path, content).expect("a file of the cluster can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        Self::own(&path);
    }

    // Gives a file to the user that the server runs as.
    fn own(path: &Path) {
        if let Some((uid, gid)) = server_user() {
            chown(path, Some(uid), Some(gid)).expect("root gives files away");
        }
    }

    /// Starts the server, without waiting for it.
    pub fn launch(&mut self) {
        assert!(self.server.is_none(), "it runs already");
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let child = server_command("postgres")
            .arg("-D")
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres runs");
        self.server = Some(child);
    }

    /// Starts the server and waits until it answers.
    pub async fn run(&mut self) {
        self.launch();
        let url = self.url("postgres");
        eventually("PostgreSQL answers", async || {
            if let Some(Ok(Some(status))) = self.server.as_mut().map(Child::try_wait) {
                panic!("PostgreSQL ended with {status}: {}", self.log());
            }
            tokio_postgres::connect(&url, NoTls).await.is_ok()
        })
        .await;
    }

    /// What the server said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Stops the server and waits until it is gone.
    pub async fn stop(&mut self, how: Stop) {
        self.signal(match how {
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
        });
        let mut child = self.server.take().expect("a server that runs");
        eventually("PostgreSQL stops", async || child.try_wait().expect("a child").is_some()).await;
    }

    /// Reads changed settings.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Stops time for the server: it holds its connections and answers nothing, as behind a broken network.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        self.signal_children(Signal::STOP);
    }

    /// Lets time go on.
    pub fn thaw(&self) {
        self.signal_children(Signal::CONT);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().expect("a server that runs");
        let _ = kill_process(pid_of(server), signal);
    }

    // The server's processes: it starts no threads, so all are children of its first.
    fn signal_children(&self, signal: Signal) {
        let pid = self.server.as_ref().map_or(0, Child::id);
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for pid in text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = kill_process(pid, signal);
        }
    }

    /// A standby that streams from this cluster, running. This one must be stopped, and is so still.
    pub fn standby(&self) -> Self {
        assert!(self.server.is_none(), "a cold copy is made of a stopped server");
        let port = free_port();
        let folder = self.folder.with_file_name(format!("mini-api-cluster-{}-{port}", std::process::id()));
        let status = Command::new("cp").args(["-a", "--"]).args([&self.folder, &folder]).status().expect("cp runs");
        assert!(status.success(), "the cluster can be copied");
        let copy = Self { port, folder, server: None };
        copy.set("port", &port.to_string());
        copy.follow(self);
        copy
    }

    /// From its next start on this is a standby of `leader`.
    pub fn follow(&self, leader: &Self) {
        self.set("primary_conninfo", &format!("host=127.0.0.1 port={} user=postgres", leader.port));
        self.write("standby.signal", "");
    }

    /// Its address for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// An empty database on it.
    pub async fn database(&self, name: &str) -> Database {
        self.connect("postgres").await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a new database");
        Database { name: name.into(), url: self.url(name) }
    }

    /// A connection for what only the test does.
    pub async fn connect(&self, database: &str) -> Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url(database), NoTls).await.expect("the test's PostgreSQL answers");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.signal(Signal::QUIT);
            // Frozen, it could not end.
            self.thaw();
        }
        // A child that began only now was not told.
        while self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None))) {
            self.signal_children(Signal::KILL);
            std::thread::sleep(Duration::from_millis(20));
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A port that nobody listens on, from below those the system gives to outgoing connections: it stays free while its
/// server is down.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).expect("small");
    for _ in 0..10_000 {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let port = 20_000 + offset;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// The words put before a program so that it runs as the server's user and dies with the test.
fn stepped_down() -> Vec<String> {
    let mut words: Vec<String> = match std::env::var("TEST_PG_AS") {
        Ok(words) => words.split_whitespace().map(str::to_owned).collect(),
        Err(_) => server_user()
            .map(|(uid, gid)| {
                ["setpriv", "--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]
                    .map(str::to_owned)
                    .into()
            })
            .unwrap_or_default(),
    };
    words.extend(["setpriv", "--pdeathsig", "QUIT"].map(str::to_owned));
    words
}

// Whom the server runs as when the test is root: the owner of what `setpriv` writes tells, whichever words were given.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|user| {
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, user]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        Some((id("-u")?, id("-g")?))
    })
}

/// A program, to be run as the user of the cluster's server.
pub fn as_server_user(program: &Path) -> Command {
    let mut words = stepped_down();
    let mut command = Command::new(words.remove(0));
    command.args(words).arg(program).current_dir("/").stdin(Stdio::null());
    command
}

fn server_command(program: &str) -> Command {
    as_server_user(&programs().join(program))
}

// The folder of PostgreSQL's programs.
fn programs() -> PathBuf {
    if let Ok(folder) = std::env::var("TEST_PG_BIN") {
        return folder.into();
    }
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder).expect("TEST_PG_BIN names the folder of PostgreSQL's programs")
}

/// Whether the test may do what only root may; fails with the reason otherwise.
#[track_caller]
pub fn need_root() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root: run scripts/test root, as root");
}
