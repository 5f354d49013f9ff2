//! Which refusals an operation may answer with, for the API's description.

use std::marker::PhantomData;

use super::problem::Problem;
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, Registry},
    types::Type,
};

/// RFC 9457: why a request was refused.
#[derive(Object)]
#[oai(rename = "Problem")]
pub struct ProblemDocument {
    /// `about:blank`: the status says it all.
    r#type: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// One sentence on this refusal.
    detail: String,
    /// Names the line in the service's log.
    request_id: String,
    /// The wrong fields, for 422 only.
    #[oai(skip_serializing_if_is_none)]
    errors: Option<Vec<FieldErrorDocument>>,
}

/// One wrong field.
#[derive(Object)]
#[oai(rename = "FieldError")]
struct FieldErrorDocument {
    /// Where: `body`, then the field.
    loc: Vec<String>,
    /// What is wrong, for people.
    msg: String,
    /// What is wrong, for programs.
    r#type: String,
}

/// The statuses of one operation, beside those any operation may answer with.
pub trait Statuses {
    const STATUSES: &'static [u16];
    /// The example of a 401.
    const UNAUTHORIZED: Problem = Problem::InvalidToken;
    /// The media types that a 415 asks for.
    const MEDIA_TYPES: &'static str = "application/json";
}

/// A [`Problem`] of an operation whose refusals are `S`.
#[derive(Debug)]
pub struct Refused<S>(Problem, PhantomData<S>);

impl<S, P: Into<Problem>> From<P> for Refused<S> {
    fn from(problem: P) -> Self {
        Self(problem.into(), PhantomData)
    }
}

impl<S> From<Refused<S>> for poem::Error {
    fn from(refused: Refused<S>) -> Self {
        refused.0.into()
    }
}

impl<S: Statuses> ApiResponse for Refused<S> {
    fn meta() -> MetaResponses {
        MetaResponses { responses: S::STATUSES.iter().map(|status| response::<S>(*status)).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

fn response<S: Statuses>(status: u16) -> MetaResponse {
    let header = |name: &str, description: &str, schema| MetaHeader {
        name: name.into(),
        description: Some(description.into()),
        required: true,
        deprecated: false,
        schema,
    };
    let retry_after = || header("Retry-After", "Seconds to wait.", u32::schema_ref());
    let (description, headers) = match status {
        400 => ("The request is not HTTP as it should be.", vec![]),
        401 => (
            "Not authenticated: no token, or one that is not believed; at login, wrong credentials.",
            vec![header("WWW-Authenticate", "Bearer", String::schema_ref())],
        ),
        408 => ("The request did not arrive in time.", vec![]),
        409 => ("The address is registered already.", vec![]),
        413 => ("The body is too large.", vec![]),
        415 => ("The body's media type is not one that is understood.", vec![]),
        422 => ("Fields are missing or wrong; `errors` names each.", vec![]),
        429 => ("Too many attempts for this account or from this network.", vec![retry_after()]),
        500 => ("A fault of the service; its log says more under the request id.", vec![]),
        503 => (
            "The database cannot be reached, all hashers are busy, or the service is starting or draining.",
            vec![retry_after()],
        ),
        _ => ("", vec![]),
    };
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: "application/problem+json",
            schema: ProblemDocument::schema_ref().merge(example::<S>(status)),
        }],
        headers,
    }
}

// The very document a client would get, so that the examples cannot drift from the table of problems.
fn example<S: Statuses>(status: u16) -> MetaSchema {
    let problem = match status {
        401 => S::UNAUTHORIZED,
        408 => Problem::RequestTimeout,
        409 => Problem::EmailTaken,
        413 => Problem::PayloadTooLarge { limit: 65_536 },
        415 => Problem::UnsupportedMediaType { wanted: S::MEDIA_TYPES },
        422 => Problem::Invalid(vec![super::problem::FieldError {
            field: "email",
            kind: "missing",
            message: "the field is required".into(),
        }]),
        429 => Problem::TooManyAttempts { retry_after: std::time::Duration::from_mins(1) },
        500 => Problem::Internal { cause: String::new() },
        503 => Problem::DatabaseUnavailable { cause: String::new() },
        _ => Problem::BadRequest,
    };
    MetaSchema { example: Some(problem.document("5f2a7c10-1")), ..MetaSchema::ANY }
}
