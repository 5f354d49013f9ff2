use super::*;

/// A promise: these settings are refused, under this name, with these words.
macro_rules! refused {
    ($($promise:ident: $surroundings:expr => $name:literal, $words:literal;)*) => {$(
        #[test]
        fn $promise() {
            let line = $surroundings.refusal();
            assert!(line.starts_with(concat!($name, ": ")) && line.contains($words) && line.contains("; "), "{line}");
        }
    )*};
}

fn least() -> Surroundings {
    Surroundings::least()
}

fn jwt(secret: &str) -> Surroundings {
    least().set("JWT_SECRET", secret)
}

fn key(algorithm: &str, content: impl AsRef<[u8]>) -> Surroundings {
    let bare = Surroundings::default().set("DB_PASSWORD", "pw").set("JWT_ALG", algorithm);
    bare.set("JWT_PRIVATE_KEY_FILE", "/k").file("/k", content)
}

fn previous(content: impl AsRef<[u8]>) -> Surroundings {
    least().set("JWT_PREVIOUS_KEYS_FILE", "/k").file("/k", content)
}

fn tls(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Surroundings {
    least().set("TLS_CERT_FILE", "/c").set("TLS_KEY_FILE", "/k").file("/c", cert).file("/k", key)
}

fn ca(mode: &str, content: impl AsRef<[u8]>) -> Surroundings {
    least().set("DB_SSLMODE", mode).set("DB_CA_FILE", "/ca").file("/ca", content)
}

refused! {
    no_database_is_refused_with_what_to_set:
        Surroundings::default().set("JWT_SECRET", SECRET) => "DATABASE_URL", "DB_PASSWORD_FILE";
    a_url_twice_is_refused: url("postgresql://u@h/d").set("DATABASE_URL_FILE", "/f") => "DATABASE_URL", "as well";
    a_password_twice_is_refused: least().set("DB_PASSWORD_FILE", "/f") => "DB_PASSWORD", "as well";
    a_private_key_twice_is_refused:
        key("EdDSA", ed25519().serialize_pem()).set("JWT_PRIVATE_KEY", "x") => "JWT_PRIVATE_KEY", "as well";
    an_unreadable_secret_file_is_refused_although_the_variable_is_good:
        least().set("JWT_SECRET_FILE", "/gone") => "JWT_SECRET_FILE", "cannot be read";
    an_empty_secret_file_is_refused_although_the_variable_is_good:
        least().set("JWT_SECRET_FILE", "/s").file("/s", " \n") => "JWT_SECRET_FILE", "empty";
    another_database_is_refused: url("mysql://u:p@h/d") => "DATABASE_URL", "scheme";
    a_url_without_scheme_is_refused: url("u:p@h/d") => "DATABASE_URL", "not a URL";
    a_url_without_user_is_refused: url("postgresql://h/d") => "DATABASE_URL", "no user";
    a_url_without_host_is_refused: url("postgresql://u:p@/d") => "DATABASE_URL", "no host";
    a_host_with_odd_characters_is_refused: url("postgresql://u:p@h_!/d") => "DATABASE_URL", "host";
    a_port_beyond_65535_is_refused: url("postgresql://u:p@h:65536/d") => "DATABASE_URL", "65535";
    an_open_bracket_is_refused: url("postgresql://u:p@[::1/d") => "DATABASE_URL", "IPv6";
    an_unknown_parameter_is_refused_by_name: url("postgresql://u:p@h/d?pool_sise=3") => "DATABASE_URL", "pool_sise";
    an_unknown_parameter_value_is_refused:
        url("postgresql://u:p@h/d?target_session_attrs=best") => "DATABASE_URL", "read-write";
    a_parameter_without_value_is_refused: url("postgresql://u:p@h/d?sslmode") => "DATABASE_URL", "NAME=VALUE";
    an_at_sign_after_a_question_mark_is_refused: url("postgresql://u:a?b@h/d") => "DATABASE_URL", "%3F";
    a_nul_in_a_password_is_refused: url("postgresql://u:a%00b@h/d") => "DATABASE_URL", "NUL";
    more_ports_than_hosts_are_refused: least().set("DB_PORT", "1,2") => "DB_PORT", "as many ports";
    a_port_that_is_a_word_is_refused: least().set("DB_PORT", "five") => "DB_PORT", "five";
    an_unknown_sslmode_is_refused: least().set("DB_SSLMODE", "verify") => "DB_SSLMODE", "verify-full";
    an_unknown_sslmode_in_a_url_is_refused: url("postgresql://u:p@h/d?sslmode=on") => "DATABASE_URL", "sslmode";
    two_sslmodes_are_refused:
        url("postgresql://u:p@h/d?sslmode=require").set("DB_SSLMODE", "disable") => "DB_SSLMODE", "another sslmode";
    two_authorities_are_refused:
        ca("verify-ca", certificate(&p256())).set("DATABASE_URL", "postgresql://u:p@h/d?sslrootcert=/b")
            => "DB_CA_FILE", "another sslrootcert";
    two_connect_timeouts_are_refused:
        url("postgresql://u:p@h/d?connect_timeout=3").set("DB_CONNECT_TIMEOUT", "4")
            => "DB_CONNECT_TIMEOUT", "another connect_timeout";
    verifying_without_authorities_is_refused: least().set("DB_SSLMODE", "verify-full") => "DB_CA_FILE", "no authorities";
    authorities_that_would_not_be_asked_are_refused: ca("prefer", certificate(&p256())) => "DB_CA_FILE", "verify-full";
    authorities_without_a_certificate_are_refused: ca("verify-ca", "hello") => "DB_CA_FILE", "no certificate";
    authorities_that_are_damaged_are_refused:
        ca("verify-ca", block("CERTIFICATE", b"x")) => "DB_CA_FILE", "cannot be read";
    authorities_that_are_missing_are_refused: least().set("DB_CA_FILE", "/gone") => "DB_CA_FILE", "cannot be read";
    authorities_of_the_system_are_refused:
        url("postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=system").set("DB_CA_FILE", "/ca")
            .file("/ca", certificate(&p256())) => "DATABASE_URL", "system";
    a_placeholder_as_database_password_is_refused: least().set("DB_PASSWORD", "change-me") => "DB_PASSWORD", "placeholder";
    a_placeholder_inside_the_url_is_refused: url("postgresql://u:changeme@h/d") => "DATABASE_URL", "placeholder";

    no_token_key_is_refused: Surroundings::default().set("DB_PASSWORD", "pw") => "JWT_SECRET", "openssl rand -base64 48";
    the_placeholder_of_the_reference_service_is_refused: jwt("change-me-in-prod") => "JWT_SECRET", "placeholder";
    a_long_placeholder_is_refused:
        jwt("Change-Me-please-0123456789abcdefghijklmnop") => "JWT_SECRET", "placeholder";
    one_character_repeated_is_refused: jwt(&"x".repeat(64)) => "JWT_SECRET", "repetition";
    a_pattern_repeated_is_refused: jwt(&"abc123".repeat(9)) => "JWT_SECRET", "repetition";
    a_short_secret_is_refused: jwt("q2dFh0Zt9wVbL4sXyN7uKcR1mEoPjAg") => "JWT_SECRET", "31 bytes";
    a_secret_short_for_hs512_is_refused: least().set("JWT_ALG", "HS512") => "JWT_SECRET", "64";
    an_algorithm_off_the_list_is_refused: least().set("JWT_ALG", "none") => "JWT_ALG", "HS256";
    a_missing_private_key_is_refused: least().set("JWT_ALG", "EdDSA") => "JWT_PRIVATE_KEY", "openssl genpkey";
    a_file_that_is_no_key_is_refused: key("EdDSA", "hello") => "JWT_PRIVATE_KEY_FILE", "PEM";
    a_sec1_key_is_refused_with_the_command_that_converts_it:
        key("ES256", block("EC PRIVATE KEY", b"x")) => "JWT_PRIVATE_KEY_FILE", "openssl pkey -in";
    a_locked_key_is_refused:
        key("ES256", block("ENCRYPTED PRIVATE KEY", b"x")) => "JWT_PRIVATE_KEY_FILE", "passphrase";
    an_rsa_key_is_refused: key("ES256", block("RSA PRIVATE KEY", b"x")) => "JWT_PRIVATE_KEY_FILE", "RSA";
    a_public_key_in_the_place_of_a_private_one_is_refused:
        key("EdDSA", ed25519().public_key_pem()) => "JWT_PRIVATE_KEY_FILE", "public key";
    an_ed25519_key_for_es256_is_refused: key("ES256", ed25519().serialize_pem()) => "JWT_PRIVATE_KEY_FILE", "JWT_ALG=EdDSA";
    a_p256_key_for_eddsa_is_refused: key("EdDSA", p256().serialize_pem()) => "JWT_PRIVATE_KEY_FILE", "JWT_ALG=ES256";
    a_damaged_key_is_refused: key("EdDSA", block("PRIVATE KEY", b"x")) => "JWT_PRIVATE_KEY_FILE", "damaged";
    two_private_keys_are_refused:
        key("EdDSA", ed25519().serialize_pem().repeat(2)) => "JWT_PRIVATE_KEY_FILE", "more than one";
    a_short_previous_secret_is_refused_by_its_line:
        least().set("JWT_PREVIOUS_SECRETS", &format!("{SECRET}\nHS512:{SECRET}")) => "JWT_PREVIOUS_SECRETS", "line 2";
    a_placeholder_among_previous_secrets_is_refused:
        least().set("JWT_PREVIOUS_SECRETS", "change-me-in-prod") => "JWT_PREVIOUS_SECRETS", "line 1";
    a_private_key_among_previous_keys_is_refused:
        previous(ed25519().serialize_pem()) => "JWT_PREVIOUS_KEYS_FILE", "block 1 of the file it names is a private key";
    an_unknown_previous_key_is_refused:
        previous(block("PUBLIC KEY", b"x")) => "JWT_PREVIOUS_KEYS_FILE", "neither an Ed25519";
    an_empty_file_of_previous_keys_is_refused: previous("") => "JWT_PREVIOUS_KEYS_FILE", "no public key";
    tokens_that_live_no_minute_are_refused: least().set("JWT_EXPIRE_MIN", "0") => "JWT_EXPIRE_MIN", "1 to 525600";
    tokens_that_live_over_a_year_are_refused: least().set("JWT_EXPIRE_MIN", "525601") => "JWT_EXPIRE_MIN", "525600";
    half_a_minute_is_refused: least().set("JWT_EXPIRE_MIN", "0.5") => "JWT_EXPIRE_MIN", "0.5";

    a_flag_that_is_a_maybe_is_refused: least().set("REHASH_LEGACY", "maybe") => "REHASH_LEGACY", "true or false";
    a_duration_with_a_unit_is_refused: least().set("HEADER_TIMEOUT", "10s") => "HEADER_TIMEOUT", "whole number of seconds";
    a_number_with_a_plus_is_refused: least().set("HASH_QUEUE", "+5") => "HASH_QUEUE", "+5";
    no_connection_at_all_is_refused: least().set("MAX_CONNECTIONS", "0") => "MAX_CONNECTIONS", "1 to 1000000";
    a_limit_without_seconds_is_refused: least().set("LOGIN_LIMIT_ACCOUNT", "10") => "LOGIN_LIMIT_ACCOUNT", "BURST/SECONDS";
    a_limit_of_nothing_is_refused: least().set("REGISTER_LIMIT_NETWORK", "0/5") => "REGISTER_LIMIT_NETWORK", "or off";
    a_host_name_to_listen_on_is_refused: least().set("LISTEN_ADDR", "localhost:80") => "LISTEN_ADDR", "0.0.0.0:8000";
    one_address_for_two_listeners_is_refused: least().set("ADMIN_ADDR", "127.0.0.1:8000") => "ADMIN_ADDR", "taken";
    a_proxy_that_is_a_name_is_refused: least().set("TRUSTED_PROXIES", "10.0.0.1,proxy") => "TRUSTED_PROXIES", "proxy";
    an_origin_with_a_path_is_refused:
        least().set("CORS_ALLOW_ORIGINS", "https://a.example/app") => "CORS_ALLOW_ORIGINS", "without a path";
    an_origin_without_scheme_is_refused: least().set("CORS_ALLOW_ORIGINS", "a.example") => "CORS_ALLOW_ORIGINS", "scheme";
    any_origin_beside_others_is_refused:
        least().set("CORS_ALLOW_ORIGINS", "*,https://a.example") => "CORS_ALLOW_ORIGINS", "alone";
    a_log_format_of_ones_own_is_refused: least().set("LOG_FORMAT", "xml") => "LOG_FORMAT", "json, text";
    a_certificate_without_key_is_refused: least().set("TLS_CERT_FILE", "/c") => "TLS_KEY_FILE", "set both";
    a_key_without_certificate_is_refused: least().set("TLS_KEY_FILE", "/k") => "TLS_CERT_FILE", "set both";
    a_certificate_file_without_certificate_is_refused: tls("", p256().serialize_pem()) => "TLS_CERT_FILE", "no certificate";
    a_key_file_without_key_is_refused: tls(certificate(&p256()), "") => "TLS_KEY_FILE", "no PEM private key";
    a_key_of_another_certificate_is_refused:
        tls(certificate(&p256()), p256().serialize_pem()) => "TLS_KEY_FILE", "does not belong";
    what_is_no_utf8_is_refused: least().set("DB_USER", "a\u{fffd}") => "DB_USER", "UTF-8";
}

#[test]
fn all_faults_are_reported_together_one_a_line() {
    let s = Surroundings::default()
        .set("DATABASE_URL", "mysql://x")
        .set("JWT_SECRET", "change-me")
        .set("LISTEN_ADDR", "here")
        .set("DB_POOL_SIZE", "0")
        .set("LOGIN_LIMIT_NETWORK", "many")
        .set("TLS_KEY_FILE", "/k");
    let text = s.settings().unwrap_err().to_string();
    let names: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
    let expected =
        ["DATABASE_URL", "DB_POOL_SIZE", "JWT_SECRET", "LOGIN_LIMIT_NETWORK", "LISTEN_ADDR", "TLS_CERT_FILE"];
    assert_eq!(names, expected, "{text}");
}

#[test]
fn a_fault_two_urls_share_is_reported_once() {
    let s = least().set("DB_PASSWORD", "change-me").set("DATABASE_URL", "postgresql://u@h/d");
    s.set("MIGRATE_DATABASE_URL", "postgresql://u@direct/d").refusal();
}

#[test]
fn a_bad_value_never_breaks_its_line() {
    let line = least().set("LISTEN_ADDR", &format!("a\nb\u{1b}{}", "c".repeat(500))).refusal();
    assert!(!line.contains(['\n', '\u{1b}']) && line.len() < 250, "{line}");
}
