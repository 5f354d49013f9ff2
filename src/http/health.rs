//! `/health`, `/livez`, `/readyz`: for load balancers and orchestrators.

use poem::web::Data;
use poem_openapi::{Object, OpenApi, payload::Json};

use super::{
    Call, Phase, Tag,
    problem::Problem,
    refusal::{Refused, Statuses},
};
use crate::store::SchemaState;

/// All is well.
#[derive(Object)]
struct Health {
    /// Always `ok`.
    status: String,
}

/// The process answers.
#[derive(Object)]
struct Liveness {
    /// Always `ok`.
    status: String,
    /// Whether the service has been ready since it started.
    started: bool,
}

pub struct HealthRefusals;

impl Statuses for HealthRefusals {
    const STATUSES: &'static [u16] = &[500, 503];
}

pub struct HealthApi;

#[OpenApi]
#[allow(clippy::unused_async, reason = "poem-openapi's handlers are async")]
impl HealthApi {
    /// Health
    ///
    /// Whether the database answers. As the reference service has it; `/livez` and `/readyz` ask the two questions apart.
    #[oai(path = "/health", method = "get", operation_id = "health", tag = Tag::Health)]
    async fn health(&self, call: Data<&Call>) -> Result<Json<Health>, Refused<HealthRefusals>> {
        call.app.store.ping().await?;
        Ok(Json(Health { status: "ok".into() }))
    }

    /// Alive
    ///
    /// Whether the process answers at all. Never asks the database, so that its absence restarts nothing.
    #[oai(path = "/livez", method = "get", operation_id = "livez", tag = Tag::Health)]
    async fn livez(&self, call: Data<&Call>) -> Json<Liveness> {
        Json(Liveness { status: "ok".into(), started: call.app.phase() != Phase::Starting })
    }

    /// Ready
    ///
    /// Whether requests should be sent here: the database answers, its schema is right, and the service is not draining.
    #[oai(path = "/readyz", method = "get", operation_id = "readyz", tag = Tag::Health)]
    async fn readyz(&self, call: Data<&Call>) -> Result<Json<Health>, Refused<HealthRefusals>> {
        let not_ready = |cause: &str| Problem::NotReady { cause: cause.into() };
        match call.app.phase() {
            Phase::Starting => return Err(not_ready("starting").into()),
            Phase::Draining => return Err(not_ready("draining").into()),
            Phase::Ready => {}
        }
        match call.app.store.schema_state().await? {
            SchemaState::Ready => Ok(Json(Health { status: "ok".into() })),
            SchemaState::Behind => Err(not_ready("the schema lacks migrations of this release").into()),
            SchemaState::TooNew { oldest } => {
                Err(not_ready(&format!("the schema needs mini-api {oldest} or later")).into())
            }
        }
    }
}
