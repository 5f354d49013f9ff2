//! Every refusal a client can see, in one table: status, text, headers (RFC 9457).

use std::time::Duration;

use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use serde_json::{Value, json};

use crate::{auth::password::Busy, store::StoreError};

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name; empty when the body as a whole is wrong.
    pub field: &'static str,
    /// A stable word for programs: `missing`, `string_type`, `value_error`, `json_invalid`, `object_type`, `form_invalid`.
    pub kind: &'static str,
    /// One sentence for people.
    pub message: String,
}

/// Why a request is refused. What a client must not see travels in `cause` and ends in the log only.
#[derive(Debug, Clone)]
pub enum Problem {
    EmailTaken,
    InvalidCredentials,
    NotAuthenticated,
    InvalidToken,
    UserNotFound,
    Invalid(Vec<FieldError>),
    TooManyAttempts {
        retry_after: Duration,
    },
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    PayloadTooLarge {
        limit: usize,
    },
    UnsupportedMediaType {
        wanted: &'static str,
    },
    /// All hash slots are taken and the queue is full or too slow.
    Busy {
        retry_after: Duration,
    },
    DatabaseUnavailable {
        cause: String,
    },
    DatabaseFull {
        cause: String,
    },
    /// The service is starting or draining.
    NotReady {
        cause: String,
    },
    /// The answer took longer than the request may last.
    TimedOut,
    BadRequest,
    Internal {
        cause: String,
    },
}

impl Problem {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::EmailTaken => StatusCode::CONFLICT,
            Self::InvalidCredentials | Self::NotAuthenticated | Self::InvalidToken | Self::UserNotFound => {
                StatusCode::UNAUTHORIZED
            }
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy { .. }
            | Self::DatabaseUnavailable { .. }
            | Self::DatabaseFull { .. }
            | Self::NotReady { .. }
            | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The text of `detail`; the reference service's own words wherever it has any.
    pub fn detail(&self) -> String {
        match self {
            Self::EmailTaken => "Email already registered".into(),
            Self::InvalidCredentials => "Invalid credentials".into(),
            Self::NotAuthenticated => "Not authenticated".into(),
            Self::InvalidToken => "Invalid token".into(),
            Self::UserNotFound => "User not found".into(),
            Self::Invalid(errors) => match errors.as_slice() {
                [only] if only.field.is_empty() => only.message.clone(),
                [only] => format!("{}: {}", only.field, only.message),
                several => format!("{} fields are not valid; see errors", several.len()),
            },
            Self::TooManyAttempts { .. } => "Too many attempts; wait as long as Retry-After says".into(),
            Self::NotFound => "Not Found".into(),
            Self::MethodNotAllowed => "Method Not Allowed".into(),
            Self::RequestTimeout => "The request did not arrive in time".into(),
            Self::PayloadTooLarge { limit } => format!("The body is larger than {limit} bytes"),
            Self::UnsupportedMediaType { wanted } => format!("Send the body as {wanted}"),
            Self::Busy { .. } => "All password hashers are busy; wait as long as Retry-After says".into(),
            Self::DatabaseUnavailable { .. } => "The database cannot be reached".into(),
            Self::DatabaseFull { .. } => "The database has no room".into(),
            Self::NotReady { .. } => "The service is not ready".into(),
            Self::TimedOut => "The answer took too long".into(),
            Self::BadRequest => "Bad Request".into(),
            Self::Internal { .. } => "Internal Server Error".into(),
        }
    }

    /// What only the log may say.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::DatabaseUnavailable { cause }
            | Self::DatabaseFull { cause }
            | Self::NotReady { cause }
            | Self::Internal { cause } => Some(cause),
            Self::TimedOut => Some("the answer was not there within REQUEST_TIMEOUT"),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::DatabaseUnavailable { .. } | Self::DatabaseFull { .. } | Self::NotReady { .. } | Self::TimedOut => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// The problem document, with the request's id so that a client can name the log line.
    pub fn document(&self, request_id: &str) -> Value {
        let status = self.status();
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail(),
            "request_id": request_id,
        });
        if let (Self::Invalid(errors), Some(members)) = (self, document.as_object_mut()) {
            members.insert("errors".into(), errors.iter().map(field_error).collect());
        }
        document
    }

    /// The answer itself.
    pub fn to_response(&self, request_id: &str) -> Response {
        let status = self.status();
        let mut response = Response::builder()
            .status(status)
            .content_type("application/problem+json")
            .body(self.document(request_id).to_string());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after() {
            // Rounded up: a client that waits exactly so long must not be early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

fn field_error(error: &FieldError) -> Value {
    let location = if error.field.is_empty() { json!(["body"]) } else { json!(["body", error.field]) };
    json!({ "loc": location, "msg": error.message, "type": error.kind })
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail())
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }

    // Reached only where no request id is known; the route table renders all others.
    fn as_response(&self) -> Response {
        self.to_response("")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.to_response("")
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::Busy { retry_after: busy.retry_after }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => Self::DatabaseUnavailable { cause },
            StoreError::Full(cause) => Self::DatabaseFull { cause },
            StoreError::Unexpected(cause) => Self::Internal { cause },
        }
    }
}
