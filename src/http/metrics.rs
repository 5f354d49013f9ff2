//! `/metrics`, on the administration address only.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, Method, header},
};

use super::{App, problem::Problem, server};
use crate::telemetry::metrics::{CONTENT_TYPE, Connections};

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
                let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
                self.app.metrics.listener(&Connections {
                    open: counted(&self.counters.open),
                    accepted: counted(&self.counters.accepted),
                    accept_errors: counted(&self.counters.accept_errors),
                    evicted: counted(&self.counters.evicted),
                    overdue: counted(&self.counters.overdue),
                    refused_handshakes: counted(&self.counters.refused_handshakes),
                });
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
