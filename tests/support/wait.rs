//! Waiting for what must come true, instead of for time to pass.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take on a busy machine before it counts as never.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until the condition holds; fails, naming it, when it does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
