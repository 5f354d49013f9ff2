//! The routes: a closed list of path templates, their methods, and what they need.

use poem::http::{HeaderValue, Method};

/// A path, as logs and metrics name it: a closed list, so that no client can make up labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Register,
    Login,
    Me,
    Health,
    Livez,
    Readyz,
    Jwks,
    OpenApi,
    Docs,
    Unknown,
}

impl Route {
    pub const ALL: [Self; 10] = [
        Self::Register,
        Self::Login,
        Self::Me,
        Self::Health,
        Self::Livez,
        Self::Readyz,
        Self::Jwks,
        Self::OpenApi,
        Self::Docs,
        Self::Unknown,
    ];

    pub fn of(path: &str) -> Self {
        match path {
            "/auth/register" => Self::Register,
            "/auth/login" => Self::Login,
            "/users/me" => Self::Me,
            "/health" => Self::Health,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/.well-known/jwks.json" => Self::Jwks,
            "/openapi.json" => Self::OpenApi,
            "/docs" => Self::Docs,
            _ if path.starts_with("/docs/") => Self::Docs,
            _ => Self::Unknown,
        }
    }

    pub fn template(self) -> &'static str {
        match self {
            Self::Register => "/auth/register",
            Self::Login => "/auth/login",
            Self::Me => "/users/me",
            Self::Health => "/health",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Jwks => "/.well-known/jwks.json",
            Self::OpenApi => "/openapi.json",
            Self::Docs => "/docs",
            Self::Unknown => "(unknown)",
        }
    }

    pub fn methods(self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        const GET: &[Method] = &[Method::GET];
        const POST: &[Method] = &[Method::POST];
        match self {
            Self::Register | Self::Login => POST,
            Self::OpenApi | Self::Docs => READ,
            Self::Me | Self::Health | Self::Livez | Self::Readyz | Self::Jwks => GET,
            Self::Unknown => &[],
        }
    }

    pub fn needs_database(self) -> bool {
        matches!(self, Self::Register | Self::Login | Self::Me | Self::Health)
    }

    /// The header `Allow` of a 405.
    pub fn allow(self) -> HeaderValue {
        let methods: Vec<&str> = self.methods().iter().map(Method::as_str).collect();
        HeaderValue::from_str(&methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}
