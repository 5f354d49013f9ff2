use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::support::{Answer, TestApp};

const ASSETS: [(&str, &str); 5] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/init.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("/docs/favicon-32x32.png", "image/png"),
];

async fn packed(app: &TestApp, path: &str) -> Answer {
    app.client.call("GET", path, &[("accept-encoding", "gzip, deflate, br")], "").await
}

#[tokio::test]
async fn the_page_and_all_it_refers_to_come_from_this_service() {
    let app = TestApp::start().await;
    let page = app.client.get("/docs").await;
    assert_eq!(page.body, app.client.get("/docs/").await.body);
    let text = page.text();
    let references: Vec<&str> = text
        .split(['"', '\''])
        .skip(1)
        .step_by(2)
        .filter(|value| value.contains('/') && !value.contains(' '))
        .collect();
    for reference in references.iter().filter(|r| !["text/css", "image/png"].contains(*r)) {
        assert!(reference.starts_with('/') && !reference.starts_with("//"), "{reference} leaves the origin");
        assert_eq!(app.client.get(reference).await.status, 200, "{reference}");
    }
    for path in ["/docs", "/docs/init.js"] {
        let text = app.client.get(path).await.text();
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("\"//"), "{path}: {text}");
    }
    let initializer = app.client.get("/docs/init.js").await.text();
    assert!(initializer.contains("url: \"/openapi.json\""), "{initializer}");
    assert!(initializer.contains("validatorUrl: null"), "the validator is elsewhere");
}

#[tokio::test]
async fn every_asset_has_its_type_a_strict_policy_and_an_etag() {
    let app = TestApp::start().await;
    for (path, media_type) in ASSETS {
        let answer = app.client.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let policy = answer.header("content-security-policy").unwrap();
        let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
        for wanted in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&wanted), "{wanted} in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    }
}

#[tokio::test]
async fn large_assets_are_packed_for_those_who_take_it_and_plain_for_others() {
    let app = TestApp::start().await;
    for (path, _) in &ASSETS[2..] {
        let packed = packed(&app, path).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("vary"), Some("accept-encoding"));
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        for refusal in [None, Some("identity"), Some("gzip;q=0"), Some("br")] {
            let headers: Vec<(&str, &str)> = refusal.map(|value| ("accept-encoding", value)).into_iter().collect();
            let plain = app.client.call("GET", path, &headers, "").await;
            assert_eq!(plain.header("content-encoding"), None, "{path} {refusal:?}");
            assert_eq!(plain.body, unpacked);
        }
    }
    let bundle = packed(&app, "/docs/swagger-ui-bundle.js").await;
    assert!(bundle.body.len() < 500_000, "{}", bundle.body.len());
}

#[tokio::test]
async fn a_browser_that_has_an_asset_already_gets_304_and_no_body() {
    let app = TestApp::start().await;
    for (path, _) in ASSETS {
        let etag = packed(&app, path).await.header("etag").unwrap().to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
        let again = app.client.call("GET", path, &[("if-none-match", &etag), ("accept-encoding", "gzip")], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
        let stale = app.client.call("GET", path, &[("if-none-match", "\"stale\"")], "").await;
        assert_eq!(stale.status, 200, "{path}");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let app = TestApp::start().await;
    for (path, media_type) in ASSETS {
        let (get, head) = (app.client.get(path).await, app.client.call("HEAD", path, &[], "").await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-type"), Some(media_type));
        assert_eq!(head.header("etag"), get.header("etag"));
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
}
