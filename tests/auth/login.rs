use futures_util::future::join_all;
use mini_api::auth::password::Cost;
use serde_json::json;

use crate::support::{Database, TestApp, token};

#[tokio::test]
async fn good_credentials_are_exchanged_for_a_token() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let answer = app.client.login("a@b.com", "secret123").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["token_type"], "bearer");
    assert_eq!(answer.json()["expires_in"], 3600);
    assert_eq!(answer.json().as_object().unwrap().len(), 3);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_token_has_the_claims_of_the_reference_service_and_no_others() {
    let app = TestApp::start_with(|e| e.with("JWT_EXPIRE_MIN", "5")).await;
    app.client.register("a@b.com", "secret123").await;
    let before = token::now();
    let answer = app.client.login("a@b.com", "secret123").await.json();
    let (header, claims) = token::read(answer["access_token"].as_str().unwrap());
    assert_eq!(header, json!({ "typ": "JWT", "alg": "HS256" }));
    let issued = claims["iat"].as_i64().unwrap();
    assert!((before..=token::now()).contains(&issued));
    assert_eq!(claims, json!({ "sub": "1", "iat": issued, "exp": issued + 300 }));
    assert_eq!(answer["expires_in"], 300);
}

#[tokio::test]
async fn an_address_logs_in_however_its_case_is_written() {
    let app = TestApp::start().await;
    app.client.register("Alice@Example.org", "secret123").await;
    for spelling in ["alice@example.org", "ALICE@EXAMPLE.ORG", " Alice@Example.org "] {
        assert_eq!(app.client.login(spelling, "secret123").await.status, 200, "{spelling}");
    }
}

#[tokio::test]
async fn a_wrong_password_an_unknown_address_and_a_disabled_user_are_answered_alike() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.client.register("disabled@b.com", "secret123").await;
    app.database.execute("UPDATE users SET disabled_at = now() WHERE email = 'disabled@b.com'").await;
    let mut seen = Vec::new();
    for (email, password) in [("a@b.com", "secret124"), ("nobody@b.com", "secret123"), ("disabled@b.com", "secret123")]
    {
        let answer = app.client.login(email, password).await;
        answer.assert_problem(401, "Invalid credentials");
        let mut document = answer.json();
        document["request_id"].take();
        let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        seen.push((document, headers));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[tokio::test]
async fn an_oauth_2_password_form_logs_in() {
    let app = TestApp::start().await;
    app.client.register("a+b@c.com", "secret 123&=ü").await;
    let password = "password=secret+123%26%3D%C3%BC";
    for form in [
        format!("grant_type=password&username=a%2Bb%40c.com&{password}"),
        format!("username=a%2Bb@c.com&{password}&scope=&client_id=x&client_secret=y"),
        format!("{password}&grant_type=&username=A%2BB@C.com"),
    ] {
        let answer = app.client.post_form("/auth/login", &form).await;
        assert_eq!(answer.status, 200, "{form}: {}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(app.client.me(&token).await.json()["email"], "a+b@c.com");
    }
}

#[tokio::test]
async fn a_form_that_is_wrong_is_refused_field_by_field() {
    let app = TestApp::start().await;
    let post = |form: &'static str| app.client.post_form("/auth/login", form);
    post("").await.assert_invalid(&[("username", "missing"), ("password", "missing")]);
    post("email=a%40b.com&password=x").await.assert_invalid(&[("username", "missing")]);
    post("username=nobody&password=x").await.assert_invalid(&[("username", "value_error")]);
    post("username=a%40b.com%00&password=x").await.assert_invalid(&[("username", "value_error")]);
    post("username=a%40b.com&password=x&password=y").await.assert_invalid(&[("", "form_invalid")]);
    post("username=a%40b.com&password=%ff").await.assert_invalid(&[("", "form_invalid")]);
    post("username=a%40b.com&password=secret123").await.assert_problem(401, "Invalid credentials");
}

#[tokio::test]
async fn every_wrong_field_of_a_login_is_named_at_once() {
    let app = TestApp::start().await;
    let post = |body: serde_json::Value| async move { body };
    let bodies = [
        (json!({}), vec![("email", "missing"), ("password", "missing")]),
        (json!({ "email": null, "password": 1 }), vec![("email", "string_type"), ("password", "string_type")]),
        (json!({ "email": "nobody", "password": "x" }), vec![("email", "value_error")]),
        (json!({ "email": "a\u{0}@b.com", "password": "x" }), vec![("email", "value_error")]),
        (json!({ "username": "a@b.com", "password": "x" }), vec![("email", "missing")]),
    ];
    for (body, wanted) in bodies {
        let body = post(body).await;
        app.client.post_json("/auth/login", &body).await.assert_invalid(&wanted);
    }
    app.client.post_raw("/auth/login", "{").await.assert_invalid(&[("", "json_invalid")]);
    app.client.post_raw("/auth/login", "[]").await.assert_invalid(&[("", "object_type")]);
    let twice = r#"{"email":"a@b.com","password":"x","password":"y"}"#;
    app.client.post_raw("/auth/login", twice).await.assert_invalid(&[("", "object_type")]);
    app.client.post_raw("/auth/login", &b"{\"email\":\"a@b.com\",\"password\":\"\xc3\"}"[..]).await.assert_refusal(422);
}

#[tokio::test]
async fn no_rule_for_passwords_applies_to_a_login() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    for password in ["", "x", "secret\u{0}123", &"y".repeat(60_000)] {
        app.client.login("a@b.com", password).await.assert_problem(401, "Invalid credentials");
    }
}

#[tokio::test]
async fn a_login_with_a_password_of_10_megabytes_is_refused_and_the_service_goes_on() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.client.login("a@b.com", &"x".repeat(10 << 20)).await.assert_problem(413, "The body is larger than 65536 bytes");
    let form = format!("username=a%40b.com&password={}", "x".repeat(70_000));
    app.client.post_form("/auth/login", &form).await.assert_refusal(413);
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn a_login_of_another_media_type_is_refused() {
    let app = TestApp::start().await;
    for media_type in ["text/plain", "application/xml", "multipart/form-data; boundary=x"] {
        let answer = app.client.call("POST", "/auth/login", &[("content-type", media_type)], "{}").await;
        answer.assert_problem(415, "Send the body as application/json or application/x-www-form-urlencoded");
    }
    app.client.call("POST", "/auth/login", &[], "{}").await.assert_refusal(415);
}

#[tokio::test]
async fn a_login_that_finds_all_hashers_busy_is_told_to_come_back() {
    let database = Database::create().await;
    let dear = Cost::new(15, 8, 2).unwrap();
    let app = TestApp::listen_on(database, dear, |e| e.with("HASH_SLOTS", "1").with("HASH_QUEUE", "1")).await.unwrap();
    app.become_ready().await.unwrap();
    let emails: Vec<String> = (0..10).map(|number| format!("u{number}@b.com")).collect();
    let answers = join_all(emails.iter().map(|email| app.client.login(email, "secret123"))).await;
    let busy = "All password hashers are busy; wait as long as Retry-After says";
    for answer in &answers {
        match answer.status {
            401 => answer.assert_problem(401, "Invalid credentials"),
            _ => answer.assert_problem(503, busy),
        }
    }
    assert!(answers.iter().any(|answer| answer.status == 503));
    assert!(answers.iter().any(|answer| answer.status == 401));
}

#[tokio::test]
async fn a_stored_hash_that_is_none_is_a_wrong_password_to_the_client() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    for hash in ["", "plain", "$scrypt$ln=60,r=8,p=1$AAAA$AAAA", "$2b$31$short", "$argon2id$v=19$m=1,t=1,p=1$AA$AA"] {
        app.database.execute(&format!("UPDATE users SET password_hash = '{hash}'")).await;
        app.client.login("a@b.com", "secret123").await.assert_problem(401, "Invalid credentials");
    }
}
