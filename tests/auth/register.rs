use futures_util::future::join_all;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn a_new_user_is_created_and_shown_without_his_password() {
    let app = TestApp::start().await;
    let answer = app.client.register("a@b.com", "secret123").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json(), json!({ "id": 1, "email": "a@b.com", "full_name": null }));
}

#[tokio::test]
async fn a_full_name_is_kept_as_it_was_typed() {
    let app = TestApp::start().await;
    for (number, name) in ["Alice", "", " Ælfgyfu  中村 🦉 ", &"ü".repeat(255)].into_iter().enumerate() {
        let body = json!({ "email": format!("u{number}@b.com"), "password": "secret123", "full_name": name });
        let answer = app.client.post_json("/auth/register", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.json()["full_name"], name);
    }
}

#[tokio::test]
async fn a_full_name_may_be_null_or_left_out() {
    let app = TestApp::start().await;
    let body = json!({ "email": "a@b.com", "password": "secret123", "full_name": null });
    assert_eq!(app.client.post_json("/auth/register", &body).await.json()["full_name"], json!(null));
    assert_eq!(app.client.register("c@d.com", "secret123").await.json()["full_name"], json!(null));
}

#[tokio::test]
async fn fields_nobody_asked_for_are_ignored() {
    let app = TestApp::start().await;
    let body = json!({ "email": "a@b.com", "password": "secret123", "id": 7, "admin": true, "deep": { "x": [[1]] } });
    let answer = app.client.post_json("/auth/register", &body).await;
    assert_eq!(answer.json(), json!({ "id": 1, "email": "a@b.com", "full_name": null }));
}

#[tokio::test]
async fn a_registered_address_is_taken() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.client.register("a@b.com", "another-password").await.assert_problem(409, "Email already registered");
    let token = app.log_in("a@b.com", "secret123").await;
    assert_eq!(app.client.me(&token).await.status, 200, "the first password still counts");
}

#[tokio::test]
async fn an_address_that_differs_only_in_case_is_taken() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.client.register("A@B.com", "secret123").await.assert_problem(409, "Email already registered");
    app.client.register(" a@b.COM ", "secret123").await.assert_problem(409, "Email already registered");
}

#[tokio::test]
async fn an_address_is_shown_as_its_owner_wrote_its_name_with_its_domain_in_lower_case() {
    let app = TestApp::start().await;
    assert_eq!(app.client.register("Alice.B@Example.ORG", "secret123").await.json()["email"], "Alice.B@example.org");
}

#[tokio::test]
async fn an_internationalised_domain_and_its_punycode_are_one_account() {
    let app = TestApp::start().await;
    let answer = app.client.register("info@bücher.example.org", "secret123").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["email"], "info@bücher.example.org");
    for same in ["info@xn--bcher-kva.example.org", "info@BÜCHER.example.org", "info@bu\u{308}cher.example.org"] {
        app.client.register(same, "secret123").await.assert_problem(409, "Email already registered");
        assert_eq!(app.client.login(same, "secret123").await.status, 200, "{same}");
    }
}

#[tokio::test]
async fn letters_beyond_ascii_may_stand_before_the_at_and_are_normalised() {
    let app = TestApp::start().await;
    assert_eq!(app.client.register("zoë@b.com", "secret123").await.status, 201);
    app.client.register("zoe\u{308}@b.com", "secret123").await.assert_problem(409, "Email already registered");
    assert_eq!(app.client.register("用户@例子.广告", "secret123").await.status, 201);
}

#[tokio::test]
async fn of_concurrent_registrations_of_one_address_exactly_one_succeeds_and_none_is_a_500() {
    let app = TestApp::start().await;
    let spellings = ["race@b.com", "RACE@b.com", "Race@B.com"];
    let attempts = (0..24).map(|i| app.client.register(spellings[i % 3], "secret123"));
    let mut statuses: Vec<u16> = join_all(attempts).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    let mut wanted = vec![409; 23];
    wanted.insert(0, 201);
    assert_eq!(statuses, wanted);
    assert_eq!(app.database.value("SELECT count(*) FROM users").await, "1");
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let app = TestApp::start().await;
    let missing = app.client.post_json("/auth/register", &json!({})).await;
    missing.assert_invalid(&[("email", "missing"), ("password", "missing")]);
    assert_eq!(missing.json()["detail"], "2 fields are not valid; see errors");
    let body = json!({ "email": 1, "password": ["secret123"], "full_name": {} });
    let wrong = app.client.post_json("/auth/register", &body).await;
    wrong.assert_invalid(&[("email", "string_type"), ("password", "string_type"), ("full_name", "string_type")]);
    let body = json!({ "email": "no address", "password": "short", "full_name": "x".repeat(256) });
    let wrong = app.client.post_json("/auth/register", &body).await;
    wrong.assert_invalid(&[("email", "value_error"), ("password", "value_error"), ("full_name", "value_error")]);
    let one = app.client.post_json("/auth/register", &json!({ "email": "a@b.com" })).await;
    one.assert_invalid(&[("password", "missing")]);
    assert_eq!(one.json()["detail"], "password: the field is required");
    assert_eq!(app.database.value("SELECT count(*) FROM users").await, "0");
}

#[tokio::test]
async fn null_is_no_address_and_no_password() {
    let app = TestApp::start().await;
    let answer = app.client.post_json("/auth/register", &json!({ "email": null, "password": null })).await;
    answer.assert_invalid(&[("email", "string_type"), ("password", "string_type")]);
}

#[tokio::test]
async fn a_password_has_8_to_256_characters_not_bytes() {
    let app = TestApp::start().await;
    for (number, (password, status)) in
        [("ü".repeat(7), 422), ("ü".repeat(8), 201), ("中".repeat(256), 201), ("a".repeat(257), 422)]
            .into_iter()
            .enumerate()
    {
        let email = format!("u{number}@b.com");
        assert_eq!(app.client.register(&email, &password).await.status, status, "{number}");
        if status == 201 {
            assert_eq!(app.client.login(&email, &password).await.status, 200);
        }
    }
}

#[tokio::test]
async fn every_character_of_a_long_password_counts() {
    let app = TestApp::start().await;
    let password = "x".repeat(255);
    app.client.register("a@b.com", &format!("{password}1")).await;
    app.client.login("a@b.com", &format!("{password}2")).await.assert_problem(401, "Invalid credentials");
    app.client.login("a@b.com", &password).await.assert_problem(401, "Invalid credentials");
    assert_eq!(app.client.login("a@b.com", &format!("{password}1")).await.status, 200);
}

#[tokio::test]
async fn texts_that_are_no_address_are_refused() {
    let app = TestApp::start().await;
    let long = format!("{}@{}.org", "a".repeat(64), "b.".repeat(95));
    let long_label = format!("a@{}.org", "b".repeat(64));
    for text in [
        "",
        "@",
        "a",
        "a@",
        "@b.com",
        "a@b",
        "a@@b.com",
        "a b@c.com",
        "a@b..com",
        ".a@b.com",
        "a.@b.com",
        "a..b@c.com",
        "a@-b.com",
        "a@b.com.",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "\"a b\"@c.com",
        "Alice <a@b.com>",
        "a@b.com, c@d.com",
        "a(comment)@b.com",
        "a\r\nBcc: x@b.com",
        "a@b.com\u{0}",
        "a\u{0}@b.com",
        "a@xn--a.com",
        "a\u{202e}@b.com",
        &"a".repeat(65),
        &long,
        &long_label,
    ] {
        let answer = app.client.register(text, "secret123").await;
        assert_eq!(answer.status, 422, "{text:?}");
        answer.assert_invalid(&[("email", "value_error")]);
    }
}

#[tokio::test]
async fn a_nul_is_refused_in_every_field() {
    let app = TestApp::start().await;
    let body = json!({ "email": "a\u{0}@b.com", "password": "secret\u{0}123", "full_name": "A\u{0}" });
    let answer = app.client.post_json("/auth/register", &body).await;
    answer.assert_invalid(&[("email", "value_error"), ("password", "value_error"), ("full_name", "value_error")]);
}

#[tokio::test]
async fn bytes_that_are_not_one_json_object_are_refused() {
    let app = TestApp::start().await;
    let good = r#"{"email":"a@b.com","password":"secret123"}"#;
    let broken: [&[u8]; 14] = [
        b"",
        b" ",
        b"{",
        &good.as_bytes()[..good.len() - 1],
        &good.as_bytes()[..20],
        b"{'email': 'a@b.com'}",
        b"{\"email\": \"a@b.com\xff\", \"password\": \"secret123\"}",
        b"{\"email\": \"a@b.com\", \"password\": \"secret\x00123\"}",
        br#"{"email": "\ud800@b.com", "password": "secret123"}"#,
        br#"{"email":"a@b.com","password":"secret123"} {}"#,
        br#"{"email":"a@b.com","password":"secret123",}"#,
        br#"{"email":NaN,"password":"secret123"}"#,
        b"\xef\xbb\xbf{}",
        b"email=a%40b.com&password=secret123",
    ];
    for bytes in broken {
        app.client.post_raw("/auth/register", bytes.to_vec()).await.assert_invalid(&[("", "json_invalid")]);
    }
    for bytes in ["[]", "null", "\"a@b.com\"", "7", "true", "[{\"email\":\"a@b.com\",\"password\":\"secret123\"}]"] {
        app.client.post_raw("/auth/register", bytes).await.assert_invalid(&[("", "object_type")]);
    }
    assert_eq!(app.database.value("SELECT count(*) FROM users").await, "0");
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_refused() {
    let app = TestApp::start().await;
    let body = r#"{"email":"a@b.com","password":"secret123","email":"c@d.com"}"#;
    app.client.post_raw("/auth/register", body).await.assert_invalid(&[("", "object_type")]);
}

#[tokio::test]
async fn deep_nesting_is_refused_before_it_can_exhaust_the_stack() {
    let app = TestApp::start().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 10_000;
        let deep = format!("{{\"email\":{}1{}}}", open.repeat(depth), close.repeat(depth));
        app.client.post_raw("/auth/register", deep).await.assert_invalid(&[("", "json_invalid")]);
    }
}

#[tokio::test]
async fn a_password_of_10_megabytes_is_refused_and_the_service_goes_on() {
    let app = TestApp::start().await;
    let body = json!({ "email": "a@b.com", "password": "x".repeat(10 << 20) });
    let answer = app.client.post_json("/auth/register", &body).await;
    answer.assert_problem(413, "The body is larger than 65536 bytes");
    assert_eq!(app.client.register("a@b.com", "secret123").await.status, 201);
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    let app = TestApp::start().await;
    let body = json!({ "email": "a@b.com", "password": "secret123" }).to_string();
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/jsonp")],
        &[("content-type", "")],
    ] {
        let answer = app.client.call("POST", "/auth/register", headers, body.clone()).await;
        answer.assert_problem(415, "Send the body as application/json");
    }
    for same in ["application/json; charset=utf-8", "Application/JSON"] {
        let answer = app.client.call("POST", "/auth/register", &[("content-type", same)], body.clone()).await;
        assert_ne!(answer.status, 415, "{same}");
    }
}

#[tokio::test]
async fn registrations_from_one_network_are_limited_and_the_refusal_says_how_long_to_wait() {
    let app = TestApp::start_with(|e| e.with("REGISTER_LIMIT_NETWORK", "3/60")).await;
    for number in 0..3 {
        assert_eq!(app.client.register(&format!("u{number}@b.com"), "secret123").await.status, 201);
    }
    let refused = app.client.register("u3@b.com", "secret123").await;
    refused.assert_problem(429, "Too many attempts; wait as long as Retry-After says");
    assert!((50..=60).contains(&refused.retry_after()), "{}", refused.retry_after());
    assert_eq!(app.client.login("u0@b.com", "secret123").await.status, 200, "logins are counted apart");
}

#[tokio::test]
async fn a_stored_password_is_a_scrypt_string_and_nothing_else_keeps_it() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "correct horse battery").await;
    let hash = app.database.value("SELECT password_hash FROM users").await;
    assert!(hash.starts_with("$scrypt$ln="), "{hash}");
    assert!(!app.database.rows("SELECT users::text FROM users").await[0][0].contains("horse"));
}

// A restored table whose sequence lags behind it: the address is free, the number is not.
#[tokio::test]
async fn a_number_that_is_taken_is_our_fault_and_not_a_taken_address() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.database.execute("ALTER SEQUENCE users_id_seq RESTART WITH 1").await;
    let answer = app.client.register("c@d.com", "secret123").await;
    answer.assert_refusal(500);
    assert!(!answer.text().contains("users_pkey"), "nothing internal is shown: {}", answer.text());
    assert!(app.log().contains("users_pkey"), "the cause is in the log: {}", app.log());
    assert_eq!(app.client.register("c@d.com", "secret123").await.status, 201, "the next number is free");
}
