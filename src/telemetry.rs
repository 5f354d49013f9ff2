//! What the service says of itself: log lines for people and machines, and metrics. See docs/logging-and-metrics.md.

mod event;
mod line;
mod log;
pub mod metrics;
#[cfg(test)]
mod tests;

pub use self::{
    event::{Access, AccountTag, Event, Field, Level, Subject},
    line::is_direction,
    log::Log,
    metrics::Metrics,
};
