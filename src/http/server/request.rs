//! One request: its body within bounds, its answer within time.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::{Body as _, Incoming};
use poem::{
    Body, Endpoint, Request, RequestParts, Response,
    http::{self, HeaderValue, Version, header},
};
use tokio::time::{Instant, timeout_at};

use super::connection::Client;
use crate::http::problem::Problem;

/// In the extensions of a request that the server refuses: the endpoint answers it with this problem and does nothing else.
/// Its body is empty.
#[derive(Debug, Clone)]
pub struct Refused(pub Arc<Problem>);

/// In the extensions of every other request: when `REQUEST_TIMEOUT` is over. The endpoint keeps it, because only it can
/// still name what it was asked.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

pub(super) async fn answer<E>(
    client: Arc<Client<E>>,
    request: http::Request<Incoming>,
) -> Result<http::Response<BoxBody<Bytes, io::Error>>, Infallible>
where
    E: Endpoint<Output = Response>,
{
    let _answering = client.meter.answering();
    let limits = &client.shared.limits;
    let deadline = Instant::now() + limits.request;
    let (head, incoming) = request.into_parts();
    let version = head.version;
    let mut parts = client.parts(head);
    let received = {
        let _receiving = (!incoming.is_end_stream()).then(|| client.meter.receiving());
        receive(incoming, limits.body_bytes, deadline).await
    };
    let mut refused = false;
    let mut response = match received {
        Ok(body) => {
            parts.extensions.insert(Deadline(deadline));
            client.shared.endpoint.get_response(Request::from_parts(parts, body)).await
        }
        Err(problem) => {
            client.meter.leave_unread();
            refused = true;
            refuse(&client.shared.endpoint, parts, problem).await
        }
    };
    // The rest of a refused body stands between this answer and a next request; and before we go, a client that is told so goes
    // elsewhere with its next request, which would else meet a connection that closes. HTTP/2 has its own words for both.
    if (refused || client.shared.leaving.load(Relaxed)) && version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.into())
}

async fn refuse<E>(endpoint: &E, mut parts: RequestParts, problem: Problem) -> Response
where
    E: Endpoint<Output = Response>,
{
    parts.extensions.insert(Refused(Arc::new(problem)));
    endpoint.get_response(Request::from_parts(parts, Body::empty())).await
}

/// The whole body, or why it is refused. A length announced too large is refused before anything is read.
async fn receive(mut incoming: Incoming, limit: usize, deadline: Instant) -> Result<Body, Problem> {
    if incoming.is_end_stream() {
        return Ok(Body::empty());
    }
    if usize::try_from(incoming.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(Problem::PayloadTooLarge { limit });
    }
    match timeout_at(deadline, collect(&mut incoming, limit)).await {
        Ok(body) => body.map(Body::from),
        Err(_) => Err(Problem::RequestTimeout),
    }
}

async fn collect(incoming: &mut Incoming, limit: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| Problem::BadRequest)?.into_data() else { continue };
        if first.len().max(all.len()) + data.len() > limit {
            return Err(Problem::PayloadTooLarge { limit });
        }
        // Most bodies are one frame, which needs no copy.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
