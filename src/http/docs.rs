//! `/docs` and its parts: Swagger UI from this binary alone; and `/openapi.json`.

use std::{io::Read as _, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::read::GzDecoder;
use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use ring::digest;

const PAGE: &str = include_str!("docs/index.html");
const INITIALIZER: &str = include_str!("docs/init.js");
const STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"));
const BUNDLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"));
const ICON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/favicon-32x32.png.gz"));

// Everything from here and nothing inline; Swagger UI draws its icons from data: URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// A file that never changes while the process lives.
pub struct Asset {
    content: Content,
    inflated: OnceLock<bytes::Bytes>,
    media_type: &'static str,
    etag: HeaderValue,
}

enum Content {
    Plain(bytes::Bytes),
    Gzip(&'static [u8]),
}

/// All files of the docs.
pub struct Docs {
    page: Asset,
    initializer: Asset,
    style: Asset,
    bundle: Asset,
    icon: Asset,
    openapi: Asset,
}

impl Docs {
    pub fn new(openapi: String) -> Self {
        Self {
            page: Asset::plain(PAGE, "text/html; charset=utf-8"),
            initializer: Asset::plain(INITIALIZER, "text/javascript; charset=utf-8"),
            style: Asset::gzip(STYLE, "text/css; charset=utf-8"),
            bundle: Asset::gzip(BUNDLE, "text/javascript; charset=utf-8"),
            icon: Asset::gzip(ICON, "image/png"),
            openapi: Asset::plain(openapi, "application/json"),
        }
    }

    pub fn asset(&self, path: &str) -> Option<&Asset> {
        Some(match path {
            "/docs" | "/docs/" => &self.page,
            "/docs/init.js" => &self.initializer,
            "/docs/swagger-ui.css" => &self.style,
            "/docs/swagger-ui-bundle.js" => &self.bundle,
            "/docs/favicon-32x32.png" => &self.icon,
            "/openapi.json" => &self.openapi,
            _ => return None,
        })
    }
}

impl Asset {
    fn plain(content: impl Into<bytes::Bytes>, media_type: &'static str) -> Self {
        let content = content.into();
        Self { etag: etag(&content), content: Content::Plain(content), inflated: OnceLock::new(), media_type }
    }

    fn gzip(content: &'static [u8], media_type: &'static str) -> Self {
        Self { etag: etag(content), content: Content::Gzip(content), inflated: OnceLock::new(), media_type }
    }

    /// 200 with the file, or 304 when the client has it.
    pub fn respond(&self, request: &Request) -> Response {
        let headers = request.headers();
        let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
            let etag = self.etag.as_bytes();
            value
                .as_bytes()
                .split(|b| *b == b',')
                .map(<[u8]>::trim_ascii)
                .any(|tag| tag == b"*" || tag == etag || tag.strip_prefix(b"W/").is_some_and(|weak| weak == etag))
        });
        let mut response = Response::builder().content_type(self.media_type);
        let body = match (&self.content, known) {
            (_, true) => {
                response = response.status(StatusCode::NOT_MODIFIED);
                bytes::Bytes::new()
            }
            (Content::Plain(content), false) => content.clone(),
            (Content::Gzip(content), false) if takes_gzip(request) => {
                response = response.header(header::CONTENT_ENCODING, "gzip");
                bytes::Bytes::from_static(content)
            }
            // Rare: every browser takes gzip. Once, because it takes a worker some milliseconds.
            (Content::Gzip(content), false) => {
                let inflate = || {
                    let mut plain = Vec::new();
                    // Reading what the build wrote into memory cannot fail.
                    let _ = GzDecoder::new(*content).read_to_end(&mut plain);
                    plain.into()
                };
                self.inflated.get_or_init(inflate).clone()
            }
        };
        let mut response = response.body(body);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if matches!(self.content, Content::Gzip(_)) {
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }
}

fn etag(content: &[u8]) -> HeaderValue {
    let hash = digest::digest(&digest::SHA256, content);
    let tag = URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]);
    HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn takes_gzip(request: &Request) -> bool {
    request.headers().get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
            (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
        })
    })
}
