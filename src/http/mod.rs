//! The route table.

pub mod problem;
pub mod server;
