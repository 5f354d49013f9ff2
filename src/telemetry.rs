//! Logs (JSON lines) and counters.
