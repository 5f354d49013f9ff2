//! `/.well-known/jwks.json`: the keys with which another service verifies our tokens.

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json, types::ParseFromJSON as _};

use super::{Call, Tag};

/// Public keys, RFC 7517. Empty while tokens are signed with a shared secret.
#[derive(Object)]
#[oai(rename = "JwkSet")]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// One public key.
#[derive(Object)]
#[oai(rename = "Jwk")]
struct Jwk {
    /// `OKP` or `EC`.
    kty: String,
    /// `Ed25519` or `P-256`.
    crv: String,
    x: String,
    /// `EC` only.
    #[oai(skip_serializing_if_is_none)]
    y: Option<String>,
    /// The key's RFC 7638 thumbprint, as tokens name it.
    kid: String,
    /// Always `sig`.
    r#use: String,
    /// `EdDSA` or `ES256`.
    alg: String,
}

#[derive(ApiResponse)]
enum Keys {
    /// The keys.
    #[oai(status = 200, content_type = "application/jwk-set+json")]
    Keys(
        Json<JwkSet>,
        /// May be kept for five minutes.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

pub struct JwksApi;

#[OpenApi]
#[allow(clippy::unused_async, reason = "poem-openapi's handlers are async")]
impl JwksApi {
    /// Public keys
    ///
    /// Verifies tokens signed with `EdDSA` or `ES256`, today's key and earlier ones still believed.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "jwks", tag = Tag::Keys)]
    async fn jwks(&self, call: Data<&Call>) -> Keys {
        let keys = call.app.tokens.public_keys();
        let keys = keys.iter().filter_map(|key| Jwk::parse_from_json(Some(key.clone())).ok()).collect();
        Keys::Keys(Json(JwkSet { keys }), "public, max-age=300".into())
    }
}
