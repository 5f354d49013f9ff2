use serde_json::{Value, json};

use crate::support::{Environment, TestApp, assert_golden, run, run_with_input};

// Dates that a golden file can have.
const DATES: &str = "UPDATE users SET created_at = '2026-01-02T03:04:05.678Z'";

async fn with_alice() -> (TestApp, Environment) {
    let app = TestApp::start().await;
    let body = json!({ "email": "Alice@example.org", "password": "secret123", "full_name": "Alice Ünï" });
    app.client.post_json("/auth/register", &body).await;
    app.database.execute(DATES).await;
    // No command on users needs the secret of tokens.
    let environment = app.environment().without("JWT_SECRET");
    (app, environment)
}

#[tokio::test]
async fn a_user_is_shown_as_a_table_for_people() {
    let (app, environment) = with_alice().await;
    let shown = run(&environment, &["user", "show", "alice@EXAMPLE.org"]).await;
    assert_golden("operator/user-show.txt", &shown.assert_code(0).out);
    assert_eq!(shown.err, "");
    app.database
        .execute("UPDATE users SET disabled_at = '2026-02-03T04:05:06Z', token_version = 2, full_name = NULL, created_at = NULL")
        .await;
    let shown = run(&environment, &["user", "show", "alice@example.org"]).await;
    assert_golden("operator/user-show-disabled.txt", &shown.assert_code(0).out);
}

#[tokio::test]
async fn a_user_is_shown_as_json_for_programs() {
    let (_app, environment) = with_alice().await;
    for words in [["user", "show", "alice@example.org", "--json"], ["user", "--json", "show", "alice@example.org"]] {
        let shown = run(&environment, &words).await;
        let document: Value = serde_json::from_str(&shown.assert_code(0).out).unwrap();
        assert_eq!(
            document,
            json!({
                "id": 1, "email": "Alice@example.org", "full_name": "Alice Ünï", "token_version": 0,
                "created_at": "2026-01-02T03:04:05.678Z", "disabled_at": null, "hash_scheme": "scrypt",
            })
        );
    }
}

#[tokio::test]
async fn a_name_cannot_steer_the_operators_terminal() {
    let (app, environment) = with_alice().await;
    app.database.execute("UPDATE users SET full_name = E'\\x1b[2J\\nstate           active\\u202e'").await;
    let shown = run(&environment, &["user", "show", "alice@example.org"]).await;
    assert!(!shown.assert_code(0).out.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    assert_eq!(shown.out.lines().count(), 7, "{shown:?}");
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_back_when_enabled() {
    let (app, environment) = with_alice().await;
    let token = app.log_in("alice@example.org", "secret123").await;
    let disabled = run(&environment, &["user", "disable", "alice@example.org"]).await;
    assert!(disabled.assert_code(0).out.contains("disabled since 20"), "{disabled:?}");
    app.client.me(&token).await.assert_problem(401, "Invalid token");
    app.client.login("alice@example.org", "secret123").await.assert_problem(401, "Invalid credentials");
    let since = app.database.value("SELECT disabled_at FROM users").await;
    run(&environment, &["user", "disable", "alice@example.org"]).await.assert_code(0);
    assert_eq!(app.database.value("SELECT disabled_at FROM users").await, since, "the first time is kept");
    let enabled = run(&environment, &["user", "enable", "alice@example.org"]).await;
    assert!(enabled.assert_code(0).out.contains("active"), "{enabled:?}");
    assert_eq!(app.client.me(&token).await.status, 200);
    assert_eq!(app.client.login("alice@example.org", "secret123").await.status, 200);
}

#[tokio::test]
async fn revoke_ends_all_tokens_at_once_and_new_logins_work() {
    let (app, environment) = with_alice().await;
    app.client.register("other@b.com", "secret123").await;
    let other = app.log_in("other@b.com", "secret123").await;
    let mut tokens = vec![crate::support::token::of_the_reference_service(1)];
    for _ in 0..3 {
        tokens.push(app.log_in("alice@example.org", "secret123").await);
    }
    let revoked = run(&environment, &["user", "revoke", "alice@example.org"]).await;
    assert!(revoked.assert_code(0).out.contains("tokens revoked  once"), "{revoked:?}");
    for token in &tokens {
        app.client.me(token).await.assert_problem(401, "Invalid token");
    }
    assert_eq!(app.client.me(&other).await.status, 200, "nobody else is concerned");
    let new = app.log_in("alice@example.org", "secret123").await;
    assert_eq!(app.client.me(&new).await.status, 200);
    run(&environment, &["user", "revoke", "alice@example.org"]).await.assert_code(0);
    app.client.me(&new).await.assert_problem(401, "Invalid token");
}

#[tokio::test]
async fn a_new_password_is_read_from_standard_input_and_ends_all_tokens() {
    let (app, environment) = with_alice().await;
    let token = app.log_in("alice@example.org", "secret123").await;
    let words = ["user", "set-password", "alice@example.org"];
    let set = run_with_input(&environment, &words, "a new pässword\n").await;
    set.assert_code(0);
    assert!(!format!("{set:?}").contains("pässword"));
    app.client.me(&token).await.assert_problem(401, "Invalid token");
    app.client.login("alice@example.org", "secret123").await.assert_problem(401, "Invalid credentials");
    let token = app.log_in("alice@example.org", "a new pässword").await;
    assert_eq!(app.client.me(&token).await.status, 200);
    let hash = app.database.value("SELECT password_hash FROM users").await;
    let after_login = app.database.value("SELECT split_part(password_hash, '$', 2) FROM users").await;
    assert_eq!(after_login, "scrypt", "{hash}");
}

#[tokio::test]
async fn the_line_end_of_a_new_password_is_no_part_of_it_and_everything_else_is() {
    let (app, environment) = with_alice().await;
    let words = ["user", "set-password", "alice@example.org"];
    for (input, password) in
        [("  spaces  \r\n", "  spaces  "), ("no line end", "no line end"), ("two lines\n\n", "two lines\n")]
    {
        run_with_input(&environment, &words, input).await.assert_code(0);
        assert_eq!(app.client.login("alice@example.org", password).await.status, 200, "{input:?}");
    }
}

#[tokio::test]
async fn a_new_password_that_could_not_be_registered_is_refused_with_65() {
    let (app, environment) = with_alice().await;
    let words = ["user", "set-password", "alice@example.org"];
    let cases = [
        ("short\n".to_owned(), "a password has at least 8 characters"),
        (String::new(), "a password has at least 8 characters"),
        ("x".repeat(257), "a password has at most 256 characters"),
        ("x".repeat(100_000), "a password has at most 256 characters"),
    ];
    for (input, sentence) in cases {
        let refused = run_with_input(&environment, &words, &input).await;
        assert_eq!(refused.assert_code(65).err, format!("mini-api: {sentence}\n"));
    }
    assert_eq!(app.client.login("alice@example.org", "secret123").await.status, 200, "the old one still counts");
}

#[tokio::test]
async fn an_unknown_user_is_67_for_every_command() {
    let (_app, environment) = with_alice().await;
    for verb in ["show", "disable", "enable", "revoke", "set-password"] {
        let refused = run_with_input(&environment, &["user", verb, "nobody@b.com"], "secret123").await;
        assert_eq!(refused.assert_code(67).err, "mini-api: no user has the address nobody@b.com\n");
        assert_eq!(refused.out, "");
    }
}

#[tokio::test]
async fn what_is_no_address_is_64() {
    let (_app, environment) = with_alice().await;
    let refused = run(&environment, &["user", "show", "alice"]).await;
    assert_eq!(refused.assert_code(64).err, "mini-api: alice: an e-mail address has an @ between name and domain\n");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_69() {
    let environment = Environment::new("postgresql://nobody@127.0.0.1:1/none").with("DB_CONNECT_TIMEOUT", "1");
    for words in [&["user", "show", "a@b.com"][..], &["migrate"]] {
        let refused = run(&environment, words).await;
        refused.assert_code(69);
        assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
    }
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_78_and_says_what_to_do() {
    let database = crate::support::Database::create().await;
    let refused = run(&Environment::new(&database.url), &["user", "show", "a@b.com"]).await;
    let sentence = "the schema lacks migrations of this release: run mini-api migrate first";
    assert_eq!(refused.assert_code(78).err, format!("mini-api: {sentence}\n"));
}

#[tokio::test]
async fn each_command_that_changes_a_user_leaves_one_line_for_the_record() {
    let (_app, environment) = with_alice().await;
    for (verb, event) in [
        ("disable", "user.disabled"),
        ("enable", "user.enabled"),
        ("revoke", "user.revoked"),
        ("set-password", "user.password.set"),
    ] {
        let done = run_with_input(&environment, &["user", verb, "alice@example.org"], "another-password\n").await;
        let line: Value = serde_json::from_str(&done.assert_code(0).err).unwrap_or_else(|e| panic!("{e}: {done:?}"));
        assert_eq!(line["event"], event);
        assert_eq!(line["account"].as_str().map(str::len), Some(32), "a pseudonym: {line}");
    }
}
