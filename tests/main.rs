//! Promises about the running service. Folders mirror the URLs; `support` starts a service on a fresh database.
//!
//! `scripts/test api` gives a PostgreSQL to test on in `TEST_DATABASE_URL`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adoption;
mod auth;
mod cors;
mod database;
mod docs;
mod health;
mod listener;
mod logs;
mod metrics;
mod openapi;
mod operator;
mod process;
mod quick;
mod refusals;
mod startup;
mod support;
mod users;
mod well_known;
