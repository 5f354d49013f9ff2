//! `/auth/register` and `/auth/login`.

use std::time::SystemTime;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::Json,
    registry::{MetaMediaType, Registry},
    types::Type,
};

use super::{
    Call, Tag,
    body::{Body, FORM, Fields, JSON, Parsed},
    problem::Problem,
    refusal::{Refused, Statuses},
    users::UserOut,
};
use crate::{
    auth::{password::Outcome, throttle::Network, token::Claims},
    store::{CreateError, NewUser},
    telemetry::SecurityEvent,
    user::{Email, FullName, NewPassword, Password},
};

/// What a new user says of himself.
#[derive(Object)]
struct UserCreate {
    /// Addresses that differ only in case are one account.
    #[oai(validator(max_length = 254))]
    email: poem_openapi::types::Email,
    #[oai(validator(min_length = 8, max_length = 256))]
    password: poem_openapi::types::Password,
    #[oai(validator(max_length = 255))]
    full_name: Option<String>,
}

/// Credentials, as JSON.
#[derive(Object)]
struct UserLogin {
    email: poem_openapi::types::Email,
    password: poem_openapi::types::Password,
}

/// Credentials, as an OAuth 2 password form: what the Authorize button of `/docs` sends.
#[derive(Object)]
struct LoginForm {
    /// Always `password`, when it is there at all.
    grant_type: Option<String>,
    /// The e-mail address.
    username: String,
    password: poem_openapi::types::Password,
    /// Ignored.
    scope: Option<String>,
}

/// A bearer token.
#[derive(Object)]
pub struct Token {
    /// A JWT, for `Authorization: Bearer`.
    access_token: String,
    /// Always `bearer`.
    token_type: String,
    /// Seconds until the token expires.
    expires_in: u64,
}

struct Registration {
    email: Email,
    password: NewPassword,
    full_name: Option<FullName>,
}

impl Body for Registration {
    const WANTED: &'static str = JSON;

    fn media_types() -> Vec<MetaMediaType> {
        vec![MetaMediaType { content_type: JSON, schema: UserCreate::schema_ref() }]
    }

    fn register(registry: &mut Registry) {
        UserCreate::register(registry);
    }

    fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, Problem> {
        if media_type != JSON {
            return Err(Problem::UnsupportedMediaType { wanted: Self::WANTED });
        }
        let mut fields = Fields::json(bytes)?;
        let email = fields.required("email", Email::parse);
        let password = fields.required("password", NewPassword::parse);
        let full_name = fields.optional("full_name", FullName::parse);
        fields.finish()?;
        email.zip(password).map(|(email, password)| Self { email, password, full_name }).ok_or(Problem::BadRequest)
    }
}

struct Login {
    email: Email,
    password: Password,
}

impl Body for Login {
    const WANTED: &'static str = "application/json or application/x-www-form-urlencoded";

    fn media_types() -> Vec<MetaMediaType> {
        vec![
            MetaMediaType { content_type: JSON, schema: UserLogin::schema_ref() },
            MetaMediaType { content_type: FORM, schema: LoginForm::schema_ref() },
        ]
    }

    fn register(registry: &mut Registry) {
        UserLogin::register(registry);
        LoginForm::register(registry);
    }

    fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let (mut fields, name) = match media_type {
            JSON => (Fields::json(bytes)?, "email"),
            FORM => (Fields::form(bytes)?, "username"),
            _ => return Err(Problem::UnsupportedMediaType { wanted: Self::WANTED }),
        };
        let email = fields.required(name, Email::parse);
        let password = fields.required("password", |text| Ok(Password::new(text)));
        fields.finish()?;
        email.zip(password).map(|(email, password)| Self { email, password }).ok_or(Problem::BadRequest)
    }
}

#[derive(ApiResponse)]
enum Registered {
    /// The user was created.
    #[oai(status = 201)]
    Created(Json<UserOut>),
}

pub struct RegisterRefusals;

impl Statuses for RegisterRefusals {
    const STATUSES: &'static [u16] = &[400, 408, 409, 413, 415, 422, 429, 500, 503];
}

pub struct LoginRefusals;

impl Statuses for LoginRefusals {
    const STATUSES: &'static [u16] = &[400, 401, 408, 413, 415, 422, 429, 500, 503];
}

pub struct AuthApi;

#[OpenApi]
impl AuthApi {
    /// Register
    ///
    /// Creates an account. The password is stored as a scrypt hash only.
    #[oai(path = "/auth/register", method = "post", operation_id = "register", tag = Tag::Auth)]
    async fn register(
        &self,
        call: Data<&Call>,
        body: Parsed<Registration>,
    ) -> Result<Registered, Refused<RegisterRefusals>> {
        let Call { app, client } = call.0;
        let Registration { email, password, full_name } = body.0;
        let attempt = app.throttle()?.register(&email, Network::from(client.address));
        app.admit(&attempt, client).await?;
        // Asked before hashing, to spare the work; the unique index decides.
        if app.store.is_registered(&email).await? {
            return Err(Problem::EmailTaken.into());
        }
        let hash = app.hasher.hash(password.as_password()).await?;
        let new = NewUser { email: &email, password_hash: &hash, full_name: full_name.as_ref() };
        let user = app.store.create_user(&new).await.map_err(|error| match error {
            CreateError::EmailTaken => Problem::EmailTaken,
            CreateError::Store(error) => error.into(),
        })?;
        app.security(SecurityEvent::Registered, &attempt, client);
        Ok(Registered::Created(Json(user.into())))
    }

    /// Log in
    ///
    /// Exchanges credentials, as JSON or as an OAuth 2 password form, for a bearer token.
    #[oai(path = "/auth/login", method = "post", operation_id = "login", tag = Tag::Auth)]
    async fn login(&self, call: Data<&Call>, body: Parsed<Login>) -> Result<Json<Token>, Refused<LoginRefusals>> {
        let Call { app, client } = call.0;
        let Login { email, password } = body.0;
        let attempt = app.throttle()?.login(&email, Network::from(client.address));
        app.admit(&attempt, client).await?;
        let found = app.store.find_by_email(&email).await?;
        let stored = found.as_ref().map(|user| &user.password_hash);
        let verified = app.hasher.verify(&password, stored).await?;
        let (user, outcome) = match (found, verified) {
            (Some(user), outcome @ Outcome::Match { .. }) if !user.disabled => (user, outcome),
            (_, outcome) => {
                if let Outcome::Unusable(reason) = outcome {
                    app.log.unusable_hash(attempt.account, &reason);
                }
                app.security(SecurityEvent::LoginFailed, &attempt, client);
                return Err(Problem::InvalidCredentials.into());
            }
        };
        if let Outcome::Match { renewal: Some(hash) } = outcome {
            app.tidy(app.store.replace_hash(user.id, &user.password_hash, &hash).await);
        }
        app.tidy(app.store.forgive(&attempt).await);
        let claims = Claims { user: user.id, version: user.token_version };
        let access_token = app.tokens.issue(claims, SystemTime::now()).map_err(|cause| Problem::Internal { cause })?;
        app.security(SecurityEvent::LoginSucceeded, &attempt, client);
        let expires_in = app.tokens.lifetime().as_secs();
        Ok(Json(Token { access_token, token_type: "bearer".into(), expires_in }))
    }
}
