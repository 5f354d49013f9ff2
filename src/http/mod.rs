//! The route table: which path is what, and everything that happens to every request exactly once.

mod auth;
mod bearer;
mod body;
mod client;
mod cors;
mod docs;
mod health;
pub mod healthcheck;
mod jwks;
pub mod metrics;
pub mod problem;
mod refusal;
pub mod server;
mod users;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Instant,
};

use poem::{
    Endpoint, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderValue, Method, StatusCode, header},
};
use poem_openapi::{
    OpenApiService, Tags,
    error::{AuthorizationError, ContentTypeError, ParseRequestPayloadError},
};

use self::{
    auth::AuthApi,
    client::{Client, Clients},
    docs::Docs,
    health::HealthApi,
    jwks::JwksApi,
    problem::{FieldError, Problem},
    users::UsersApi,
};
use crate::{
    auth::{
        password::Hasher,
        throttle::{Attempt, Scope, Throttle},
        token::Tokens,
    },
    config::{self, Cors},
    store::{Admission, Store, StoreError},
    telemetry::{
        Access, Event, Log, Metrics, Subject,
        metrics::{self as measure, DatabaseError},
    },
};

/// What the handlers work with.
pub struct App {
    pub store: Store,
    pub tokens: Tokens,
    pub hasher: Hasher,
    pub log: Log,
    pub metrics: Arc<Metrics>,
    pub rehash_legacy: bool,
    // Its key is in the database, so it is there only once that was reached.
    throttle: OnceLock<Throttle>,
    phase: AtomicU8,
    database_lost: AtomicBool,
}

/// Where the service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The database has not been reached, or its schema is not right yet.
    Starting,
    Ready,
    /// Asked to stop: requests are answered, but no more should come.
    Draining,
}

impl App {
    pub fn new(
        store: Store,
        tokens: Tokens,
        hasher: Hasher,
        log: Log,
        metrics: Arc<Metrics>,
        passwords: &config::Passwords,
    ) -> Self {
        Self {
            store,
            tokens,
            hasher,
            log,
            metrics,
            rehash_legacy: passwords.rehash_legacy,
            throttle: OnceLock::new(),
            phase: AtomicU8::new(0),
            database_lost: AtomicBool::new(false),
        }
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// From now on requests are let through.
    pub fn ready(&self, throttle: Throttle) {
        let _ = self.throttle.set(throttle);
        // Never back from draining.
        let _ = self.phase.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// From now on `/readyz` refuses; everything else goes on.
    pub fn drain(&self) {
        self.phase.store(2, Ordering::Release);
    }

    fn throttle(&self) -> Result<&Throttle, Problem> {
        self.throttle.get().ok_or_else(|| Problem::NotReady { cause: "starting".into() })
    }

    // Tells log and metrics of what a request found of the database; the log only of changes.
    fn database_seen(&self, refused: Option<&Problem>) {
        match refused {
            Some(Problem::DatabaseUnavailable { cause }) => {
                self.metrics.database_error(DatabaseError::Unavailable);
                if !self.database_lost.swap(true, Ordering::AcqRel) {
                    self.log.service(Event::DatabaseLost, &[("error", cause.into())]);
                }
            }
            Some(Problem::Internal { .. }) => self.metrics.database_error(DatabaseError::Unexpected),
            // Only what the database itself had to answer shows that it is back.
            None
            | Some(
                Problem::EmailTaken
                | Problem::InvalidCredentials
                | Problem::UserNotFound
                | Problem::TooManyAttempts { .. },
            ) => {
                if self.database_lost.load(Ordering::Acquire) && self.database_lost.swap(false, Ordering::AcqRel) {
                    self.log.service(Event::DatabaseBack, &[]);
                }
            }
            Some(_) => {}
        }
    }

    // Work after a good login that may fail without failing the login.
    fn tidy<T>(&self, done: Result<T, StoreError>) {
        if let Err(error) = done {
            self.log.service(Event::HouseworkFailed, &[("error", (&error.to_string()).into())]);
        }
    }
}

// One request, as its handler sees it.
#[derive(Clone)]
struct Call {
    app: Arc<App>,
    client: Client,
}

impl Call {
    // Lets an attempt through to hashing, or says when to come back.
    async fn admit(&self, attempt: &Attempt, throttled: Event) -> Result<(), Problem> {
        match self.app.store.admit(attempt).await? {
            Admission::Admitted => Ok(()),
            Admission::Refused { scope, retry_after } => {
                self.app.metrics.throttle_refusal(bucket(scope));
                self.security(throttled, Some(attempt), Some(scope.label()));
                Err(Problem::TooManyAttempts { retry_after })
            }
        }
    }

    // An attempt that we could not judge must not count against anybody: else whoever keeps the hashers busy would use up
    // the owner's places.
    async fn judged<T>(&self, attempt: &Attempt, done: Result<T, Problem>) -> Result<T, Problem> {
        if let Err(Problem::Busy { .. } | Problem::DatabaseUnavailable { .. } | Problem::Internal { .. }) = &done {
            self.app.tidy(self.app.store.give_back(attempt).await);
        }
        done
    }

    fn security(&self, event: Event, attempt: Option<&Attempt>, reason: Option<&str>) {
        self.app.log.security(
            event,
            &Subject {
                request_id: Some(&self.client.request_id),
                account: attempt.map(|attempt| attempt.account.0.into()),
                client: Some(self.client.address),
                reason,
            },
        );
    }
}

fn bucket(scope: Scope) -> measure::Bucket {
    match scope {
        Scope::AccountNetwork => measure::Bucket::AccountNetwork,
        Scope::Network => measure::Bucket::Network,
        Scope::Account => measure::Bucket::Account,
        Scope::RegisterNetwork => measure::Bucket::RegisterNetwork,
    }
}

/// The groups of operations in the API's description.
#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    #[oai(rename = "auth")]
    Auth,
    /// The user behind a token.
    #[oai(rename = "users")]
    Users,
    /// For load balancers and orchestrators.
    #[oai(rename = "health")]
    Health,
    /// For services that verify tokens themselves.
    #[oai(rename = "keys")]
    Keys,
}

/// A path, as logs and metrics name it: a closed list, so that no client can make up labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Register,
    Login,
    Me,
    Health,
    Livez,
    Readyz,
    Jwks,
    OpenApi,
    Docs,
    Unknown,
}

impl Route {
    const ALL: [Self; 10] = [
        Self::Register,
        Self::Login,
        Self::Me,
        Self::Health,
        Self::Livez,
        Self::Readyz,
        Self::Jwks,
        Self::OpenApi,
        Self::Docs,
        Self::Unknown,
    ];

    fn of(path: &str) -> Self {
        match path {
            "/auth/register" => Self::Register,
            "/auth/login" => Self::Login,
            "/users/me" => Self::Me,
            "/health" => Self::Health,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/.well-known/jwks.json" => Self::Jwks,
            "/openapi.json" => Self::OpenApi,
            "/docs" => Self::Docs,
            _ if path.starts_with("/docs/") => Self::Docs,
            _ => Self::Unknown,
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Register => "/auth/register",
            Self::Login => "/auth/login",
            Self::Me => "/users/me",
            Self::Health => "/health",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Jwks => "/.well-known/jwks.json",
            Self::OpenApi => "/openapi.json",
            Self::Docs => "/docs",
            Self::Unknown => "(unknown)",
        }
    }

    fn methods(self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        const GET: &[Method] = &[Method::GET];
        const POST: &[Method] = &[Method::POST];
        match self {
            Self::Register | Self::Login => POST,
            Self::OpenApi | Self::Docs => READ,
            Self::Me | Self::Health | Self::Livez | Self::Readyz | Self::Jwks => GET,
            Self::Unknown => &[],
        }
    }

    fn needs_database(self) -> bool {
        matches!(self, Self::Register | Self::Login | Self::Me | Self::Health)
    }
}

/// The description of the API, as `/openapi.json` and `mini-api openapi` give it.
pub fn description() -> String {
    // OpenAPI demands a list of scopes where poem-openapi leaves an empty one out.
    let flow = r#""tokenUrl": "/auth/login""#;
    let mut text = service().spec().replace(flow, &format!(r#"{flow}, "scopes": {{}}"#));
    text.push('\n');
    text
}

fn service() -> OpenApiService<(AuthApi, UsersApi, HealthApi, JwksApi), ()> {
    OpenApiService::new((AuthApi, UsersApi, HealthApi, JwksApi), "Mini API", crate::VERSION)
        .description(
            "Register, log in, and ask who a token speaks for.\n\nEvery refusal is a problem document (RFC 9457); \
             `request_id` names the line in the service's log.",
        )
        .license(poem_openapi::LicenseObject::new("MIT OR Apache-2.0"))
}

/// Everything on the public address.
pub fn routes(app: Arc<App>, cors: Cors, trusted_proxies: Vec<ipnet::IpNet>) -> impl Endpoint<Output = Response> {
    let docs = Docs::new(description());
    let measures = Route::ALL.map(|route| app.metrics.route(route.template()));
    Front {
        measures,
        api: poem::Route::new().nest("/", service()),
        docs,
        cors,
        clients: Clients::new(trusted_proxies),
        app,
    }
}

/// The status that the log and the metrics give a request whose client went away: nobody else ever sees it.
const CLIENT_GONE: u16 = 499;

// In front of every handler: identity, routing, refusals, headers, one log line.
struct Front<E> {
    app: Arc<App>,
    // One a route, in the order of `Route::ALL`.
    measures: [measure::Route; Route::ALL.len()],
    api: E,
    docs: Docs,
    cors: Cors,
    clients: Clients,
}

impl<E: Endpoint<Output = Response>> Endpoint for Front<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let client = self.clients.identify(&request);
        let route = Route::of(request.uri().path());
        let method = request.method().clone();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let call = Call { app: self.app.clone(), client: client.clone() };
        let unanswered = Unanswered { front: self, route, method: &method, client: &client, started };
        let answer = self.answer(route, request, call).await;
        std::mem::forget(unanswered);
        if route.needs_database() {
            self.app.database_seen(answer.as_ref().err());
        }
        let (mut response, cause) = match answer {
            Ok(response) => (response, None),
            Err(problem) => {
                let mut response = problem.to_response(&client.request_id);
                if matches!(problem, Problem::MethodNotAllowed) {
                    response.headers_mut().insert(header::ALLOW, allow(route));
                }
                (response, problem.cause().map(str::to_owned))
            }
        };
        let headers = response.headers_mut();
        cors::allow(&self.cors, origin.as_ref(), headers);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(&client.request_id) {
            headers.insert("x-request-id", id);
        }
        self.record(route, &method, &client, response.status().as_u16(), started, cause.as_deref());
        Ok(response)
    }
}

/// What is logged of a request nobody waits for any more: its client went away, or its time was over. Else whoever hangs
/// up early would leave no trace.
struct Unanswered<'a, E> {
    front: &'a Front<E>,
    route: Route,
    method: &'a Method,
    client: &'a Client,
    started: Instant,
}

impl<E> Drop for Unanswered<'_, E> {
    fn drop(&mut self) {
        self.front.record(
            self.route,
            self.method,
            self.client,
            CLIENT_GONE,
            self.started,
            Some("nobody waited for the answer"),
        );
    }
}

impl<E> Front<E> {
    // The one line and the one count of a request.
    fn record(
        &self,
        route: Route,
        method: &Method,
        client: &Client,
        status: u16,
        started: Instant,
        cause: Option<&str>,
    ) {
        let duration = started.elapsed();
        self.measures[route as usize].observe(method.as_str(), status, duration);
        self.app.log.access(&Access {
            request_id: &client.request_id,
            method: method.as_str(),
            route: route.template(),
            status,
            duration,
            client: Some(client.address),
            cause,
        });
    }
}

impl<E: Endpoint<Output = Response>> Front<E> {
    async fn answer(&self, route: Route, mut request: Request, call: Call) -> Result<Response, Problem> {
        if let Some(server::Refused(problem)) = request.extensions_mut().remove::<server::Refused>() {
            return Err(Arc::unwrap_or_clone(problem));
        }
        if let Some(response) = cors::preflight(&self.cors, request.method(), request.headers()) {
            return Ok(response);
        }
        if route == Route::Unknown {
            return Err(Problem::NotFound);
        }
        let asset = self.docs.asset(request.uri().path());
        if route == Route::Docs && asset.is_none() {
            return Err(Problem::NotFound);
        }
        if !route.methods().contains(request.method()) {
            return Err(Problem::MethodNotAllowed);
        }
        if let Some(asset) = asset {
            return Ok(asset.respond(&request));
        }
        if route.needs_database() && self.app.phase() == Phase::Starting {
            return Err(Problem::NotReady { cause: "starting".into() });
        }
        let answer = if route == Route::Me {
            users::answer(&call, &request).await
        } else {
            request.extensions_mut().insert(call);
            self.api.call(request).await
        };
        let mut response = answer.map_err(problem_of)?;
        if route == Route::Login || route == Route::Me {
            // RFC 6749, 5.1: nothing with a token in it, or made for one, may stay in a cache.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(response)
    }
}

// What poem and poem-openapi refuse themselves, in our words.
fn problem_of(error: poem::Error) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return problem,
        Err(error) => error,
    };
    if error.is::<AuthorizationError>() {
        return Problem::NotAuthenticated;
    }
    if error.is::<NotFoundError>() {
        return Problem::NotFound;
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::MethodNotAllowed;
    }
    if error.is::<ContentTypeError>() {
        return Problem::UnsupportedMediaType { wanted: body::JSON };
    }
    if let Some(ParseRequestPayloadError { reason }) = error.downcast_ref() {
        return Problem::Invalid(vec![FieldError { field: "", kind: "value_error", message: reason.clone() }]);
    }
    match error.status() {
        StatusCode::NOT_FOUND => Problem::NotFound,
        status if status.is_client_error() => Problem::BadRequest,
        _ => Problem::Internal { cause: error.to_string() },
    }
}

fn allow(route: Route) -> HeaderValue {
    let methods: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
    HeaderValue::from_str(&methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}
