//! `Authorization: Bearer`.

use poem_openapi::{SecurityScheme, auth::Bearer};

/// A token from `/auth/login`.
#[derive(SecurityScheme)]
#[oai(rename = "OAuth2PasswordBearer", ty = "oauth2", flows(password(token_url = "/auth/login")))]
pub struct BearerToken(pub Bearer);
