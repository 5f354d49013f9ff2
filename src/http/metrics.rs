//! `/metrics`, on the administration address only.

use std::sync::{Arc, atomic::Ordering};

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, Method, header},
};

use super::{App, problem::Problem, server};
use crate::telemetry::metrics::CONTENT_TYPE;

/// Everything on the administration address.
pub fn routes(app: Arc<App>, counters: Arc<server::Counters>) -> impl Endpoint<Output = Response> {
    Administration { app, counters }
}

struct Administration {
    app: Arc<App>,
    counters: Arc<server::Counters>,
}

impl Endpoint for Administration {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if let Some(server::Refused(problem)) = request.extensions_mut().remove::<server::Refused>() {
            return Ok(problem.to_response(""));
        }
        Ok(match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => {
                let open = self.counters.open.load(Ordering::Relaxed);
                self.app.metrics.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
                Response::builder().content_type(CONTENT_TYPE).body(self.app.metrics.encode())
            }
            (_, "/metrics") => {
                let mut response = Problem::MethodNotAllowed.to_response("");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
                response
            }
            _ => Problem::NotFound.to_response(""),
        })
    }
}
