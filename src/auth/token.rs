//! JWTs: issue, verify, and publish the keys that verify.
//!
//! Which algorithms and keys are believed is fixed by configuration; a token's header only picks among them.

mod ring_provider;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    config::{self, AsymmetricAlgorithm, HmacAlgorithm, SigningKey, VerifyingKey},
    user::UserId,
};

/// What a token says once it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    pub user: UserId,
    /// The user's token version when the token was issued; an operator's `revoke` raises the user's.
    pub version: i32,
}

/// Why a token is not believed; for the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    Malformed,
    UnknownKey,
    Signature,
    Expired,
    NotYetValid,
    Subject,
}

impl Rejected {
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "no key for this algorithm and key id",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
            Self::Subject => "subject",
        }
    }
}

/// A key that cannot be used, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadKey(pub String);

/// Issues and verifies tokens.
pub struct Tokens {
    header: Header,
    signing: EncodingKey,
    verifying: Vec<Verifier>,
    lifetime: Duration,
    public_keys: Vec<Value>,
}

struct Verifier {
    algorithm: Algorithm,
    key_id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

// The reference service's claims. A version of 0 is left out, so that until the first revocation the two kinds are alike.
#[derive(Serialize)]
struct Issued {
    sub: String,
    iat: u64,
    exp: u64,
    #[serde(rename = "ver", skip_serializing_if = "is_zero")]
    version: i32,
}

#[derive(Deserialize)]
struct Presented {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    #[serde(rename = "ver", default)]
    version: i32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(version: &i32) -> bool {
    *version == 0
}

impl Tokens {
    /// # Errors
    /// [`BadKey`] when a key does not fit its algorithm.
    pub fn new(settings: &config::Tokens) -> Result<Self, BadKey> {
        ring_provider::install();
        let (algorithm, signing, own) = match &settings.signing {
            SigningKey::Hmac(algorithm, secret) => {
                let algorithm = hmac_algorithm(*algorithm);
                let key = DecodingKey::from_secret(secret.expose());
                (algorithm, EncodingKey::from_secret(secret.expose()), Verifier::new(algorithm, None, key))
            }
            SigningKey::Private(kind, pem) => {
                let (algorithm, encoding) = match kind {
                    AsymmetricAlgorithm::EdDsa => (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem.expose())),
                    AsymmetricAlgorithm::Es256 => (Algorithm::ES256, EncodingKey::from_ec_pem(pem.expose())),
                };
                let encoding = encoding.map_err(|e| BadKey(format!("the private key is not PKCS#8 PEM: {e}")))?;
                let public = public_key(*kind, encoding.as_bytes())?;
                (algorithm, encoding, Verifier::public(*kind, &public))
            }
        };
        let mut header = Header::new(algorithm);
        header.kid.clone_from(&own.key_id);
        let mut published: Vec<Value> = Vec::new();
        let mut verifying = vec![own];
        for previous in &settings.previous {
            verifying.push(match previous {
                VerifyingKey::Hmac(algorithm, secret) => {
                    Verifier::new(hmac_algorithm(*algorithm), None, DecodingKey::from_secret(secret.expose()))
                }
                VerifyingKey::Public(kind, pem) => {
                    let key = match kind {
                        AsymmetricAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem.as_bytes()),
                        AsymmetricAlgorithm::Es256 => DecodingKey::from_ec_pem(pem.as_bytes()),
                    };
                    let bad = |e| BadKey(format!("a previous public key cannot be read: {e}"));
                    let key = key.map_err(bad)?;
                    Verifier::public(*kind, key.try_get_as_bytes().map_err(bad)?)
                }
            });
        }
        for verifier in &verifying {
            published.extend(verifier.jwk());
        }
        Ok(Self { header, signing, verifying, lifetime: settings.lifetime, public_keys: published })
    }

    /// How long a token lives.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The public keys as JWKs (RFC 7517); secrets shared by HMAC are never among them.
    pub fn public_keys(&self) -> &[Value] {
        &self.public_keys
    }

    /// # Errors
    /// The signer's complaint, for the log.
    pub fn issue(&self, claims: Claims, now: SystemTime) -> Result<String, String> {
        let iat = seconds(now).map_or(0, |d| d.as_secs());
        let issued = Issued {
            sub: claims.user.to_string(),
            iat,
            exp: iat.saturating_add(self.lifetime.as_secs()),
            version: claims.version,
        };
        jsonwebtoken::encode(&self.header, &issued, &self.signing).map_err(|e| format!("token cannot be signed: {e}"))
    }

    /// # Errors
    /// [`Rejected`] with the first reason found.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, Rejected> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejected::Malformed)?;
        let mut rejected = Rejected::UnknownKey;
        for verifier in self.verifying.iter().filter(|v| v.may_have_signed(&header)) {
            match jsonwebtoken::decode::<Presented>(token, &verifier.key, &verifier.validation) {
                Ok(presented) => return accept(&presented.claims, now),
                Err(error) => {
                    rejected = match error.kind() {
                        jsonwebtoken::errors::ErrorKind::InvalidSignature => Rejected::Signature,
                        _ => Rejected::Malformed,
                    }
                }
            }
        }
        Err(rejected)
    }
}

fn accept(presented: &Presented, now: SystemTime) -> Result<Claims, Rejected> {
    let now = seconds(now).map_or(0.0, |d| d.as_secs_f64());
    if presented.exp <= now {
        return Err(Rejected::Expired);
    }
    if presented.nbf.is_some_and(|from| from > now) {
        return Err(Rejected::NotYetValid);
    }
    let user = presented.sub.parse().map_err(|_| Rejected::Subject)?;
    Ok(Claims { user: UserId(user), version: presented.version })
}

fn seconds(now: SystemTime) -> Option<Duration> {
    now.duration_since(UNIX_EPOCH).ok()
}

impl Verifier {
    fn new(algorithm: Algorithm, key_id: Option<String>, key: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        // The clock is an argument, so times are judged in `accept`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { algorithm, key_id, key, validation }
    }

    fn public(kind: AsymmetricAlgorithm, public: &[u8]) -> Self {
        match kind {
            AsymmetricAlgorithm::EdDsa => {
                let key = DecodingKey::from_ed_der(public);
                Self::new(Algorithm::EdDSA, Some(thumbprint(&jwk_members(Algorithm::EdDSA, public))), key)
            }
            AsymmetricAlgorithm::Es256 => {
                let key = DecodingKey::from_ec_der(public);
                Self::new(Algorithm::ES256, Some(thumbprint(&jwk_members(Algorithm::ES256, public))), key)
            }
        }
    }

    // A token without a key id (the reference service's have none) is tried against every key of its algorithm.
    fn may_have_signed(&self, header: &Header) -> bool {
        self.algorithm == header.alg
            && match (&self.key_id, &header.kid) {
                (Some(own), Some(wanted)) => own == wanted,
                _ => true,
            }
    }

    fn jwk(&self) -> Option<Value> {
        let key_id = self.key_id.as_ref()?;
        let mut members = jwk_members(self.algorithm, self.key.try_get_as_bytes().ok()?);
        let object = members.as_object_mut()?;
        object.insert("kid".into(), json!(key_id));
        object.insert("use".into(), json!("sig"));
        object.insert("alg".into(), json!(if self.algorithm == Algorithm::EdDSA { "EdDSA" } else { "ES256" }));
        Some(members)
    }
}

// The members RFC 7638 hashes; serde_json's map keeps them in lexical order, as it demands.
fn jwk_members(algorithm: Algorithm, public: &[u8]) -> Value {
    if algorithm == Algorithm::EdDSA {
        json!({ "crv": "Ed25519", "kty": "OKP", "x": URL_SAFE_NO_PAD.encode(public) })
    } else {
        // An uncompressed point: 0x04, x, y.
        let (x, y) = public.get(1..).unwrap_or_default().split_at(public.len().saturating_sub(1) / 2);
        json!({ "crv": "P-256", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
    }
}

fn thumbprint(members: &Value) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.to_string().as_bytes()))
}

fn public_key(kind: AsymmetricAlgorithm, pkcs8: &[u8]) -> Result<Vec<u8>, BadKey> {
    match kind {
        AsymmetricAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map(|pair| pair.public_key().as_ref().to_vec())
            .map_err(|e| BadKey(format!("the private key is not an Ed25519 key in PKCS#8: {e}"))),
        AsymmetricAlgorithm::Es256 => {
            let random = ring::rand::SystemRandom::new();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
                .map(|pair| pair.public_key().as_ref().to_vec())
                .map_err(|e| BadKey(format!("the private key is not a P-256 key in PKCS#8: {e}")))
        }
    }
}

fn hmac_algorithm(algorithm: HmacAlgorithm) -> Algorithm {
    match algorithm {
        HmacAlgorithm::Hs256 => Algorithm::HS256,
        HmacAlgorithm::Hs384 => Algorithm::HS384,
        HmacAlgorithm::Hs512 => Algorithm::HS512,
    }
}

#[cfg(test)]
mod tests;
