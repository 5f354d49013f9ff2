//! `/.well-known/jwks.json`: the keys with which another service verifies our tokens.

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::Json,
    types::{Example, ParseFromJSON as _},
};

use super::{Tag, app::Call, health::AnyRefusals, refusal::Refused};

/// Public keys, RFC 7517. Empty while tokens are signed with a shared secret.
#[derive(Object)]
#[oai(rename = "JwkSet", example)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// One public key.
#[derive(Object)]
#[oai(rename = "Jwk", example)]
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

// The key of RFC 8037, appendix A.
impl Example for Jwk {
    fn example() -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
            y: None,
            kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".into(),
            r#use: "sig".into(),
            alg: "EdDSA".into(),
        }
    }
}

impl Example for JwkSet {
    fn example() -> Self {
        Self { keys: vec![Jwk::example()] }
    }
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
    async fn jwks(&self, call: Data<&Call>) -> Result<Keys, Refused<AnyRefusals>> {
        let keys = call.app.tokens.public_keys();
        let keys = keys.iter().filter_map(|key| Jwk::parse_from_json(Some(key.clone())).ok()).collect();
        Ok(Keys::Keys(Json(JwkSet { keys }), "public, max-age=300".into()))
    }
}
