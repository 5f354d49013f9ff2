//! Which pages of other origins may call the API from a browser.

use poem::{
    Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use crate::config::Cors;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-request-id");
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, www-authenticate, x-request-id");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The answer to a preflight, when this is one from a page that may call.
pub fn preflight(cors: &Cors, method: &Method, request: &HeaderMap) -> Option<Response> {
    if method != Method::OPTIONS || !request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    allowed(cors, request.get(header::ORIGIN))?;
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(response)
}

/// What the browser must see to hand an answer over. An origin that is not allowed gets nothing, and the browser does the rest.
pub fn allow(cors: &Cors, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
    if let Cors::Origins(_) = cors {
        // The answer depends on who asks; a cache must not hand one page's to another.
        response.append(header::VARY, HeaderValue::from_static("origin"));
    }
    let Some(origin) = allowed(cors, origin) else { return };
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if let Cors::Origins(_) = cors {
        response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn allowed(cors: &Cors, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    let origin = origin?;
    match cors {
        Cors::Off => None,
        Cors::AnyOrigin => Some(HeaderValue::from_static("*")),
        Cors::Origins(origins) => origins.iter().any(|o| o.as_bytes() == origin.as_bytes()).then(|| origin.clone()),
    }
}
