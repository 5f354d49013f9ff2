//! `PgBouncer` in transaction mode, as it comes: without support for prepared statements.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

use super::{
    cluster::{Cluster, as_server_user, free_port},
    process::installed,
    wait::eventually,
};

/// A pooler in front of one cluster; stopped when dropped.
pub struct PgBouncer {
    pub port: u16,
    folder: PathBuf,
    child: Child,
}

impl PgBouncer {
    /// Lends at most `size` server connections for a database and user, each for one transaction at a time.
    pub async fn start(cluster: &Cluster, size: u32) -> Self {
        Self::start_in_mode(cluster, size, "transaction").await
    }

    /// As [`Self::start`], in `session`, `transaction` or `statement` mode.
    pub async fn start_in_mode(cluster: &Cluster, size: u32, mode: &str) -> Self {
        let program = installed("pgbouncer").expect("this test needs PgBouncer: as root, apt-get install pgbouncer");
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("mini-api-pooler-{}-{port}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for the pooler");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {users}\npool_mode = {mode}\n\
             default_pool_size = {size}\nmax_client_conn = 1000\n",
            cluster.port,
            users = folder.join("users").display(),
        );
        for (name, content) in [("users", "\"postgres\" \"\"\n"), ("settings", &settings)] {
            fs::write(folder.join(name), content).expect("a file");
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o644)).expect("a mode");
        }
        let child = as_server_user(&program)
            .arg(folder.join("settings"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).expect("a log"))
            .spawn()
            .expect("pgbouncer runs");
        let pooler = Self { port, folder, child };
        eventually("PgBouncer answers", async || tokio_postgres::connect(&pooler.url("postgres"), NoTls).await.is_ok())
            .await;
        pooler
    }

    /// The way to a database through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the pooler ---\n{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
