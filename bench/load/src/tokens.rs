//! Tokens as the service issues them, without asking it.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::arguments::{Arguments, Fault};

pub fn print(arguments: &Arguments) -> Result<String, Fault> {
    let secret = fs::read_to_string(arguments.text("secret-file")?)?;
    let rows: u64 = arguments.number("rows")?;
    let count: u64 = arguments.number("count")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    let mut lines = Vec::new();
    let mut random = Random::new();
    for _ in 0..count.min(rows) {
        let user = random.below(rows) + 1;
        let claims = format!(r#"{{"sub":"{user}","iat":{now},"exp":{}}}"#, now + 86_400);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.trim().as_bytes())?;
        mac.update(signed.as_bytes());
        lines.push(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())));
    }
    Ok(lines.join("\n"))
}

/// xorshift64*: the same users in every run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit.max(1)
    }
}
