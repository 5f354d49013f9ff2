//! HTTP: the table of routes, and what stands before and behind them.

mod app;
mod auth;
mod bearer;
mod body;
mod client;
mod cors;
mod docs;
mod front;
mod health;
pub mod healthcheck;
mod jwks;
pub mod metrics;
pub mod problem;
mod refusal;
mod route;
pub mod server;
mod users;

use std::sync::Arc;

use poem::{Endpoint, Response};
use poem_openapi::{OpenApiService, Tags};

pub use self::app::App;
use self::{
    auth::AuthApi, client::Clients, docs::Docs, front::Front, health::HealthApi, jwks::JwksApi, users::UsersApi,
};
use crate::config::Cors;

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
    let api = poem::Route::new().nest("/", service());
    Front::new(app, api, Docs::new(description()), cors, Clients::new(trusted_proxies))
}
