//! An HTTP client that says no more than it is told to, and holds every answer against the API's own description.

use std::{net::SocketAddr, sync::OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, header};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::{Value, json};

/// Calls one service over kept-alive connections.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>,
    base: String,
    described: bool,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whole seconds to wait.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        self.header("retry-after").expect("a Retry-After").parse().expect("whole seconds")
    }

    /// Asserts that this is a problem document with that status and detail, and nothing more than one may have.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, detail: &str) {
        self.assert_refusal(status);
        assert_eq!(self.json()["detail"], detail);
    }

    /// Asserts that this is a problem document with that status, whatever its detail.
    #[track_caller]
    pub fn assert_refusal(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let document = self.json();
        assert_eq!(document["type"], "about:blank");
        assert!(!document["title"].as_str().expect("a title").is_empty());
        assert!(!document["detail"].as_str().expect("a detail").is_empty());
        assert_eq!(document["status"], status);
        assert_eq!(Some(document["request_id"].as_str().expect("an id")), self.header("x-request-id"));
        assert_eq!(document.get("errors").is_some(), status == 422, "errors stand in a 422, and only there");
        for member in document.as_object().expect("an object").keys() {
            assert!(
                ["type", "title", "status", "detail", "request_id", "errors"].contains(&member.as_str()),
                "unknown member {member}"
            );
        }
        assert_eq!(self.header("www-authenticate"), (status == 401).then_some("Bearer"));
        if [429, 503].contains(&status) {
            assert!(self.retry_after() >= 1);
        }
        self.assert_says_nothing_internal();
    }

    /// Asserts a 422 with exactly these wrong fields, each with its kind; the empty field is the body as a whole.
    #[track_caller]
    pub fn assert_invalid(&self, wanted: &[(&str, &str)]) {
        self.assert_refusal(422);
        let document = self.json();
        let errors = document["errors"].as_array().expect("a list");
        let found: Vec<(String, &str)> = errors
            .iter()
            .map(|error| {
                assert_eq!(error.as_object().map(serde_json::Map::len), Some(3), "{error}");
                assert!(!error["msg"].as_str().expect("a message").is_empty());
                let location: Vec<&str> =
                    error["loc"].as_array().expect("a path").iter().filter_map(Value::as_str).collect();
                assert_eq!(location[0], "body");
                (location[1..].join("."), error["type"].as_str().expect("a kind"))
            })
            .collect();
        let wanted: Vec<(String, &str)> = wanted.iter().map(|(field, kind)| ((*field).to_owned(), *kind)).collect();
        assert_eq!(found, wanted, "{document}");
    }

    #[track_caller]
    fn assert_says_nothing_internal(&self) {
        let text = format!("{:?} {}", self.headers, self.text()).to_lowercase();
        for word in [
            "select ",
            "insert ",
            "update ",
            "sqlstate",
            "postgres",
            "tokio",
            "scrypt",
            "$2b$",
            "relation",
            "column \"",
            "constraint",
            "uq_users",
            "panicked",
            "src/",
            ".rs",
            "127.0.0.1",
            "login_admit",
            "poem",
            "hyper",
        ] {
            assert!(!text.contains(word), "{word:?} is nobody's business: {text}");
        }
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { inner, base: format!("http://{address}"), described: true }
    }

    /// Calls an address that does not serve the API.
    pub fn of_another_service(address: SocketAddr) -> Self {
        Self { described: false, ..Self::new(address) }
    }

    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let response = self.inner.request(request).await.expect("the service answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        if self.described {
            assert_described(method, path, &answer);
        }
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    pub async fn get_as(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    pub async fn me(&self, token: &str) -> Answer {
        self.get_as("/users/me", token).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post_raw(path, body.to_string()).await
    }

    /// Bytes that claim to be JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.call("POST", path, &[(header::CONTENT_TYPE.as_str(), "application/json")], body).await
    }

    pub async fn post_form(&self, path: &str, body: &str) -> Answer {
        let form = [(header::CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")];
        self.call("POST", path, &form, body.to_owned()).await
    }

    pub async fn register(&self, email: &str, password: &str) -> Answer {
        self.post_json("/auth/register", &json!({ "email": email, "password": password })).await
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post_json("/auth/login", &json!({ "email": email, "password": password })).await
    }

    /// A login that a proxy on loopback passes on for a client at `address`.
    pub async fn login_from(&self, address: &str, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-forwarded-for", address)];
        self.call("POST", "/auth/login", &headers, body).await
    }
}

/// The API's description, as the service under test publishes it.
pub fn description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| serde_json::from_str(&mini_api::http::description()).expect("JSON"))
}

// What any test ever sees of an operation must be in its description: status and media type.
#[track_caller]
fn assert_described(method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap_or_default();
    let operation = &description()["paths"][path][method.to_lowercase()];
    if operation.is_null() {
        return;
    }
    let response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{method} {path} answers {} and /openapi.json does not know it", answer.status);
    let media_type = answer.header("content-type").expect("an answer of the API has a media type");
    assert!(!response["content"][media_type].is_null(), "{method} {path} {}: {media_type}", answer.status);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let there = answer.header(&name.to_lowercase()).is_some();
        assert!(there || header["required"] == false, "{method} {path} {} lacks {name}", answer.status);
    }
}
