//! Logs (JSON lines) and counters.
use crate::{auth::throttle::Pseudonym, config::LogFormat};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
pub const METRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
#[derive(Clone)]
pub struct Log;
pub struct Metrics;
pub struct Access<'a> {
    pub request_id: &'a str,
    pub method: &'a str,
    pub route: &'static str,
    pub status: u16,
    pub took: Duration,
    pub client: IpAddr,
    pub cause: Option<&'a str>,
}
#[derive(Debug, Clone, Copy)]
pub enum SecurityEvent {
    LoginFailed,
    LoginSucceeded,
    Throttled,
    Registered,
    TokenRefused,
}
pub struct Security<'a> {
    pub event: SecurityEvent,
    pub account: Option<Pseudonym>,
    pub client: IpAddr,
    pub request_id: &'a str,
    pub reason: Option<&'a str>,
}
#[derive(Debug)]
pub enum Lifecycle<'a> {
    Listening { address: SocketAddr, admin: Option<SocketAddr>, version: &'a str },
    Ready,
    WaitingForDatabase { why: &'a str },
    Migrated { applied: &'a [String] },
    Draining,
    Stopped { cut: usize },
}
impl Log {
    pub fn start(_: LogFormat) -> Self {
        Self
    }
    pub fn access(&self, a: &Access) {
        if a.cause.is_some() {
            eprintln!("{} {} {:?}", a.route, a.status, a.cause);
        }
    }
    pub fn security(&self, _: &Security) {}
    pub fn lifecycle(&self, l: Lifecycle) {
        eprintln!("{l:?}");
    }
    pub fn fault(&self, w: &str, c: &str) {
        eprintln!("{w} {c}");
    }
    pub fn listener(&self, e: &crate::http::server::Event) {
        eprintln!("{e}");
    }
    pub fn unusable_hash(&self, p: Pseudonym, r: &crate::auth::password::Unusable) {
        eprintln!("{p} {r:?}");
    }
    pub fn flush(&self) {}
}
impl Metrics {
    pub fn new(_: impl Iterator<Item = &'static str>) -> Self {
        Self
    }
    pub fn request(&self, _: &'static str, _: &poem::http::Method, _: u16, _: Duration) {}
    pub fn throttled(&self, _: &'static str) {}
    pub fn security(&self, _: SecurityEvent) {}
    pub fn encode(&self) -> String {
        String::new()
    }
}
pub fn _unused(_: Arc<()>) {}
