//! Starts a service as a user would meet it: real sockets, a real PostgreSQL, a database of its own.

pub mod binary;
pub mod client;
pub mod cluster;
pub mod database;
pub mod golden;
pub mod pgbouncer;
pub mod process;
pub mod token;
pub mod wait;
pub mod wire;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use mini_api::{
    auth::password::Cost,
    config::{self, Settings},
    http::App,
    service::{Fatal, KEEP_HOUSE_EVERY, Service},
    telemetry::Log,
};
use serde_json::Value;

pub use self::{
    binary::{bash, run, run_with_input},
    client::{Answer, Client},
    database::Database,
    golden::assert_golden,
    wire::Wire,
};

/// A secret that is none.
pub const SECRET: &str = "only-for-tests-0123456789-0123456789-0123456789-0123456789-0123456789";

/// A service, its database, and a client that calls it.
pub struct TestApp {
    pub address: SocketAddr,
    pub admin: Option<SocketAddr>,
    pub database: Database,
    pub client: Client,
    pub app: Arc<App>,
    lines: Lines,
    service: Option<Service>,
}

/// What a service logs.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Settings of a service under test: a builder over the environment it would read.
#[derive(Clone)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    pub fn new(database_url: &str) -> Self {
        Self(HashMap::new())
            .with("DATABASE_URL", database_url)
            .with("JWT_SECRET", SECRET)
            .with("LISTEN_ADDR", "127.0.0.1:0")
            .with("DB_START_TIMEOUT", "20")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    pub fn settings(&self) -> Settings {
        Settings::from_env(|name| self.0.get(name).cloned(), config::read_file).expect("settings of the test are sound")
    }

    /// The variables, for a process of its own.
    pub fn variables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}

/// Cheap hashes, so that tests of everything else are quick.
pub fn cheap() -> Cost {
    Cost::new(4, 8, 1).expect("a cost within bounds")
}

impl TestApp {
    /// A ready service on an empty database, with default settings.
    pub async fn start() -> Self {
        Self::start_with(|environment| environment).await
    }

    /// A ready service whose environment `change` has altered.
    pub async fn start_with(change: impl FnOnce(Environment) -> Environment) -> Self {
        Self::start_on(Database::create().await, change).await.expect("the service becomes ready")
    }

    /// A service on a database that exists already.
    pub async fn start_on(database: Database, change: impl FnOnce(Environment) -> Environment) -> Result<Self, Fatal> {
        let app = Self::listen_on(database, cheap(), change).await?;
        app.become_ready().await?;
        Ok(app)
    }

    /// A service that listens but has not asked for its database yet.
    pub async fn listen_on(
        database: Database,
        cost: Cost,
        change: impl FnOnce(Environment) -> Environment,
    ) -> Result<Self, Fatal> {
        let settings = change(Environment::new(&database.url)).settings();
        let lines = Lines::default();
        let log = Log::to(lines.clone(), settings.log_format, std::time::SystemTime::now);
        let service = Service::listen(settings, cost, log).await?;
        Ok(Self {
            lines,
            address: service.address,
            admin: service.admin_address,
            client: Client::new(service.address),
            app: service.app.clone(),
            database,
            service: Some(service),
        })
    }

    pub async fn become_ready(&self) -> Result<(), Fatal> {
        self.become_ready_and_keep_house(KEEP_HOUSE_EVERY).await
    }

    pub async fn become_ready_and_keep_house(&self, every: Duration) -> Result<(), Fatal> {
        self.service.as_ref().expect("it has not been stopped").become_ready(every).await
    }

    /// A ready service behind a wire that hears its statements.
    pub async fn start_on_wire(change: impl FnOnce(Environment) -> Environment) -> (Self, Wire) {
        let database = Database::create().await;
        let wire = Wire::to(&database).await;
        let url = wire.url.clone();
        let app = Self::start_on(database, |e| change(e.with("DATABASE_URL", &url))).await;
        (app.expect("the service becomes ready"), wire)
    }

    /// What a command of the binary needs to work on this service's database.
    pub fn environment(&self) -> Environment {
        Environment::new(&self.database.url)
    }

    /// Registers a user and returns a token of his.
    pub async fn token_of(&self, email: &str, password: &str) -> String {
        let answer = self.client.register(email, password).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.log_in(email, password).await
    }

    /// A token of a user who exists.
    pub async fn log_in(&self, email: &str, password: &str) -> String {
        let answer = self.client.login(email, password).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// Everything logged until now, raw.
    pub fn log(&self) -> String {
        self.app.log.flush(Duration::from_secs(5));
        let bytes = self.lines.0.lock().expect("no panic while writing").clone();
        String::from_utf8(bytes).expect("text")
    }

    /// The log lines of one event, in order.
    pub fn logged(&self, event: &str) -> Vec<Value> {
        let lines = self.log();
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}")));
        lines.filter(|line: &Value| line["event"] == event).collect()
    }

    /// Drains and stops, as SIGTERM would.
    pub async fn stop(mut self) {
        if let Some(service) = self.service.take() {
            service.drain().await;
        }
    }
}
