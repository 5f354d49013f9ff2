use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Value, json};

use crate::support::{
    Database, Environment, SECRET, TestApp,
    token::{self, decode, now},
};

struct Key {
    name: &'static str,
    pair: KeyPair,
}

impl Key {
    fn ed25519() -> Self {
        Self { name: "EdDSA", pair: KeyPair::generate_for(&PKCS_ED25519).unwrap() }
    }

    fn p256() -> Self {
        Self { name: "ES256", pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    fn signs(&self, environment: Environment) -> Environment {
        let environment = environment.without("JWT_SECRET").with("JWT_ALG", self.name);
        environment.with("JWT_PRIVATE_KEY", &self.pair.serialize_pem())
    }
}

// What another service does with the published keys, and nothing of our own code in it.
fn verify(jwks: &Value, token: &str) -> bool {
    let (header, _) = token::read(token);
    let keys = jwks["keys"].as_array().unwrap();
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else { return false };
    assert_eq!((&key["alg"], &key["use"]), (&header["alg"], &json!("sig")));
    let part = |name: &str| decode(key[name].as_str().unwrap());
    let (algorithm, public): (&dyn VerificationAlgorithm, Vec<u8>) = match (key["kty"].as_str(), key["crv"].as_str()) {
        (Some("OKP"), Some("Ed25519")) => (&ED25519, part("x")),
        (Some("EC"), Some("P-256")) => (&ECDSA_P256_SHA256_FIXED, [&[4][..], &part("x"), &part("y")].concat()),
        other => panic!("{other:?}"),
    };
    let (input, signature) = token.rsplit_once('.').unwrap();
    UnparsedPublicKey::new(algorithm, public).verify(input.as_bytes(), &decode(signature)).is_ok()
}

async fn jwks(app: &TestApp) -> Value {
    let answer = app.client.get("/.well-known/jwks.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jwk-set+json")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    answer.json()
}

#[tokio::test]
async fn a_shared_secret_is_never_published() {
    let app = TestApp::start().await;
    assert_eq!(jwks(&app).await, json!({ "keys": [] }));
}

#[tokio::test]
async fn another_service_verifies_tokens_with_the_published_key_alone() {
    for key in [Key::ed25519(), Key::p256()] {
        let app = TestApp::start_with(|e| key.signs(e)).await;
        let token = app.token_of("a@b.com", "secret123").await;
        assert_eq!(app.client.me(&token).await.status, 200, "{}", key.name);
        let published = jwks(&app).await;
        assert_eq!(published["keys"].as_array().unwrap().len(), 1);
        assert!(published["keys"][0].get("d").is_none() && published["keys"][0].get("k").is_none());
        assert!(verify(&published, &token), "{}", key.name);
        let mut forged = token.clone();
        forged.replace_range(token.find('.').unwrap() + 1..token.find('.').unwrap() + 3, "ZZ");
        assert!(!verify(&published, &forged));
    }
}

#[tokio::test]
async fn the_published_key_is_no_secret_to_sign_with() {
    for key in [Key::ed25519(), Key::p256()] {
        let app = TestApp::start_with(|e| key.signs(e)).await;
        app.client.register("a@b.com", "secret123").await;
        let published = jwks(&app).await["keys"][0].clone();
        let claims = json!({ "sub": "1", "exp": now() + 600 });
        let public = key.pair.public_key_pem();
        let x = published["x"].as_str().unwrap();
        for secret in
            [public.as_bytes(), public.trim().as_bytes(), x.as_bytes(), &decode(x), published.to_string().as_bytes()]
        {
            for header in [json!({ "alg": "HS256" }), json!({ "alg": "HS256", "kid": published["kid"] })] {
                let forged = token::hmac_signed(ring::hmac::HMAC_SHA256, &header, &claims, secret);
                app.client.me(&forged).await.assert_problem(401, "Invalid token");
            }
            let header = json!({ "alg": key.name, "kid": published["kid"] });
            let forged = token::hmac_signed(ring::hmac::HMAC_SHA256, &header, &claims, secret);
            app.client.me(&forged).await.assert_problem(401, "Invalid token");
        }
    }
}

// A service on the same database with other keys, as after a rollout.
async fn rolled_out(database: &Database, change: impl FnOnce(Environment) -> Environment) -> TestApp {
    TestApp::start_on(database.clone(), change).await.unwrap()
}

#[tokio::test]
async fn rotating_a_private_key_logs_nobody_out() {
    let (old, new) = (Key::ed25519(), Key::p256());
    let folder = std::env::temp_dir().join(format!("mini-api-previous-{}.pem", std::process::id()));
    std::fs::write(&folder, old.pair.public_key_pem()).unwrap();
    let app = TestApp::start_with(|e| old.signs(e)).await;
    let before = app.token_of("a@b.com", "secret123").await;
    let database = app.database.clone();
    let app = rolled_out(&database, |e| new.signs(e).with("JWT_PREVIOUS_KEYS_FILE", folder.to_str().unwrap())).await;
    let after = app.log_in("a@b.com", "secret123").await;
    let published = jwks(&app).await;
    assert_eq!(published["keys"].as_array().unwrap().len(), 2, "others can verify both");
    for token in [&before, &after] {
        assert_eq!(app.client.me(token).await.status, 200);
        assert!(verify(&published, token));
    }
    assert_eq!(token::read(&after).0["alg"], "ES256");
    let app = rolled_out(&database, |e| new.signs(e)).await;
    app.client.me(&before).await.assert_problem(401, "Invalid token");
    assert_eq!(app.client.me(&after).await.status, 200);
    std::fs::remove_file(folder).unwrap();
}

#[tokio::test]
async fn rotating_a_secret_logs_nobody_out() {
    const NEW: &str = "the-next-secret-only-for-tests-0123456789-0123456789-0123456789-9876543210";
    let app = TestApp::start().await;
    let before = app.token_of("a@b.com", "secret123").await;
    let database = app.database.clone();
    let app = rolled_out(&database, |e| e.with("JWT_SECRET", NEW).with("JWT_PREVIOUS_SECRETS", SECRET)).await;
    let after = app.log_in("a@b.com", "secret123").await;
    for token in [&before, &after, &token::of_the_reference_service(1)] {
        assert_eq!(app.client.me(token).await.status, 200);
    }
    assert_eq!(jwks(&app).await, json!({ "keys": [] }));
    let app = rolled_out(&database, |e| e.with("JWT_SECRET", NEW)).await;
    app.client.me(&before).await.assert_problem(401, "Invalid token");
    assert_eq!(app.client.me(&after).await.status, 200);
}

#[tokio::test]
async fn leaving_the_shared_secret_for_a_private_key_logs_nobody_out() {
    let key = Key::ed25519();
    let app = TestApp::start().await;
    let before = app.token_of("a@b.com", "secret123").await;
    let app = rolled_out(&app.database, |e| key.signs(e).with("JWT_PREVIOUS_SECRETS", SECRET)).await;
    assert_eq!(app.client.me(&before).await.status, 200);
    let after = app.log_in("a@b.com", "secret123").await;
    assert!(verify(&jwks(&app).await, &after));
    assert_eq!(jwks(&app).await["keys"].as_array().unwrap().len(), 1, "the secret is not among them");
}

#[tokio::test]
async fn longer_hmacs_sign_and_verify_too() {
    for name in ["HS384", "HS512"] {
        let app = TestApp::start_with(|e| e.with("JWT_ALG", name)).await;
        let token = app.token_of("a@b.com", "secret123").await;
        assert_eq!(token::read(&token).0["alg"], name);
        assert_eq!(app.client.me(&token).await.status, 200);
        app.client.me(&token::of_the_reference_service(1)).await.assert_problem(401, "Invalid token");
    }
}
