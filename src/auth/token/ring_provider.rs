//! ring behind `jsonwebtoken`, so that TLS and tokens share one crypto library.

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, Result},
    signature::{Error as SignatureError, Signer, Verifier},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        UnparsedPublicKey,
    },
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // Only JWK helpers of the crate would use these; ours are in the parent module.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the process's JWT crypto; a second call changes nothing.
pub fn install() {
    let _ = PROVIDER.install_default();
}

struct Hmac(Algorithm, hmac::Key);
struct EdDsa(Ed25519KeyPair);
struct Es256(EcdsaKeyPair, SystemRandom);
struct Public(Algorithm, UnparsedPublicKey<Vec<u8>>);

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the crate's signature")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let bytes = key.as_bytes();
    let bad_key = |_| Error::from(ErrorKind::InvalidKeyFormat);
    Ok(match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Box::new(hmac_key(*algorithm, bytes)?),
        Algorithm::EdDSA => Box::new(EdDsa(Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).map_err(bad_key)?)),
        Algorithm::ES256 => {
            let random = SystemRandom::new();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &random).map_err(bad_key)?;
            Box::new(Es256(pair, random))
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    })
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the crate's signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    Ok(match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Box::new(hmac_key(*algorithm, bytes)?),
        Algorithm::EdDSA => Box::new(Public(*algorithm, UnparsedPublicKey::new(&ED25519, bytes.to_vec()))),
        Algorithm::ES256 => {
            Box::new(Public(*algorithm, UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes.to_vec())))
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    })
}

fn hmac_key(algorithm: Algorithm, secret: &[u8]) -> Result<Hmac> {
    let hash = match algorithm {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Hmac(algorithm, hmac::Key::new(hash, secret)))
}

impl Signer<Vec<u8>> for Hmac {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(hmac::sign(&self.1, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

impl Verifier<Vec<u8>> for Hmac {
    // ring compares in constant time.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        hmac::verify(&self.1, message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

impl Signer<Vec<u8>> for EdDsa {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for EdDsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

impl Signer<Vec<u8>> for Es256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        let signature = self.0.sign(&self.1, message).map_err(|_| SignatureError::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        self.1.verify(message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}
