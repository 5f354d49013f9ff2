//! The texts of the column `password_hash`: `$scrypt$ln=14,r=8,p=5$salt$hash` and bcrypt's `$2b$12$…`.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Cost;

const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;

/// About two seconds.
const BCRYPT_MAX_COST: u32 = 15;
const BCRYPT_MIN_COST: u32 = 4;
const BCRYPT_SALT_LEN: usize = 16;
const BCRYPT_HASH_LEN: usize = 23;
/// bcrypt reads no further.
const BCRYPT_PASSWORD_MAX: usize = 72;

// Writers exist that leave the unused bits of the last character set; the bytes are the same.
const PHC_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));
const BCRYPT_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// Why a stored text cannot be compared with a password. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Neither `$scrypt$` nor `$2a$`, `$2b$`, `$2y$`.
    UnknownFormat,
    Malformed,
    /// Beyond the parameters that are computed at all.
    TooDear,
    /// Within them, but a slot has less memory here.
    TooLarge {
        /// Bytes.
        needs: u64,
        /// Bytes.
        slot: u64,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("the stored hash is neither scrypt nor bcrypt"),
            Self::Malformed => f.write_str("the stored hash is malformed"),
            Self::TooDear => f.write_str("the stored hash has parameters beyond those that are computed"),
            Self::TooLarge { needs, slot } => {
                write!(f, "the stored hash needs {} MiB, a hash slot has {} MiB", needs >> 20, slot >> 20)
            }
        }
    }
}

/// One computation, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Scrypt(Cost),
    /// With log2 of its rounds.
    Bcrypt(u32),
}

/// A stored hash that may be computed.
pub(super) enum Stored {
    Scrypt { cost: Cost, salt: Vec<u8>, hash: Vec<u8> },
    Bcrypt { cost: u32, salt: [u8; BCRYPT_SALT_LEN], hash: [u8; BCRYPT_HASH_LEN] },
}

impl Stored {
    /// Bounds everything before anything is computed; `memory` is what one hash may occupy, in bytes.
    pub(super) fn parse(text: &str, memory: u64) -> Result<Self, Unusable> {
        let fields: Vec<&str> = text.splitn(6, '$').collect();
        match fields.as_slice() {
            ["", "scrypt", rest @ ..] => match rest {
                [params, salt, hash] => parse_scrypt(params, salt, hash, memory),
                _ => Err(Unusable::Malformed),
            },
            // `$2x$` marks hashes of a broken implementation: another function.
            ["", "2a" | "2b" | "2y", rest @ ..] => match rest {
                [cost, salt_and_hash] => parse_bcrypt(cost, salt_and_hash),
                _ => Err(Unusable::Malformed),
            },
            _ => Err(Unusable::UnknownFormat),
        }
    }

    pub(super) fn work(&self) -> Work {
        match self {
            Self::Scrypt { cost, .. } => Work::Scrypt(*cost),
            Self::Bcrypt { cost, .. } => Work::Bcrypt(*cost),
        }
    }

    /// Whether [`create`] would make such a hash with `cost`.
    pub(super) fn is_as_of(&self, cost: Cost) -> bool {
        match self {
            Self::Scrypt { cost: own, salt, hash } => *own == cost && salt.len() >= SALT_LEN && hash.len() == HASH_LEN,
            Self::Bcrypt { .. } => false,
        }
    }

    /// Computes and compares; the comparison takes the same time wherever the hashes differ.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Scrypt { cost, salt, hash } => {
                let computed = derive(password, salt, *cost, hash.len());
                let equal: bool = computed.ct_eq(hash).into();
                // HMAC fills a short key up with NUL, so it cannot tell closing ones.
                equal && password.last() != Some(&0)
            }
            Self::Bcrypt { cost, salt, hash } => {
                let computed = bcrypt_hash(password, *cost, *salt);
                let equal: bool = computed[..BCRYPT_HASH_LEN].ct_eq(hash).into();
                // Nobody has one: the reference service refuses NUL. bcrypt itself takes "a\0a" for "a".
                equal && !password.contains(&0)
            }
        }
    }
}

/// A PHC string with a new salt; `None` when the system has no randomness.
pub(super) fn create(password: &[u8], cost: Cost) -> Option<String> {
    let mut salt = [0; SALT_LEN];
    SystemRandom::new().fill(&mut salt).ok()?;
    let hash = derive(password, &salt, cost, HASH_LEN);
    Some(format!(
        "$scrypt$ln={},r={},p={}${}${}",
        cost.log_n(),
        cost.r(),
        cost.p(),
        PHC_BASE64.encode(salt),
        PHC_BASE64.encode(&*hash)
    ))
}

/// Costs what verifying a hash of `cost` does.
pub(super) fn spend(password: &[u8], cost: Cost) {
    std::hint::black_box(derive(password, &[0; SALT_LEN], cost, HASH_LEN));
}

fn parse_scrypt(params: &str, salt: &str, hash: &str, memory: u64) -> Result<Stored, Unusable> {
    let mut params = params.split(',');
    let mut number = |name: &str| {
        let digits = params.next().and_then(|param| param.strip_prefix(name)).ok_or(Unusable::Malformed)?;
        decimal(digits)
    };
    let (log_n, r, p) = (number("ln=")?, number("r=")?, number("p=")?);
    let (salt, hash) = (decode(salt)?, decode(hash)?);
    // As the PHC format bounds them, and a hash too short to mean anything is refused.
    if params.next().is_some() || !(8..=48).contains(&salt.len()) || !(16..=64).contains(&hash.len()) {
        return Err(Unusable::Malformed);
    }
    let cost = u8::try_from(log_n).ok().and_then(|log_n| Cost::new(log_n, r, p)).ok_or(Unusable::TooDear)?;
    if cost.memory() > memory {
        return Err(Unusable::TooLarge { needs: cost.memory(), slot: memory });
    }
    Ok(Stored::Scrypt { cost, salt, hash })
}

fn parse_bcrypt(cost: &str, salt_and_hash: &str) -> Result<Stored, Unusable> {
    let (salt, hash) = salt_and_hash.split_at_checked(22).ok_or(Unusable::Malformed)?;
    let salt = BCRYPT_BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(Unusable::Malformed)?;
    let hash = BCRYPT_BASE64.decode(hash).ok().and_then(|hash| hash.try_into().ok()).ok_or(Unusable::Malformed)?;
    match decimal(cost)? {
        cost @ BCRYPT_MIN_COST..=BCRYPT_MAX_COST => Ok(Stored::Bcrypt { cost, salt, hash }),
        cost if cost < BCRYPT_MIN_COST => Err(Unusable::Malformed),
        _ => Err(Unusable::TooDear),
    }
}

// Unlike `parse` alone, takes no sign. What has more digits than a u32 is a number nobody computes.
fn decimal(digits: &str) -> Result<u32, Unusable> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unusable::Malformed);
    }
    digits.parse().map_err(|_| Unusable::TooDear)
}

fn decode(text: &str) -> Result<Vec<u8>, Unusable> {
    PHC_BASE64.decode(text).map_err(|_| Unusable::Malformed)
}

fn derive(password: &[u8], salt: &[u8], cost: Cost, len: usize) -> Zeroizing<Vec<u8>> {
    let mut output = Zeroizing::new(vec![0; len]);
    if scrypt::scrypt(password, salt, &cost.params(), &mut output).is_err() {
        // Only an empty output is refused, which equals no hash.
        output.clear();
    }
    output
}

fn bcrypt_hash(password: &[u8], cost: u32, salt: [u8; BCRYPT_SALT_LEN]) -> Zeroizing<[u8; 24]> {
    let used = password.len().min(BCRYPT_PASSWORD_MAX);
    let mut key = Zeroizing::new([0; BCRYPT_PASSWORD_MAX]);
    key[..used].copy_from_slice(&password[..used]);
    // The closing NUL belongs to the key as long as there is room for it.
    let used = (used + 1).min(BCRYPT_PASSWORD_MAX);
    Zeroizing::new(bcrypt::bcrypt(cost, salt, &key[..used]))
}
