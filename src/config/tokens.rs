//! The keys of tokens.

use std::{fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use rustls::pki_types::pem::{PemObject as _, SectionKind};

use super::{
    AsymmetricAlgorithm, HmacAlgorithm, Secret, SigningKey, Tokens, VerifyingKey,
    fault::Refusal,
    reader::{Reader, Reported},
    table,
};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Tokens> {
    let signing = match reader.word(&table::JWT_ALG) {
        Some("HS384") => hmac(reader, HmacAlgorithm::Hs384),
        Some("HS512") => hmac(reader, HmacAlgorithm::Hs512),
        Some("EdDSA") => private(reader, AsymmetricAlgorithm::EdDsa),
        Some("ES256") => private(reader, AsymmetricAlgorithm::Es256),
        _ => hmac(reader, HmacAlgorithm::Hs256),
    };
    let mut previous = previous_secrets(reader).unwrap_or_default();
    previous.extend(previous_keys(reader).unwrap_or_default());
    let lifetime = Duration::from_secs(reader.whole(&table::JWT_EXPIRE_MIN) * 60);
    Some(Tokens { signing: signing.ok()?, previous, lifetime })
}

impl HmacAlgorithm {
    /// As `JWT_ALG` and a token's header have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The shortest key, in bytes: the length of the hash (RFC 7518, 3.2).
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
        }
    }
}

impl AsymmetricAlgorithm {
    /// As `JWT_ALG` and a token's header have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::EdDsa => "openssl genpkey -algorithm ed25519 -out jwt.pem",
            Self::Es256 => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out jwt.pem",
        }
    }
}

fn hmac(reader: &mut Reader<'_>, algorithm: HmacAlgorithm) -> Result<SigningKey, Reported> {
    warn_of_idle(reader, &table::JWT_PRIVATE_KEY, algorithm.name());
    let Some(given) = reader.secret_file_first(&table::JWT_SECRET)? else {
        let refusal = Refusal::new("is not set, nor is JWT_SECRET_FILE", new_secret(algorithm));
        return Err(reader.fault(table::JWT_SECRET.name, refusal));
    };
    check_secret(&given.value, algorithm).map_err(|wrong| {
        reader.fault(&given.source, Refusal::new(wrong, new_secret(algorithm)));
        Reported
    })?;
    Ok(SigningKey::Hmac(algorithm, Secret::new(given.value)))
}

fn new_secret(algorithm: HmacAlgorithm) -> String {
    format!("make one with: openssl rand -base64 {}", algorithm.key_bytes().max(48))
}

fn check_secret(secret: &[u8], algorithm: HmacAlgorithm) -> Result<(), String> {
    if is_placeholder(secret) {
        return Err("is a placeholder or a repetition, which anybody can guess".into());
    }
    let (has, wants) = (secret.len(), algorithm.key_bytes());
    if has < wants {
        return Err(format!("has {has} bytes, and {} wants {wants} or more", algorithm.name()));
    }
    Ok(())
}

/// What templates and tutorials have in the place of a secret.
fn is_placeholder(secret: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "secret",
        "password",
        "supersecret",
        "super-secret",
        "super_secret",
        "placeholder",
        "replace-me",
        "replaceme",
        "replace_me",
        "your-secret",
        "your_secret",
        "yoursecret",
        "my-secret",
        "my_secret",
        "mysecret",
        "jwt-secret",
        "jwt_secret",
    ];
    says_change_me(secret) || WORDS.iter().any(|w| starts_with(secret, w)) || is_repetition(secret)
}

/// The reference service's own placeholders (`change-me`, `change-me-in-prod`) and their relatives.
pub(super) fn says_change_me(secret: &[u8]) -> bool {
    ["change-me", "changeme", "change_me"].iter().any(|w| starts_with(secret, w))
}

fn starts_with(secret: &[u8], word: &str) -> bool {
    secret.trim_ascii().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

// One character, or any shorter text, over and over: long, but not hard to guess.
fn is_repetition(secret: &[u8]) -> bool {
    secret.len() > 1 && (1..=secret.len() / 2).any(|period| secret.iter().zip(&secret[period..]).all(|(a, b)| a == b))
}

fn warn_of_idle(reader: &mut Reader<'_>, setting: &table::Setting, algorithm: &str) {
    if reader.is_set(setting.name) || reader.is_set(&setting.file_name()) {
        let advice = if setting.name == table::JWT_SECRET.name {
            "; its tokens stay valid when it moves to JWT_PREVIOUS_SECRETS"
        } else {
            "; its tokens stay valid when its public key moves to JWT_PREVIOUS_KEYS_FILE"
        };
        reader.warnings.push(format!("{} is set but not used, because JWT_ALG is {algorithm}{advice}", setting.name));
    }
}

fn private(reader: &mut Reader<'_>, algorithm: AsymmetricAlgorithm) -> Result<SigningKey, Reported> {
    warn_of_idle(reader, &table::JWT_SECRET, algorithm.name());
    let Some(given) = reader.secret(&table::JWT_PRIVATE_KEY)? else {
        let wrong = format!("is not set, nor is JWT_PRIVATE_KEY_FILE, and JWT_ALG is {}", algorithm.name());
        let refusal = Refusal::new(wrong, format!("make a key with: {}", algorithm.command()));
        return Err(reader.fault(table::JWT_PRIVATE_KEY.name, refusal));
    };
    match private_key(&given.value, algorithm) {
        Ok(pem) => Ok(SigningKey::Private(algorithm, Secret::new(pem))),
        Err(refusal) => Err(reader.fault(&given.source, refusal)),
    }
}

fn private_key(text: &[u8], algorithm: AsymmetricAlgorithm) -> Result<Vec<u8>, Refusal> {
    let make = || format!("make a key with: {}", algorithm.command());
    let convert = || "convert it with: openssl pkey -in OLD.pem -out NEW.pem".to_owned();
    let text = String::from_utf8_lossy(text);
    // Environment files know no line ends in values, so people write \n there.
    let text = if text.contains('\n') { text.into_owned() } else { text.replace("\\n", "\n") };
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Refusal::new("is locked with a passphrase", convert()));
    }
    // EC keys may come with an EC PARAMETERS block in front, which is skipped.
    let keys = sections(text.as_bytes()).map_err(|()| Refusal::new("is not valid PEM", make()))?;
    let der = match keys.as_slice() {
        [(SectionKind::PrivateKey, der)] => der,
        [(SectionKind::EcPrivateKey, _)] => {
            return Err(Refusal::new("is an EC PRIVATE KEY (SEC1), not PKCS#8", convert()));
        }
        [(SectionKind::RsaPrivateKey, _)] => return Err(wrong_kind("an RSA key", algorithm)),
        [(SectionKind::PublicKey, _)] => return Err(Refusal::new("is a public key", make())),
        [] => return Err(Refusal::new("has no PEM block BEGIN PRIVATE KEY", make())),
        [_] => return Err(Refusal::new("is not a private key", make())),
        _ => return Err(Refusal::new("has more than one PEM block", "leave only the private key in it")),
    };
    let kind = KeyKind::of(der);
    match (algorithm, kind) {
        (AsymmetricAlgorithm::EdDsa, Some(KeyKind::Ed25519)) | (AsymmetricAlgorithm::Es256, Some(KeyKind::P256)) => {
            Ok(pem("PRIVATE KEY", der).into_bytes())
        }
        (_, Some(other)) => Err(wrong_kind(other.name(), algorithm)),
        (_, None) => Err(wrong_kind("a key of another kind, or a damaged one,", algorithm)),
    }
}

fn wrong_kind(kind: &str, algorithm: AsymmetricAlgorithm) -> Refusal {
    let fit = match kind {
        "an Ed25519 key" => "set JWT_ALG=EdDSA, or ",
        "a P-256 key" => "set JWT_ALG=ES256, or ",
        _ => "",
    };
    Refusal::new(
        format!("is {kind} and does not fit JWT_ALG={}", algorithm.name()),
        format!("{fit}make a key with: {}", algorithm.command()),
    )
}

#[derive(Clone, Copy)]
enum KeyKind {
    Ed25519,
    P256,
}

impl KeyKind {
    fn of(pkcs8: &[u8]) -> Option<Self> {
        if Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).is_ok() {
            return Some(Self::Ed25519);
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
            .is_ok()
            .then_some(Self::P256)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "an Ed25519 key",
            Self::P256 => "a P-256 key",
        }
    }
}

fn sections(pem: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, ()> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ())
}

// Written anew, so that whatever stood around the block in the file goes no further.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "-----END {label}-----");
    text
}

fn previous_secrets(reader: &mut Reader<'_>) -> Result<Vec<VerifyingKey>, Reported> {
    let Some(given) = reader.secret(&table::JWT_PREVIOUS_SECRETS)? else { return Ok(Vec::new()) };
    let mut keys = Vec::new();
    for (index, line) in given.value.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let (algorithm, secret) = [HmacAlgorithm::Hs256, HmacAlgorithm::Hs384, HmacAlgorithm::Hs512]
            .into_iter()
            .find_map(|a| Some((a, line.strip_prefix(a.name().as_bytes())?.strip_prefix(b":")?)))
            .unwrap_or((HmacAlgorithm::Hs256, line));
        match check_secret(secret, algorithm) {
            Ok(()) => keys.push(VerifyingKey::Hmac(algorithm, Secret::new(secret))),
            Err(wrong) => {
                // Anybody who guesses it could make tokens.
                let mend = "leave it out: its users log in again";
                reader.fault(&given.source, Refusal::new(format!("line {} {wrong}", index + 1), mend));
            }
        }
    }
    Ok(keys)
}

fn previous_keys(reader: &mut Reader<'_>) -> Result<Vec<VerifyingKey>, Reported> {
    let setting = table::JWT_PREVIOUS_KEYS_FILE;
    let Some((_, content)) = reader.file(&setting)? else { return Ok(Vec::new()) };
    let mend = "write PEM blocks BEGIN PUBLIC KEY into it; make one with: openssl pkey -in OLD.pem -pubout";
    let keys = match sections(&content) {
        Err(()) => Err("the file it names is not valid PEM".to_owned()),
        Ok(blocks) if blocks.is_empty() => Err("the file it names has no public key".to_owned()),
        Ok(blocks) => blocks.iter().enumerate().map(|(index, block)| public_key(index + 1, block)).collect(),
    };
    keys.map_err(|wrong| reader.fault(setting.name, Refusal::new(wrong, mend)))
}

fn public_key(number: usize, (kind, der): &(SectionKind, Vec<u8>)) -> Result<VerifyingKey, String> {
    // SubjectPublicKeyInfo up to the key itself, which has one length: an exact prefix is an exact check of the OID.
    const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    const P256: &[u8] =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    match kind {
        SectionKind::PublicKey => {}
        SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
            return Err(format!("block {number} of the file it names is a private key"));
        }
        _ => return Err(format!("block {number} of the file it names is not a public key")),
    }
    let algorithm = if der.starts_with(ED25519) && der.len() == ED25519.len() + 32 {
        AsymmetricAlgorithm::EdDsa
    } else if der.starts_with(P256) && der.len() == P256.len() + 64 {
        AsymmetricAlgorithm::Es256
    } else {
        return Err(format!("block {number} of the file it names is neither an Ed25519 nor an uncompressed P-256 key"));
    };
    Ok(VerifyingKey::Public(algorithm, pem("PUBLIC KEY", der)))
}
