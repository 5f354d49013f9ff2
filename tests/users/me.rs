use futures_util::future::{join, join_all};
use ring::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use serde_json::{Value, json};

use crate::support::{
    Client, Environment, SECRET, TestApp,
    token::{self, hmac_signed, now, unsigned, with_claims},
    wait::eventually,
};

#[tokio::test]
async fn a_token_names_its_user() {
    let app = TestApp::start().await;
    app.client.register("first@b.com", "secret123").await;
    let body = json!({ "email": "a@b.com", "password": "secret123", "full_name": "Alice" });
    app.client.post_json("/auth/register", &body).await;
    let token = app.log_in("a@b.com", "secret123").await;
    let answer = app.client.me(&token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({ "id": 2, "email": "a@b.com", "full_name": "Alice" }));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_request_without_a_bearer_token_is_not_authenticated() {
    let app = TestApp::start().await;
    app.client.get("/users/me").await.assert_problem(401, "Not authenticated");
    for value in ["Basic YUBiLmNvbTpzZWNyZXQxMjM=", "Bearer", "Token abc", "", "\u{e9}"] {
        let answer = app.client.call("GET", "/users/me", &[("authorization", value)], "").await;
        answer.assert_problem(401, "Not authenticated");
    }
}

#[tokio::test]
async fn the_scheme_is_bearer_in_any_case() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {token}");
        assert_eq!(app.client.call("GET", "/users/me", &[("authorization", &value)], "").await.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_invalid() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    let (start, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = start.split_once('.').unwrap();
    let garbled = if signature.starts_with('A') { "B" } else { "A" };
    for bad in [
        "x",
        "..",
        "a.b",
        "a.b.c.d",
        start,
        &format!("{start}."),
        &format!("{header}..{signature}"),
        &format!(".{payload}.{signature}"),
        &format!("{start}.{garbled}{}", &signature[1..]),
        &format!("{token}="),
        &format!("{token}.{token}"),
        &token.to_uppercase(),
        &"x".repeat(8000),
        &hmac_signed(HMAC_SHA256, &json!([]), &json!({ "sub": "1", "exp": now() + 60 }), SECRET.as_bytes()),
        &hmac_signed(HMAC_SHA256, &json!({ "alg": "HS256" }), &json!("1"), SECRET.as_bytes()),
    ] {
        app.client.me(bad).await.assert_problem(401, "Invalid token");
    }
}

#[tokio::test]
async fn a_changed_payload_breaks_the_signature() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.client.register("c@d.com", "secret123").await;
    let parts: Vec<&str> = token.split('.').collect();
    let (_, mut claims) = token::read(&token);
    claims["sub"] = json!("2");
    let forged = format!("{}.{}.{}", parts[0], token::encode(claims.to_string().as_bytes()), parts[2]);
    app.client.me(&forged).await.assert_problem(401, "Invalid token");
}

#[tokio::test]
async fn a_token_cannot_choose_its_algorithm() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let claims = json!({ "sub": "1", "iat": now(), "exp": now() + 600 });
    let secret = SECRET.as_bytes();
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let input = unsigned(&json!({ "alg": name, "typ": "JWT" }), &claims);
        for token in
            [format!("{input}."), input.clone(), hmac_signed(HMAC_SHA256, &json!({ "alg": name }), &claims, secret)]
        {
            app.client.me(&token).await.assert_problem(401, "Invalid token");
        }
    }
    for (algorithm, name) in [
        (HMAC_SHA384, "HS384"),
        (HMAC_SHA512, "HS512"),
        (HMAC_SHA256, "HS384"),
        (HMAC_SHA512, "HS256"),
        (HMAC_SHA256, "RS256"),
        (HMAC_SHA256, "ES256"),
        (HMAC_SHA256, "EdDSA"),
        (HMAC_SHA256, "hs256"),
    ] {
        let token = hmac_signed(algorithm, &json!({ "alg": name, "typ": "JWT" }), &claims, secret);
        app.client.me(&token).await.assert_problem(401, "Invalid token");
    }
    let header = json!({ "typ": "JWT" });
    app.client.me(&hmac_signed(HMAC_SHA256, &header, &claims, secret)).await.assert_problem(401, "Invalid token");
    assert_eq!(app.client.me(&with_claims(&claims)).await.status, 200, "the same claims, honestly signed");
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_not_believed() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let claims = json!({ "sub": "1", "exp": now() + 600 });
    let key = b"the-attacker's-own-key-0123456789";
    for header in [
        json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": token::encode(key) } }),
        json!({ "alg": "HS256", "jku": "http://127.0.0.1:1/jwks.json" }),
        json!({ "alg": "HS256", "kid": "../../dev/null" }),
        json!({ "alg": "HS256", "x5u": "http://127.0.0.1:1/", "kid": "' OR 1=1 --" }),
    ] {
        let token = hmac_signed(HMAC_SHA256, &header, &claims, key);
        app.client.me(&token).await.assert_problem(401, "Invalid token");
    }
}

#[tokio::test]
async fn a_token_of_another_secret_is_invalid() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let claims = json!({ "sub": "1", "exp": now() + 600 });
    for secret in ["another-secret-of-proper-length-0123456789", "", "change-me-in-prod"] {
        let token = hmac_signed(HMAC_SHA256, &json!({ "alg": "HS256" }), &claims, secret.as_bytes());
        app.client.me(&token).await.assert_problem(401, "Invalid token");
    }
}

#[tokio::test]
async fn an_expired_a_premature_and_an_endless_token_are_invalid() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    for claims in [
        json!({ "sub": "1", "exp": now() - 1 }),
        json!({ "sub": "1", "exp": now() }),
        json!({ "sub": "1", "exp": 0 }),
        json!({ "sub": "1", "exp": -1 }),
        json!({ "sub": "1", "exp": now() + 600, "nbf": now() + 300 }),
        json!({ "sub": "1" }),
        json!({ "sub": "1", "exp": null }),
        json!({ "sub": "1", "exp": "soon" }),
        json!({ "sub": "1", "exp": (now() + 600).to_string() }),
    ] {
        app.client.me(&with_claims(&claims)).await.assert_problem(401, "Invalid token");
    }
    let sound = json!({ "sub": "1", "exp": now() + 600, "nbf": now() - 1, "iss": "y", "jti": "z" });
    assert_eq!(app.client.me(&with_claims(&sound)).await.status, 200);
}

#[tokio::test]
async fn a_token_meant_for_another_audience_is_invalid() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let claims = json!({ "sub": "1", "exp": now() + 600, "aud": "another-service" });
    app.client.me(&with_claims(&claims)).await.assert_problem(401, "Invalid token");
}

#[tokio::test]
async fn a_subject_that_is_no_users_number_is_invalid() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    for sub in [
        json!("a@b.com"),
        json!(""),
        json!("1.0"),
        json!("1e0"),
        json!("0x1"),
        json!("99999999999999999999"),
        json!("2147483648"),
        json!("1; DROP TABLE users"),
        json!("1\u{0}"),
        json!(1.5),
        json!(null),
        json!([1]),
        json!({ "id": 1 }),
        json!(true),
    ] {
        let claims = json!({ "sub": sub, "exp": now() + 600 });
        app.client.me(&with_claims(&claims)).await.assert_problem(401, "Invalid token");
    }
    app.client.me(&with_claims(&json!({ "exp": now() + 600 }))).await.assert_problem(401, "Invalid token");
}

#[tokio::test]
async fn the_token_of_a_user_who_does_not_exist_finds_nobody() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.database.execute("DELETE FROM users").await;
    app.client.me(&token).await.assert_problem(401, "User not found");
    for sub in ["0", "-1", "2147483647"] {
        let token = with_claims(&json!({ "sub": sub, "exp": now() + 600 }));
        app.client.me(&token).await.assert_problem(401, "User not found");
    }
}

#[tokio::test]
async fn the_token_of_a_disabled_user_is_invalid_until_he_is_enabled_again() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    app.database.execute("UPDATE users SET disabled_at = now()").await;
    app.client.me(&token).await.assert_problem(401, "Invalid token");
    app.database.execute("UPDATE users SET disabled_at = NULL").await;
    assert_eq!(app.client.me(&token).await.status, 200);
}

#[tokio::test]
async fn a_revoked_token_is_invalid_and_a_new_one_is_not() {
    let app = TestApp::start().await;
    let old = app.token_of("a@b.com", "secret123").await;
    app.database.execute("UPDATE users SET token_version = token_version + 1").await;
    app.client.me(&old).await.assert_problem(401, "Invalid token");
    let new = app.log_in("a@b.com", "secret123").await;
    assert_eq!(app.client.me(&new).await.status, 200);
    assert_eq!(token::read(&new).1["ver"], 1);
    for version in [json!(0), json!(2), json!(-1), json!("1"), json!(1e10), Value::Null] {
        let claims = json!({ "sub": "1", "exp": now() + 600, "ver": version });
        app.client.me(&with_claims(&claims)).await.assert_problem(401, "Invalid token");
    }
}

#[tokio::test]
async fn a_token_of_the_reference_service_is_valid() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let answer = app.client.me(&token::of_the_reference_service(1)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["email"], "a@b.com");
}

#[tokio::test]
async fn one_request_costs_one_statement_and_an_invalid_token_none() {
    let (app, wire) = TestApp::start_on_wire(|e| e.with("DB_LOOKUP_CONNECTIONS", "2")).await;
    let token = app.token_of("a@b.com", "secret123").await;
    // The first on each connection also prepares the statement.
    for _ in 0..2 {
        app.client.me(&token).await;
    }
    for _ in 0..3 {
        wire.listen_anew();
        assert_eq!(app.client.me(&token).await.status, 200);
        assert_eq!(wire.statements(), ["users.sessions"]);
    }
    wire.listen_anew();
    app.client.me("x.y.z").await.assert_problem(401, "Invalid token");
    app.client.me(&with_claims(&json!({ "sub": "1", "exp": 1 }))).await.assert_problem(401, "Invalid token");
    app.client.get("/users/me").await.assert_problem(401, "Not authenticated");
    assert!(wire.statements().is_empty(), "{:?}", wire.statements());
}

#[tokio::test]
async fn concurrent_requests_share_statements_and_everybody_gets_his_own_answer() {
    let one_connection = |e: Environment| e.with("DB_LOOKUP_CONNECTIONS", "1").with("DB_STATEMENT_TIMEOUT", "60");
    let (app, wire) = TestApp::start_on_wire(|e| one_connection(e).with("ADMIN_ADDR", "127.0.0.1:0")).await;
    let mut tokens = Vec::new();
    for number in 0..5 {
        tokens.push(app.token_of(&format!("u{number}@b.com"), "secret123").await);
    }
    tokens.push(token::of_the_reference_service(4711));
    // The first on a connection also prepares the statement.
    app.client.me(&tokens[0]).await;
    wire.listen_anew();
    let holder = app.database.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let asked: Vec<usize> = (0..120).map(|i| i % tokens.len()).collect();
    let all_are_here = async {
        let metrics = Client::of_another_service(app.admin.unwrap());
        let open = async || {
            let page = metrics.get("/metrics").await.text();
            let line = page.lines().find_map(|line| line.strip_prefix("mini_api_connections "));
            line.unwrap_or_else(|| panic!("{page}")).parse::<usize>().unwrap()
        };
        eventually("each request has come", async || open().await >= asked.len()).await;
        holder.batch_execute("ROLLBACK").await.unwrap();
    };
    let answers = join_all(asked.iter().map(|i| app.client.me(&tokens[*i])));
    let (answers, ()) = join(answers, all_are_here).await;
    for (i, answer) in asked.iter().zip(&answers) {
        if *i == 5 {
            answer.assert_problem(401, "User not found");
        } else {
            assert_eq!(answer.json()["email"], format!("u{i}@b.com"));
        }
    }
    let statements = wire.statements();
    assert!(statements.iter().all(|name| name == "users.sessions"), "{statements:?}");
    assert!(statements.len() <= 12, "{} statements for {} requests", statements.len(), asked.len());
}
