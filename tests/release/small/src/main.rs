//! Tells version and commit, as the real one does.

use base64::{Engine as _, engine::general_purpose::STANDARD};

fn main() {
    println!(
        "mini-api {} ({}) {} {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("MINI_API_REVISION").unwrap_or("unknown"),
        itoa::Buffer::new().format(42_u32),
        STANDARD.encode("small"),
    );
}
