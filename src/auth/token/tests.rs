#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::config::Secret;

const SECRET: &str = "a secret of this test, long enough for HS512 ............................";
// Issued by python-jose 3.3.0 as the reference service calls it, with SECRET, for user 7, at 1700000000.
const NOW: u64 = 1_700_000_000;

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn hmac(algorithm: HmacAlgorithm, secret: &str, previous: Vec<VerifyingKey>) -> Tokens {
    let signing = SigningKey::Hmac(algorithm, Secret::new(secret));
    Tokens::new(&config::Tokens { signing, previous, lifetime: Duration::from_secs(3600) }).unwrap()
}

fn private(kind: AsymmetricAlgorithm, pem: &str, previous: Vec<VerifyingKey>) -> Tokens {
    let signing = SigningKey::Private(kind, Secret::new(pem));
    Tokens::new(&config::Tokens { signing, previous, lifetime: Duration::from_secs(3600) }).unwrap()
}

fn claims() -> Claims {
    Claims { user: UserId(7), version: 0 }
}

fn key_pair(kind: AsymmetricAlgorithm) -> (String, String) {
    let algorithm = match kind {
        AsymmetricAlgorithm::EdDsa => &rcgen::PKCS_ED25519,
        AsymmetricAlgorithm::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
    (pair.serialize_pem(), pair.public_key_pem())
}

// A token with any header and claims, signed by HMAC-SHA-256 with `secret`.
fn forged(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, message.as_bytes())))
}

#[test]
fn a_token_is_believed_until_the_second_it_expires() {
    let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
    let token = tokens.issue(claims(), at(NOW)).unwrap();
    assert_eq!(tokens.verify(&token, at(NOW)), Ok(claims()));
    assert_eq!(tokens.verify(&token, at(NOW + 3599)), Ok(claims()));
    assert_eq!(tokens.verify(&token, at(NOW + 3600)), Err(Rejected::Expired));
}

#[test]
fn until_the_first_revocation_a_token_carries_exactly_the_reference_services_claims() {
    let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
    let token = tokens.issue(claims(), at(NOW)).unwrap();
    let decode = |i| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(i).unwrap()).unwrap()).unwrap()
    };
    assert_eq!(decode(0), json!({ "alg": "HS256", "typ": "JWT" }));
    assert_eq!(decode(1), json!({ "sub": "7", "iat": NOW, "exp": NOW + 3600 }));
}

#[test]
fn the_token_version_travels_in_the_token() {
    let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
    let revoked_once = Claims { version: 1, ..claims() };
    let token = tokens.issue(revoked_once, at(NOW)).unwrap();
    assert_eq!(tokens.verify(&token, at(NOW)), Ok(revoked_once));
}

#[test]
fn each_algorithm_signs_what_it_verifies() {
    for algorithm in [HmacAlgorithm::Hs256, HmacAlgorithm::Hs384, HmacAlgorithm::Hs512] {
        let tokens = hmac(algorithm, SECRET, vec![]);
        assert_eq!(tokens.verify(&tokens.issue(claims(), at(NOW)).unwrap(), at(NOW)), Ok(claims()));
        assert!(tokens.public_keys().is_empty());
    }
    for kind in [AsymmetricAlgorithm::EdDsa, AsymmetricAlgorithm::Es256] {
        let tokens = private(kind, &key_pair(kind).0, vec![]);
        assert_eq!(tokens.verify(&tokens.issue(claims(), at(NOW)).unwrap(), at(NOW)), Ok(claims()));
    }
}

#[test]
fn the_published_key_alone_verifies_a_token() {
    for kind in [AsymmetricAlgorithm::EdDsa, AsymmetricAlgorithm::Es256] {
        let tokens = private(kind, &key_pair(kind).0, vec![]);
        let token = tokens.issue(claims(), at(NOW)).unwrap();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(json!({ "keys": tokens.public_keys() })).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let jwk = set.find(&header.kid.unwrap()).expect("the token names a published key");
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        let verified = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        assert_eq!(verified.claims["sub"], "7");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let altered = format!("{message}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
        assert!(jsonwebtoken::decode::<Value>(&altered, &key, &validation).is_err());
    }
}

#[test]
fn previous_keys_are_believed_and_never_sign() {
    let old = hmac(HmacAlgorithm::Hs256, SECRET, vec![]).issue(claims(), at(NOW)).unwrap();
    let (private_pem, public_pem) = key_pair(AsymmetricAlgorithm::Es256);
    let older = private(AsymmetricAlgorithm::Es256, &private_pem, vec![]).issue(claims(), at(NOW)).unwrap();
    let previous = vec![
        VerifyingKey::Hmac(HmacAlgorithm::Hs256, Secret::new(SECRET)),
        VerifyingKey::Public(AsymmetricAlgorithm::Es256, public_pem),
    ];
    let tokens = private(AsymmetricAlgorithm::EdDsa, &key_pair(AsymmetricAlgorithm::EdDsa).0, previous);
    for token in [&old, &older] {
        assert_eq!(tokens.verify(token, at(NOW)), Ok(claims()));
    }
    let new = tokens.issue(claims(), at(NOW)).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&new).unwrap().alg, Algorithm::EdDSA);
    let without = hmac(HmacAlgorithm::Hs256, "another secret, as long as it must be .............", vec![]);
    assert_eq!(without.verify(&old, at(NOW)), Err(Rejected::Signature));
    assert_eq!(without.verify(&older, at(NOW)), Err(Rejected::UnknownKey));
}

#[test]
fn alg_none_is_refused() {
    let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
    for alg in ["none", "None", "NONE", "", "HS256 "] {
        let mut token = forged(&json!({ "alg": alg, "typ": "JWT" }), &json!({ "sub": "7", "exp": NOW + 60 }), SECRET);
        assert_eq!(tokens.verify(&token, at(NOW)), Err(Rejected::Malformed), "{alg}");
        token.truncate(token.rfind('.').unwrap() + 1);
        assert_eq!(tokens.verify(&token, at(NOW)), Err(Rejected::Malformed), "{alg} without a signature");
    }
}

#[test]
fn a_public_key_is_never_taken_for_an_hmac_secret() {
    let (private_pem, public_pem) = key_pair(AsymmetricAlgorithm::Es256);
    let tokens = private(AsymmetricAlgorithm::Es256, &private_pem, vec![]);
    let token = forged(&json!({ "alg": "HS256" }), &json!({ "sub": "7", "exp": NOW + 60 }), &public_pem);
    assert_eq!(tokens.verify(&token, at(NOW)), Err(Rejected::UnknownKey));
}

#[test]
fn an_algorithm_that_is_not_configured_is_refused_even_with_the_right_secret() {
    let tokens = hmac(HmacAlgorithm::Hs512, SECRET, vec![]);
    let token = forged(&json!({ "alg": "HS256" }), &json!({ "sub": "7", "exp": NOW + 60 }), SECRET);
    assert_eq!(tokens.verify(&token, at(NOW)), Err(Rejected::UnknownKey));
}

#[test]
fn claims_that_are_missing_or_of_the_wrong_type_are_refused() {
    let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
    let exp = NOW + 60;
    for (claims, why) in [
        (json!({ "exp": exp }), Rejected::Malformed),
        (json!({ "sub": "7" }), Rejected::Malformed),
        (json!({ "sub": 7, "exp": exp }), Rejected::Malformed),
        (json!({ "sub": "7", "exp": "soon" }), Rejected::Malformed),
        (json!({ "sub": "seven", "exp": exp }), Rejected::Subject),
        (json!({ "sub": "", "exp": exp }), Rejected::Subject),
        (json!({ "sub": "99999999999", "exp": exp }), Rejected::Subject),
        (json!({ "sub": "7", "exp": exp, "nbf": NOW + 1 }), Rejected::NotYetValid),
        (json!({ "sub": "7", "exp": exp, "ver": "1" }), Rejected::Malformed),
        (json!({ "sub": "7", "exp": exp, "aud": "somebody else" }), Rejected::Malformed),
        (json!([1, 2]), Rejected::Malformed),
    ] {
        let token = forged(&json!({ "alg": "HS256" }), &claims, SECRET);
        assert_eq!(tokens.verify(&token, at(NOW)), Err(why), "{claims}");
    }
    let fine = forged(&json!({ "alg": "HS256" }), &json!({ "sub": "7", "exp": exp, "nbf": NOW }), SECRET);
    assert_eq!(tokens.verify(&fine, at(NOW)), Ok(claims()));
}

proptest::proptest! {
    #[test]
    fn no_text_is_believed_and_none_panics(text in "\\PC{0,200}", dots in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
        proptest::prop_assert!(tokens.verify(&text, at(NOW)).is_err());
        proptest::prop_assert!(tokens.verify(&dots, at(NOW)).is_err());
    }

    #[test]
    fn one_changed_character_breaks_a_token(position in 0_usize..100, replacement in "[A-Za-z0-9_-]") {
        let tokens = hmac(HmacAlgorithm::Hs256, SECRET, vec![]);
        let token = tokens.issue(claims(), at(NOW)).unwrap();
        let mut altered = token.clone();
        altered.replace_range(position..=position, &replacement);
        proptest::prop_assume!(altered != token);
        proptest::prop_assert!(tokens.verify(&altered, at(NOW)).is_err());
    }
}
