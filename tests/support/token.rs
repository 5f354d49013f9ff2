//! Tokens made by hand, with nothing of the service's own code in them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use super::SECRET;

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()).expect("not so far")
}

pub fn encode(part: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

pub fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64url")
}

/// Header and claims of a token, unverified.
pub fn read(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    (serde_json::from_slice(&decode(parts[0])).unwrap(), serde_json::from_slice(&decode(parts[1])).unwrap())
}

/// Header and claims without a signature, as the signature's input.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// A token whose signature is made with `algorithm`, whatever its header says.
pub fn hmac_signed(algorithm: hmac::Algorithm, header: &Value, claims: &Value, secret: &[u8]) -> String {
    let input = unsigned(header, claims);
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
    format!("{input}.{}", encode(signature.as_ref()))
}

/// What python-jose makes of the reference service's payload: HS256, `sub` a text, whole seconds.
pub fn of_the_reference_service(user: i64) -> String {
    with_claims(&json!({ "sub": user.to_string(), "iat": now(), "exp": now() + 3600 }))
}

/// A token of the service under test with those claims.
pub fn with_claims(claims: &Value) -> String {
    hmac_signed(hmac::HMAC_SHA256, &json!({ "alg": "HS256", "typ": "JWT" }), claims, SECRET.as_bytes())
}
