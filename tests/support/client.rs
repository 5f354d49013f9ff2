//! An HTTP client that says no more than it is told to.

use std::net::SocketAddr;

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

    /// Asserts that this is a problem document with that status and detail, and nothing more than one may have.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, detail: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let document = self.json();
        assert_eq!(document["detail"], detail);
        assert_eq!(document["status"], status);
        assert_eq!(Some(document["request_id"].as_str().expect("an id")), self.header("x-request-id"));
        for member in document.as_object().expect("an object").keys() {
            assert!(
                ["type", "title", "status", "detail", "request_id", "errors"].contains(&member.as_str()),
                "unknown member {member}"
            );
        }
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { inner, base: format!("http://{address}") }
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
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    pub async fn get_as(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[(header::CONTENT_TYPE.as_str(), "application/json")], body.to_string()).await
    }

    pub async fn register(&self, email: &str, password: &str) -> Answer {
        self.post_json("/auth/register", &json!({ "email": email, "password": password })).await
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post_json("/auth/login", &json!({ "email": email, "password": password })).await
    }
}
