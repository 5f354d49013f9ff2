use crate::support::{Environment, run};

#[tokio::test]
async fn all_bad_settings_are_reported_together_one_a_line_with_78_and_no_secret() {
    let environment = Environment::new("mysql://u:hunter2-db@h/d")
        .with("JWT_SECRET", "hunter2-jwt")
        .with("JWT_EXPIRE_MIN", "soon")
        .with("JWT_PREVIOUS_SECRETS", "hunter2-old")
        .with("LISTEN_ADDR", "here")
        .with("TRUSTED_PROXIES", "10.0.0.0/99")
        .with("CORS_ALLOW_ORIGINS", "not an origin")
        .with("LOGIN_LIMIT_ACCOUNT", "many")
        .with("MAX_BODY_BYTES", "1")
        .with("REHASH_LEGACY", "perhaps")
        .with("LOG_FORMAT", "xml")
        .with("TLS_CERT_FILE", "/nowhere/hunter2-path.pem");
    let refused = run(&environment, &["serve"]).await;
    refused.assert_code(78);
    assert_eq!(refused.out, "");
    assert!(!refused.err.contains("hunter2"), "{}", refused.err);
    let wanted = [
        "DATABASE_URL",
        "JWT_SECRET",
        "JWT_EXPIRE_MIN",
        "JWT_PREVIOUS_SECRETS",
        "LISTEN_ADDR",
        "TRUSTED_PROXIES",
        "CORS_ALLOW_ORIGINS",
        "LOGIN_LIMIT_ACCOUNT",
        "MAX_BODY_BYTES",
        "REHASH_LEGACY",
        "LOG_FORMAT",
        "TLS_KEY_FILE",
    ];
    let err = refused.err.strip_prefix("mini-api: ").unwrap();
    for name in wanted {
        let lines: Vec<&str> = err.lines().filter(|line| line.starts_with(&format!("{name}: "))).collect();
        assert_eq!(lines.len(), 1, "{name} in {err}");
        assert!(lines[0].contains("; "), "what is wrong, and how to mend it: {}", lines[0]);
    }
    assert_eq!(err.lines().count(), wanted.len(), "{err}");
}

#[tokio::test]
async fn without_any_setting_the_service_says_what_it_cannot_do_without() {
    let nothing = Environment::new("").without("DATABASE_URL").without("JWT_SECRET").without("LISTEN_ADDR");
    let refused = run(&nothing, &[]).await;
    refused.assert_code(78);
    for name in ["DB_PASSWORD", "JWT_SECRET"] {
        assert!(refused.err.contains(name), "{}", refused.err);
    }
}

#[tokio::test]
async fn placeholders_and_short_secrets_are_refused_without_being_repeated() {
    for secret in [
        "change-me",
        "change-me-in-prod",
        "CHANGE-ME-0123456789-0123456789-0123456789",
        "too-short-a-secret",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let refused =
            run(&Environment::new("postgresql://u:p@127.0.0.1:1/d").with("JWT_SECRET", secret), &["serve"]).await;
        assert!(refused.assert_code(78).err.starts_with("mini-api: JWT_SECRET: "), "{}", refused.err);
        assert!(!refused.err.contains(secret), "{}", refused.err);
    }
}

#[tokio::test]
async fn a_secrets_file_that_cannot_be_read_is_never_passed_over() {
    let environment = Environment::new("postgresql://u:p@127.0.0.1:1/d").with("JWT_SECRET_FILE", "/nowhere/jwt");
    let refused = run(&environment, &["serve"]).await;
    assert!(refused.assert_code(78).err.starts_with("mini-api: JWT_SECRET_FILE: "), "{}", refused.err);
}

#[tokio::test]
async fn commands_that_need_no_token_secret_do_not_ask_for_one() {
    let environment =
        Environment::new("postgresql://u:p@127.0.0.1:1/d").without("JWT_SECRET").with("DB_CONNECT_TIMEOUT", "1");
    for words in [&["migrate"][..], &["user", "show", "a@b.com"]] {
        run(&environment, words).await.assert_code(69);
    }
}
