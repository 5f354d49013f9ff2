//! In front of every handler: identity, routing, refusals, headers, one log line.

use std::{sync::Arc, time::Instant};

use tokio::time::timeout_at;

use poem::{
    Endpoint, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderValue, Method, StatusCode, header},
};
use poem_openapi::error::{AuthorizationError, ContentTypeError, ParseRequestPayloadError};

use super::{
    app::{App, Call, Phase},
    body,
    client::{Client, Clients},
    cors,
    docs::Docs,
    problem::{FieldError, Problem},
    route::Route,
    server, users,
};
use crate::{
    config::Cors,
    telemetry::{Access, metrics as measure},
};

/// The status that the log and the metrics give a request whose client went away: nobody else ever sees it.
const CLIENT_GONE: u16 = 499;

pub(super) struct Front<E> {
    app: Arc<App>,
    // One a route, in the order of `Route::ALL`.
    measures: [measure::Route; Route::ALL.len()],
    api: E,
    docs: Docs,
    cors: Cors,
    clients: Clients,
}

impl<E> Front<E> {
    pub fn new(app: Arc<App>, api: E, docs: Docs, cors: Cors, clients: Clients) -> Self {
        let measures = Route::ALL.map(|route| app.metrics.route(route.template()));
        Self { app, measures, api, docs, cors, clients }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Front<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let client = self.clients.identify(&request);
        let route = Route::of(request.uri().path());
        let method = request.method().clone();
        let origin = request.headers().get(header::ORIGIN).cloned();
        // The server gives one to every request that it does not refuse itself.
        let deadline = request.extensions().get().map_or_else(tokio::time::Instant::now, |&server::Deadline(at)| at);
        let call = Call { app: self.app.clone(), client: client.clone(), deadline };
        let unanswered = Unanswered { front: self, route, method: &method, client: &client, started };
        let asks = route.methods().contains(&method);
        let answer = timeout_at(deadline, self.answer(route, request, call)).await;
        let answer = answer.unwrap_or(Err(Problem::TimedOut));
        std::mem::forget(unanswered);
        if route.needs_database() && asks {
            self.app.database_seen(answer.as_ref().err());
        }
        let (mut response, cause) = match answer {
            Ok(response) => (response, None),
            Err(problem) => {
                let mut response = problem.to_response(&client.request_id);
                if matches!(problem, Problem::MethodNotAllowed) {
                    response.headers_mut().insert(header::ALLOW, route.allow());
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

/// What is logged of a request that ends without an answer: its client went away, or its handler panicked. Else whoever
/// hangs up early would leave no trace.
struct Unanswered<'a, E> {
    front: &'a Front<E>,
    route: Route,
    method: &'a Method,
    client: &'a Client,
    started: Instant,
}

impl<E> Drop for Unanswered<'_, E> {
    fn drop(&mut self) {
        let (status, cause) = if std::thread::panicking() {
            (StatusCode::INTERNAL_SERVER_ERROR.as_u16(), "the handler panicked")
        } else {
            (CLIENT_GONE, "nobody waited for the answer")
        };
        self.front.record(self.route, self.method, self.client, status, self.started, Some(cause));
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
