//! `/health`, `/livez`, `/readyz`: for load balancers and orchestrators.

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json, types::Example};

use super::{
    Tag,
    app::{Call, Phase},
    problem::Problem,
    refusal::{Refused, Statuses},
};
use crate::store::SchemaState;

/// All is well.
#[derive(Object)]
#[oai(example)]
struct Health {
    /// Always `ok`.
    status: String,
}

/// The process answers.
#[derive(Object)]
#[oai(example)]
struct Liveness {
    /// Always `ok`.
    status: String,
    /// Whether the service has been ready since it started.
    started: bool,
}

impl Example for Health {
    fn example() -> Self {
        Self { status: "ok".into() }
    }
}

impl Example for Liveness {
    fn example() -> Self {
        Self { status: "ok".into(), started: true }
    }
}

#[derive(ApiResponse)]
enum Healthy {
    /// All is well.
    #[oai(status = 200)]
    Healthy(Json<Health>),
}

#[derive(ApiResponse)]
enum Alive {
    /// The process answers.
    #[oai(status = 200)]
    Alive(Json<Liveness>),
}

pub struct HealthRefusals;

impl Statuses for HealthRefusals {
    const STATUSES: &'static [u16] = &[400, 408, 413, 500, 503];
}

/// What is refused before any handler is asked.
pub struct AnyRefusals;

impl Statuses for AnyRefusals {
    const STATUSES: &'static [u16] = &[400, 408, 413, 503];
}

pub struct HealthApi;

#[OpenApi]
#[allow(clippy::unused_async, reason = "poem-openapi's handlers are async")]
impl HealthApi {
    /// Health
    ///
    /// Whether the database answers. As the reference service has it; `/livez` and `/readyz` ask the two questions apart.
    #[oai(path = "/health", method = "get", operation_id = "health", tag = Tag::Health)]
    async fn health(&self, call: Data<&Call>) -> Result<Healthy, Refused<HealthRefusals>> {
        call.app.store.ping().await?;
        Ok(Healthy::Healthy(Json(Health::example())))
    }

    /// Alive
    ///
    /// Whether the process answers at all. Never asks the database, so that its absence restarts nothing.
    #[oai(path = "/livez", method = "get", operation_id = "livez", tag = Tag::Health)]
    async fn livez(&self, call: Data<&Call>) -> Result<Alive, Refused<AnyRefusals>> {
        let started = call.app.phase() != Phase::Starting;
        Ok(Alive::Alive(Json(Liveness { status: "ok".into(), started })))
    }

    /// Ready
    ///
    /// Whether requests should be sent here: the database answers, its schema is right, and the service is not draining.
    #[oai(path = "/readyz", method = "get", operation_id = "readyz", tag = Tag::Health)]
    async fn readyz(&self, call: Data<&Call>) -> Result<Healthy, Refused<HealthRefusals>> {
        let not_ready = |cause: &str| Problem::NotReady { cause: cause.into() };
        match call.app.phase() {
            Phase::Starting => return Err(not_ready("starting").into()),
            Phase::Draining => return Err(not_ready("draining").into()),
            Phase::Ready => {}
        }
        match call.app.store.schema_state().await? {
            SchemaState::Ready { .. } => Ok(Healthy::Healthy(Json(Health::example()))),
            SchemaState::Behind => Err(not_ready("the schema lacks migrations of this release").into()),
            SchemaState::TooNew { oldest } => {
                Err(not_ready(&format!("the schema needs mini-api {oldest} or later")).into())
            }
        }
    }
}
