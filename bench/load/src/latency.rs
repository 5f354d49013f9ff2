//! Latencies, kept whole: a run has thousands, not billions.

use std::time::Duration;

pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// In milliseconds; 0 when there are none.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn quantile(&self, quantile: f64) -> f64 {
        let position = (self.0.len().saturating_sub(1) as f64 * quantile).round() as usize;
        self.0.get(position).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    pub fn json(&self) -> String {
        format!(
            r#""count":{},"p50_ms":{:.3},"p90_ms":{:.3},"p99_ms":{:.3},"p999_ms":{:.3},"max_ms":{:.3}"#,
            self.0.len(),
            self.quantile(0.5),
            self.quantile(0.9),
            self.quantile(0.99),
            self.quantile(0.999),
            self.quantile(1.0)
        )
    }
}
