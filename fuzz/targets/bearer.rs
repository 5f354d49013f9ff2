//! Tokens nobody issued, and tokens signed with the right key that say anything at all.
#![no_main]

use std::{
    path::Path,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use libfuzzer_sys::fuzz_target;
use mini_api::{
    auth::token::{Claims, Tokens},
    config::Settings,
    user::UserId,
};
use serde_json::Value;

const SECRET: &str = "only-for-fuzzing-0123456789-0123456789-0123456789";

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let variable = |name: &str| match name {
        "DB_PASSWORD" => Some("unused".to_owned()),
        "JWT_SECRET" => Some(SECRET.to_owned()),
        _ => None,
    };
    let no_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    Tokens::new(&Settings::from_env(variable, no_file).expect("sound settings").tokens).expect("sound keys")
});

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

// What a token may say to be believed, written down a second time.
fn wanted(claims: &Value) -> Option<Claims> {
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let begun =
        claims.get("nbf").is_none_or(|nbf| nbf.is_null() || nbf.as_f64().is_some_and(|nbf| nbf <= 1_800_000_000.0));
    let version = match claims.get("ver") {
        None => 0,
        Some(version) => i32::try_from(version.as_i64()?).ok()?,
    };
    let user = claims.get("sub")?.as_str()?.parse().ok()?;
    (number("exp")? > 1_800_000_000.0 && begun).then_some(Claims { user: UserId(user), version })
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        // Without the key no input can be a token.
        assert!(TOKENS.verify(text, now()).is_err(), "believed: {text}");
    }
    let header = Header::new(Algorithm::HS256);
    let head = jsonwebtoken::encode(&header, &(), &EncodingKey::from_secret(SECRET.as_bytes())).expect("signs");
    let head = head.split('.').next().unwrap_or_default();
    let signed = format!("{head}.{}", base64(data));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).expect("signs");
    match TOKENS.verify(&format!("{signed}.{signature}"), now()) {
        Ok(claims) => {
            // A claim nobody asks for may hold a number no f64 can: it is passed over unread.
            let Ok(said) = serde_json::from_slice(data) else { return };
            assert_eq!(Some(claims), wanted(&said), "{said}");
        }
        Err(_) => {
            // Whoever signs as we do is believed.
            if let Ok(said @ Value::Object(_)) = serde_json::from_slice::<Value>(data) {
                // Written in another way than we would: a number too large for an integer, an escaped letter, a name twice.
                let letters = |text: &[u8]| {
                    let mut text = text.to_vec();
                    text.sort_unstable();
                    text
                };
                let odd = serde_json::to_vec(&said).map_or(true, |plain| letters(&plain) != letters(data));
                assert!(odd || wanted(&said).is_none(), "refused: {said}");
            }
        }
    }
});

fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}
