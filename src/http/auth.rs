//! `/auth/register` and `/auth/login`.

use std::time::SystemTime;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::Json,
    registry::{MetaMediaType, Registry},
    types::{self, Example, Type},
};

use super::{
    Tag,
    app::Call,
    body::{Body, FORM, Fields, JSON, Parsed},
    problem::Problem,
    refusal::{Refused, Statuses},
    users::UserOut,
};
use crate::{
    auth::{
        password::{Begun, Outcome},
        throttle::Network,
        token::Claims,
    },
    store::{CreateError, NewUser},
    telemetry::{
        Event,
        metrics::{Login as LoginOutcome, Registration as RegistrationOutcome},
    },
    user::{Email, FullName, NewPassword, Password, User},
};

/// What a new user says of himself.
#[derive(Object)]
#[oai(example)]
struct UserCreate {
    /// Addresses that differ only in case are one account.
    #[oai(validator(max_length = 254))]
    email: types::Email,
    #[oai(validator(min_length = 8, max_length = 256, pattern = r"^[^\u0000]*$"))]
    password: types::Password,
    #[oai(validator(max_length = 255, pattern = r"^[^\u0000]*$"), nullable)]
    full_name: Option<String>,
}

/// Credentials, as JSON.
#[derive(Object)]
#[oai(example)]
struct UserLogin {
    email: types::Email,
    password: types::Password,
}

/// Credentials, as an OAuth 2 password form: what the Authorize button of `/docs` sends.
#[derive(Object)]
#[oai(example)]
struct LoginForm {
    /// Always `password`, when it is there at all.
    grant_type: Option<String>,
    /// The e-mail address.
    username: types::Email,
    password: types::Password,
    /// Ignored.
    scope: Option<String>,
}

/// A bearer token.
#[derive(Object)]
#[oai(example)]
#[allow(clippy::struct_field_names, reason = "RFC 6749 names them")]
pub struct Token {
    /// A JWT, for `Authorization: Bearer`.
    access_token: String,
    /// Always `bearer`.
    token_type: String,
    /// Seconds until the token expires.
    expires_in: u64,
}

fn example_email() -> types::Email {
    types::Email("alice@example.org".into())
}

fn example_password() -> types::Password {
    types::Password("correct horse battery".into())
}

impl Example for UserCreate {
    fn example() -> Self {
        Self { email: example_email(), password: example_password(), full_name: Some("Alice".into()) }
    }
}

impl Example for UserLogin {
    fn example() -> Self {
        Self { email: example_email(), password: example_password() }
    }
}

impl Example for LoginForm {
    fn example() -> Self {
        Self {
            grant_type: Some("password".into()),
            username: example_email(),
            password: example_password(),
            scope: Some(String::new()),
        }
    }
}

impl Example for Token {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl".into(),
            token_type: "bearer".into(),
            expires_in: 3600,
        }
    }
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

#[derive(ApiResponse)]
enum LoggedIn {
    /// A token was issued.
    #[oai(status = 200)]
    Token(Json<Token>),
}

pub struct RegisterRefusals;

impl Statuses for RegisterRefusals {
    const STATUSES: &'static [u16] = &[400, 408, 409, 413, 415, 422, 429, 500, 503];
}

pub struct LoginRefusals;

impl Statuses for LoginRefusals {
    const STATUSES: &'static [u16] = &[400, 401, 408, 413, 415, 422, 429, 500, 503];
    const UNAUTHORIZED: Problem = Problem::InvalidCredentials;
    const MEDIA_TYPES: &'static str = Login::WANTED;
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
        let done = register(&call, body.0).await;
        let outcome = match &done {
            Ok(_) => Some(RegistrationOutcome::Created),
            Err(Problem::EmailTaken) => Some(RegistrationOutcome::Taken),
            Err(Problem::TooManyAttempts { .. }) => Some(RegistrationOutcome::Throttled),
            Err(Problem::Busy { .. }) => Some(RegistrationOutcome::Busy),
            Err(_) => None,
        };
        if let Some(outcome) = outcome {
            call.app.metrics.registration(outcome);
        }
        Ok(Registered::Created(Json(done?.into())))
    }

    /// Log in
    ///
    /// Exchanges credentials, as JSON or as an OAuth 2 password form, for a bearer token.
    #[oai(path = "/auth/login", method = "post", operation_id = "login", tag = Tag::Auth)]
    async fn login(&self, call: Data<&Call>, body: Parsed<Login>) -> Result<LoggedIn, Refused<LoginRefusals>> {
        let done = log_in(&call, body.0).await;
        let outcome = match &done {
            Ok(_) => Some(LoginOutcome::Succeeded),
            Err(Problem::InvalidCredentials) => Some(LoginOutcome::Failed),
            Err(Problem::TooManyAttempts { .. }) => Some(LoginOutcome::Throttled),
            Err(Problem::Busy { .. }) => Some(LoginOutcome::Busy),
            Err(_) => None,
        };
        if let Some(outcome) = outcome {
            call.app.metrics.login(outcome);
        }
        Ok(LoggedIn::Token(Json(done?)))
    }
}

async fn register(call: &Call, registration: Registration) -> Result<User, Problem> {
    let app = &call.app;
    let Registration { email, password, full_name } = registration;
    let attempt = app.throttle()?.register(&email, Network::from(call.client.address));
    call.admit(&attempt, Event::RegisterThrottled).await?;
    let begun = Begun::default();
    let created = async {
        // Asked before hashing, to spare the work; the unique index decides.
        if app.store.is_registered(&email).await? {
            return Err(Problem::EmailTaken);
        }
        let hash = app.hasher.hash(password.as_password(), &begun).await?;
        let new = NewUser { email: &email, password_hash: &hash, full_name: full_name.as_ref() };
        app.store.create_user(&new).await.map_err(|error| match error {
            CreateError::EmailTaken => Problem::EmailTaken,
            CreateError::Store(error) => error.into(),
        })
    };
    let created = call.judged(&attempt, &begun, created).await;
    match &created {
        Ok(_) => call.security(Event::Registered, Some(&attempt), None),
        Err(Problem::EmailTaken) => call.security(Event::RegisterTaken, Some(&attempt), None),
        Err(_) => {}
    }
    created
}

async fn log_in(call: &Call, login: Login) -> Result<Token, Problem> {
    let app = &call.app;
    let Login { email, password } = login;
    let attempt = app.throttle()?.login(&email, Network::from(call.client.address));
    call.admit(&attempt, Event::LoginThrottled).await?;
    let begun = Begun::default();
    let verified = async {
        let found = app.store.find_by_email(&email).await?;
        // An unknown user costs a hash as well.
        let outcome = app.hasher.verify(&password, found.as_ref().map(|user| &user.password_hash), &begun).await?;
        Ok((found, outcome))
    };
    let (found, outcome) = call.judged(&attempt, &begun, verified).await?;
    if let Outcome::Unusable(reason) = &outcome {
        call.security(Event::HashUnusable, Some(&attempt), Some(&reason.to_string()));
    }
    let (Some(user), Outcome::Match { renewal }) = (found, outcome) else {
        call.security(Event::LoginFailed, Some(&attempt), None);
        return Err(Problem::InvalidCredentials);
    };
    if user.disabled {
        call.security(Event::LoginFailed, Some(&attempt), Some("disabled"));
        return Err(Problem::InvalidCredentials);
    }
    if let Some(hash) = renewal {
        let replaced = app.store.replace_hash(user.id, &user.password_hash, &hash).await;
        if matches!(replaced, Ok(true)) {
            call.security(Event::PasswordRehashed, Some(&attempt), None);
        }
        app.tidy(replaced);
    }
    app.tidy(app.store.forgive(&attempt).await);
    let claims = Claims { user: user.id, version: user.token_version };
    let access_token = app.tokens.issue(claims, SystemTime::now()).map_err(|cause| Problem::Internal { cause })?;
    call.security(Event::LoginSucceeded, Some(&attempt), None);
    Ok(Token { access_token, token_type: "bearer".into(), expires_in: app.tokens.lifetime().as_secs() })
}
