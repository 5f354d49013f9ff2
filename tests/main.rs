//! Promises about the running service. Folders mirror the URLs; `support` starts a service on a fresh database.
//!
//! `scripts/test api` gives a PostgreSQL to test on in `TEST_DATABASE_URL`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod auth;
mod database;
mod health;
mod process;
mod refusals;
mod support;
mod users;
