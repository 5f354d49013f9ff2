//! `/users/me`.

use std::time::SystemTime;

use poem::{IntoResponse as _, Request, Response, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    auth::{Bearer, BearerAuthorization as _},
    payload::Json,
    types::{self, Example},
};

use super::{
    Tag,
    app::Call,
    bearer::BearerToken,
    problem::Problem,
    refusal::{Refused, Statuses},
};
use crate::{telemetry::Event, user::User};

/// A user, as others may see him.
#[derive(Object)]
#[oai(example)]
pub struct UserOut {
    id: i32,
    email: types::Email,
    #[oai(nullable)]
    full_name: Option<String>,
}

impl Example for UserOut {
    fn example() -> Self {
        Self { id: 1, email: types::Email("alice@example.org".into()), full_name: Some("Alice".into()) }
    }
}

impl From<User> for UserOut {
    fn from(user: User) -> Self {
        Self { id: user.id.0, email: types::Email(user.email), full_name: user.full_name }
    }
}

#[derive(ApiResponse)]
enum Me {
    /// The user.
    #[oai(status = 200)]
    User(Json<UserOut>),
}

pub struct MeRefusals;

impl Statuses for MeRefusals {
    const STATUSES: &'static [u16] = &[400, 401, 408, 413, 500, 503];
}

pub struct UsersApi;

#[OpenApi]
impl UsersApi {
    /// Who am I
    ///
    /// The user a token was issued to.
    #[oai(path = "/users/me", method = "get", operation_id = "me", tag = Tag::Users)]
    async fn me(&self, call: Data<&Call>, bearer: BearerToken) -> Result<Me, Refused<MeRefusals>> {
        let app = &call.app;
        let refused = |reason: &str| call.security(Event::TokenRefused, None, Some(reason));
        let claims = app.tokens.verify(&bearer.0.token, SystemTime::now()).map_err(|why| {
            refused(why.reason());
            Problem::InvalidToken
        })?;
        let session = app.store.session(claims.user).await?.ok_or_else(|| {
            refused("no such user");
            Problem::UserNotFound
        })?;
        if session.disabled || session.token_version != claims.version {
            refused(if session.disabled { "disabled" } else { "revoked" });
            return Err(Problem::InvalidToken.into());
        }
        Ok(Me::User(Json(session.user.into())))
    }
}

/// What the operation answers, reached without the router: its layers and boxes cost more processor time than all that
/// the operation itself does.
pub(super) async fn answer(call: &Call, request: &Request) -> poem::Result<Response> {
    let bearer = BearerToken(Bearer::from_request(request)?);
    Ok(UsersApi.me(Data(call), bearer).await?.into_response())
}
