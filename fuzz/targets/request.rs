//! Any request to the public routes, while the database is away: an answer each time, and never a fault of ours.
#![no_main]

use std::{io, path::Path, sync::LazyLock};

use libfuzzer_sys::{
    Corpus,
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use mini_api::{
    auth::{password::Cost, throttle::Throttle},
    config::{Cors, Settings},
    http,
    service::Service,
    telemetry::Log,
};
use poem::{Endpoint as _, EndpointExt as _, Request, Response, endpoint::BoxEndpoint, http::StatusCode};
use tokio::runtime::{Builder, Runtime};

const PATHS: [&str; 9] = [
    "/auth/register",
    "/auth/login",
    "/users/me",
    "/health",
    "/livez",
    "/readyz",
    "/.well-known/jwks.json",
    "/openapi.json",
    "/docs",
];
const METHODS: [&str; 6] = ["POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE"];
const HEADERS: [&str; 8] = [
    "authorization",
    "content-type",
    "x-forwarded-for",
    "x-request-id",
    "origin",
    "access-control-request-method",
    "if-none-match",
    "accept-encoding",
];

struct World {
    runtime: Runtime,
    routes: BoxEndpoint<'static, Response>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let variable = |name: &str| match name {
        // A socket that is not there refuses at once.
        "DATABASE_URL" => Some("postgresql://nobody:unused@/nothing?host=/nonexistent".to_owned()),
        "JWT_SECRET" => Some("only-for-fuzzing-0123456789-0123456789-0123456789".to_owned()),
        "LISTEN_ADDR" => Some("127.0.0.1:0".to_owned()),
        "CORS_ALLOW_ORIGINS" => Some("https://page.example".to_owned()),
        "TRUSTED_PROXIES" => Some("0.0.0.0/0".to_owned()),
        _ => None,
    };
    let no_file = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let settings = Settings::from_env(variable, no_file).expect("sound settings");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (cors, proxies) = (Cors::Origins(vec!["https://page.example".into()]), settings.http.trusted_proxies.clone());
    let throttle = Throttle::new(b"key", settings.throttle.clone());
    let log = Log::to(io::sink(), settings.log_format, std::time::SystemTime::now);
    let cost = Cost::new(4, 8, 1).expect("a cost within bounds");
    let service = runtime.block_on(Service::listen(settings, cost, log)).expect("a service");
    service.app.ready(throttle);
    let routes = http::routes(service.app.clone(), cors, proxies).boxed();
    // It lives as long as the process.
    std::mem::forget(service);
    World { runtime, routes }
});

fn request(data: &mut Unstructured<'_>) -> Result<Option<Request>> {
    let path = if data.ratio(9, 10)? { (*data.choose(&PATHS)?).to_owned() } else { data.arbitrary()? };
    let mut request = Request::builder().method(data.choose(&METHODS)?.parse().expect("a method"));
    match path.parse() {
        Ok(uri) => request = request.uri(uri),
        Err(_) => return Ok(None),
    }
    for _ in 0..data.int_in_range(0..=4)? {
        let name = *data.choose(&HEADERS)?;
        let value: &[u8] = data.arbitrary()?;
        match poem::http::HeaderValue::from_bytes(value) {
            Ok(value) => request = request.header(name, value),
            Err(_) => return Ok(None),
        }
    }
    match data.int_in_range(0..=2)? {
        0 => request = request.content_type("application/json"),
        1 => request = request.content_type("application/x-www-form-urlencoded"),
        _ => {}
    }
    Ok(Some(request.body(data.bytes(data.len())?.to_vec())))
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(Some(request)) = request(&mut Unstructured::new(data)) else { return Corpus::Reject };
    let World { runtime, routes } = &*WORLD;
    let response = runtime.block_on(routes.call(request)).expect("every refusal is an answer");
    let status = response.status();
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.headers().contains_key("x-request-id"));
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(response.content_type(), Some("application/problem+json"), "{status}");
        let body = runtime.block_on(response.into_body().into_bytes()).expect("a body");
        let problem: serde_json::Value = serde_json::from_slice(&body).expect("a problem document");
        assert_eq!(problem["status"], status.as_u16());
    }
    Corpus::Keep
});
