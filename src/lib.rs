//! Mini API: register, log in, who am I. See ARCHITECTURE.md for the walk of a request.

pub mod auth;
pub mod config;
pub mod http;
pub mod operator;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod user;

/// The version of this binary, as `mini-api version` prints it and migrations compare it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from; `unknown` when the build was not told.
pub const REVISION: &str = env!("MINI_API_REVISION");
