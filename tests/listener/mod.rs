//! The listener of the binary as it is shipped: TLS, HTTP/2, limits, and what it says of those it shows the door.

mod limits;
mod tls;
