//! The listener: connections, TLS, time-outs, the body limit and draining.
