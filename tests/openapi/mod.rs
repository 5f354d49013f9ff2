//! `/openapi.json`: complete, stable, and the same as `mini-api openapi`.

use serde_json::Value;

use crate::support::{Environment, TestApp, assert_golden, client::description, run};

fn operations() -> impl Iterator<Item = (String, &'static Value)> {
    description()["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[test]
fn the_description_is_the_one_that_clients_were_made_from() {
    assert_golden("openapi.json", &mini_api::http::description());
}

#[tokio::test]
async fn the_service_and_the_command_print_the_same_description() {
    let app = TestApp::start().await;
    let answer = app.client.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let printed = run(&Environment::new("").without("DATABASE_URL").without("JWT_SECRET"), &["openapi"]).await;
    assert_eq!(printed.assert_code(0).out, answer.text());
    assert_eq!(printed.err, "");
}

#[test]
fn every_route_of_the_api_is_described() {
    let described: Vec<String> = operations().map(|(name, _)| name).collect();
    let wanted = [
        "post /auth/register",
        "post /auth/login",
        "get /users/me",
        "get /health",
        "get /livez",
        "get /readyz",
        "get /.well-known/jwks.json",
    ];
    assert_eq!(described.len(), wanted.len(), "{described:?}");
    assert!(wanted.iter().all(|name| described.iter().any(|d| d == name)), "{described:?}");
}

#[test]
fn every_operation_has_an_id_a_summary_a_description_and_a_tag() {
    let mut ids = Vec::new();
    for (name, operation) in operations() {
        for member in ["operationId", "summary", "description"] {
            assert!(operation[member].as_str().is_some_and(|text| !text.is_empty()), "{name}: {member}");
        }
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
        ids.push(operation["operationId"].as_str().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, ["health", "jwks", "livez", "login", "me", "readyz", "register"]);
}

#[test]
fn every_answer_has_a_sentence_a_schema_with_a_name_and_an_example() {
    for (name, operation) in operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let what = format!("{name} {status}");
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
            let content = response["content"].as_object().unwrap();
            assert!(!content.is_empty(), "{what}");
            for (media_type, content) in content {
                assert_named_and_exemplified(&format!("{what} {media_type}"), &content["schema"]);
                let is_problem = media_type == "application/problem+json";
                assert_eq!(is_problem, status.starts_with(['4', '5']), "{what}");
            }
        }
    }
}

#[test]
fn every_body_that_is_sent_has_a_schema_with_a_name_and_an_example() {
    for (name, operation) in operations() {
        let bodies = operation["requestBody"]["content"].as_object();
        assert_eq!(bodies.is_some(), name.starts_with("post"), "{name}");
        for (media_type, content) in bodies.into_iter().flatten() {
            assert_named_and_exemplified(&format!("{name} {media_type}"), &content["schema"]);
        }
    }
}

#[track_caller]
fn assert_named_and_exemplified(what: &str, schema: &Value) {
    let named = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    let name = named.unwrap_or_else(|| panic!("{what}: {schema}")).strip_prefix("#/components/schemas/").unwrap();
    let component = &description()["components"]["schemas"][name];
    assert!(component.is_object(), "{what}: {name}");
    let example = if schema["example"].is_null() { &component["example"] } else { &schema["example"] };
    let example = example.as_object().unwrap_or_else(|| panic!("{what}: {name} has no example"));
    for required in component["required"].as_array().unwrap() {
        assert!(example.contains_key(required.as_str().unwrap()), "{what}: the example lacks {required}");
    }
    for member in example.keys() {
        assert!(component["properties"][member].is_object(), "{what}: the example has {member}");
    }
}

#[test]
fn what_needs_a_token_says_so_and_the_scheme_leads_to_the_login() {
    for (name, operation) in operations() {
        let wanted = if name == "get /users/me" { "OAuth2PasswordBearer" } else { "" };
        let scheme = operation["security"][0].as_object().and_then(|s| s.keys().next().cloned()).unwrap_or_default();
        assert_eq!(scheme, wanted, "{name}");
    }
    let scheme = &description()["components"]["securitySchemes"]["OAuth2PasswordBearer"];
    assert_eq!(scheme["type"], "oauth2");
    assert_eq!(scheme["flows"]["password"]["tokenUrl"], "/auth/login");
    assert!(scheme["flows"]["password"]["scopes"].is_object(), "OpenAPI 3.0 demands the list, even empty");
}

#[test]
fn the_description_names_no_server_so_that_it_fits_wherever_it_is_served_from() {
    assert_eq!(description()["openapi"], "3.0.0");
    assert!(description()["servers"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(description()["info"]["version"], mini_api::VERSION);
}

#[tokio::test]
async fn a_client_that_has_the_description_already_is_told_so() {
    let app = TestApp::start().await;
    let first = app.client.get("/openapi.json").await;
    let etag = first.header("etag").unwrap();
    for value in [etag.to_owned(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let again = app.client.call("GET", "/openapi.json", &[("if-none-match", &value)], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{value}");
        assert_eq!(again.header("etag"), Some(etag));
    }
    let other = app.client.call("GET", "/openapi.json", &[("if-none-match", "\"x\"")], "").await;
    assert_eq!((other.status, other.body), (200, first.body.clone()));
    let head = app.client.call("HEAD", "/openapi.json", &[], "").await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some(etag)));
}
