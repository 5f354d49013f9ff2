use std::{num::NonZeroUsize, time::Duration};

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::{super::*, *};

fn hosts(server: &Server) -> Vec<(String, u16)> {
    let names = server.postgres.get_hosts().iter().map(|h| match h {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    names.zip(server.postgres.get_ports().iter().copied()).collect()
}

fn host_list(pairs: &[(&str, u16)]) -> Vec<(String, u16)> {
    pairs.iter().map(|(h, p)| ((*h).to_owned(), *p)).collect()
}

fn server(text: &str) -> Server {
    url(text).database().unwrap().server
}

#[test]
fn two_secrets_are_enough_and_the_rest_has_the_documented_defaults() {
    let s = Surroundings::least().settings().unwrap();
    assert_eq!(s.http.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(s.http.admin, None);
    assert_eq!(s.http.cors, Cors::Off);
    assert!(s.http.tls.is_none() && s.http.trusted_proxies.is_empty());
    assert_eq!((s.http.limits.connections.get(), s.http.limits.body_bytes), (10000, 65536));
    let limits = &s.http.limits;
    let durations = [limits.header, limits.request, limits.idle, limits.drain_delay, limits.drain];
    assert_eq!(durations.map(|d| d.as_secs()), [10, 30, 75, 0, 20]);
    assert_eq!(hosts(&s.database.server), host_list(&[("db", 5432)]));
    let postgres = &s.database.server.postgres;
    assert_eq!((postgres.get_user(), postgres.get_dbname()), (Some("app"), Some("app_db")));
    assert_eq!(postgres.get_application_name(), Some("mini-api"));
    assert_eq!(postgres.get_connect_timeout(), Some(&Duration::from_secs(5)));
    assert!(postgres.get_keepalives() && postgres.get_tcp_user_timeout().is_some());
    assert_eq!(postgres.get_target_session_attrs(), TargetSessionAttrs::Any);
    assert!(s.database.server.tls == DatabaseTls::Prefer);
    assert!(s.database.migrate_on_start && s.database.migrate_server.is_none());
    assert_eq!((s.database.pool_size.get(), s.database.lookup_connections.get()), (8, 2));
    assert_eq!(s.tokens.lifetime, Duration::from_hours(1));
    assert!(matches!(&s.tokens.signing, SigningKey::Hmac(HmacAlgorithm::Hs256, k) if k.expose() == SECRET.as_bytes()));
    assert!(s.passwords.rehash_legacy && s.passwords.slots.is_none());
    assert_eq!((s.passwords.queue.get(), s.passwords.deadline), (64, Duration::from_secs(5)));
    let rate = |burst, seconds| Limit::Rate { burst, interval: Duration::from_secs(seconds) };
    assert_eq!(s.throttle.account_network, rate(10, 60));
    assert_eq!(s.throttle.network, rate(100, 3));
    assert_eq!(s.throttle.account, rate(50, 300));
    assert_eq!(s.throttle.register_network, rate(100, 3));
    assert_eq!(s.log_format, LogFormat::Json);
    assert_eq!(s.warnings, Vec::<String>::new());
}

#[test]
fn commands_that_need_only_the_database_need_no_token_key() {
    assert!(Surroundings::default().set("DB_PASSWORD", "pw").database().is_ok());
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let s = Surroundings::least().set("LISTEN_ADDR", "").set("JWT_SECRET_FILE", "").set("DATABASE_URL", "");
    assert_eq!(s.settings().unwrap().http.listen.port(), 8000);
}

#[test]
fn urls_of_libpq_and_sqlalchemy_mean_the_same() {
    for scheme in ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"] {
        let server = server(&format!("{scheme}://ann:p%40ss%2F@db.example:5433/people"));
        assert_eq!(hosts(&server), host_list(&[("db.example", 5433)]));
        assert_eq!(server.postgres.get_user(), Some("ann"));
        assert_eq!(server.postgres.get_dbname(), Some("people"));
        assert_eq!(server.postgres.get_password(), Some(&b"p@ss/"[..]));
    }
}

#[test]
fn passwords_pasted_into_a_url_without_encoding_are_understood() {
    for (pasted, meant) in
        [("p@ss", "p@ss"), ("a/b@c", "a/b@c"), ("100%sure", "100%sure"), ("a:b+c#d", "a:b+c#d"), ("%", "%")]
    {
        let server = server(&format!("postgresql://app:{pasted}@db:5432/app_db"));
        assert_eq!(server.postgres.get_password(), Some(meant.as_bytes()), "{pasted}");
        assert_eq!(hosts(&server), host_list(&[("db", 5432)]), "{pasted}");
    }
}

#[test]
fn a_url_may_name_several_hosts_addresses_and_socket_folders() {
    for (text, expected) in [
        ("postgresql://u@h1:1,h2:2/d", vec![("h1", 1), ("h2", 2)]),
        ("postgresql://u@h1,h2/d?port=7,8", vec![("h1", 7), ("h2", 8)]),
        ("postgresql://u@[::1]:6000,[fd00::2]/d", vec![("::1", 6000), ("fd00::2", 5432)]),
        ("postgresql://u@%2Frun%2Fpg/d", vec![("/run/pg", 5432)]),
        ("postgresql://u@/d?host=/run/pg", vec![("/run/pg", 5432)]),
        ("postgresql:///d?user=u&host=h1,h2&port=9", vec![("h1", 9), ("h2", 9)]),
        ("postgresql://u@/d?host=h1:5&host=h2:6", vec![("h1", 5), ("h2", 6)]),
    ] {
        assert_eq!(hosts(&server(text)), host_list(&expected), "{text}");
    }
}

#[test]
fn several_hosts_are_asked_for_the_one_that_writes_unless_the_url_says_otherwise() {
    let attrs = |text| server(text).postgres.get_target_session_attrs();
    assert_eq!(attrs("postgresql://u@h1,h2/d"), TargetSessionAttrs::ReadWrite);
    assert_eq!(attrs("postgresql://u@h1,h2/d?target_session_attrs=any"), TargetSessionAttrs::Any);
    let parts = Surroundings::least().set("DB_HOST", "h1, h2").set("DB_PORT", "5433,5434").database().unwrap();
    assert_eq!(hosts(&parts.server), host_list(&[("h1", 5433), ("h2", 5434)]));
    assert_eq!(parts.server.postgres.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
}

#[test]
fn parameters_of_a_url_reach_the_connection() {
    let server = server(
        "postgresql://u@h/d?application_name=x&connect_timeout=7&options=-c%20geqo%3Doff&keepalives_idle=9\
         &tcp_user_timeout=4000&client_encoding=utf8&sslmode=require",
    );
    let postgres = &server.postgres;
    assert_eq!(postgres.get_application_name(), Some("x"));
    assert_eq!(postgres.get_options(), Some("-c geqo=off"));
    assert_eq!(postgres.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(postgres.get_keepalives_idle(), Duration::from_secs(9));
    assert_eq!(postgres.get_tcp_user_timeout(), Some(&Duration::from_secs(4)));
    assert!(server.tls == DatabaseTls::Require && postgres.get_ssl_mode() == SslMode::Require);
}

#[test]
fn the_url_counts_before_the_parts_and_takes_its_password_from_them() {
    let database = url("postgresql://u@h/d").set("DB_HOST", "elsewhere").database().unwrap();
    assert_eq!(hosts(&database.server), host_list(&[("h", 5432)]));
    assert_eq!(database.server.postgres.get_password(), Some(&b"pw"[..]));
    let database = url("postgresql://u:own@h/d").database().unwrap();
    assert_eq!(database.server.postgres.get_password(), Some(&b"own"[..]));
}

#[test]
fn migrations_may_take_another_way() {
    let database = Surroundings::least().set("MIGRATE_DATABASE_URL", "postgresql://owner:o@direct/app_db").database();
    assert_eq!(hosts(&database.unwrap().migrate_server.unwrap()), host_list(&[("direct", 5432)]));
}

#[test]
fn authorities_come_from_the_setting_or_from_the_url() {
    let pem = certificate(&p256());
    let files = Surroundings::least().file("/ca.pem", &pem);
    let full = files.clone().set("DB_SSLMODE", "verify-full").set("DB_CA_FILE", "/ca.pem").database().unwrap().server;
    assert!(full.tls == DatabaseTls::VerifyFull(pem.clone().into_bytes()));
    assert_eq!(full.postgres.get_ssl_mode(), SslMode::Require);
    let from_url = files.set("DATABASE_URL", "postgresql://u@h/d?sslmode=verify-ca&sslrootcert=/ca.pem");
    assert!(from_url.database().unwrap().server.tls == DatabaseTls::VerifyCa(pem.clone().into_bytes()));
    let required =
        Surroundings::least().file("/ca.pem", &pem).set("DB_SSLMODE", "require").set("DB_CA_FILE", "/ca.pem");
    assert!(required.database().unwrap().server.tls == DatabaseTls::VerifyCa(pem.into_bytes()), "as libpq does");
}

#[test]
fn a_kubernetes_service_named_db_does_not_stop_the_start() {
    let s = Surroundings::least().set("DB_PORT", "tcp://10.0.0.7:5432").settings().unwrap();
    assert_eq!(hosts(&s.database.server), host_list(&[("db", 5432)]));
    assert!(s.warnings[0].contains("enableServiceLinks"), "{:?}", s.warnings);
}

#[test]
fn the_secret_file_wins_over_the_variable_and_loses_its_white_space() {
    let s = Surroundings::least().set("JWT_SECRET", "change-me").set("JWT_SECRET_FILE", "/s");
    let s = s.file("/s", format!(" \t{SECRET}\r\n")).settings().unwrap();
    assert!(matches!(&s.tokens.signing, SigningKey::Hmac(_, key) if key.expose() == SECRET.as_bytes()));
}

#[test]
fn a_password_file_loses_its_line_ends_and_nothing_else() {
    let s = Surroundings::default().set("DB_PASSWORD_FILE", "/p").file("/p", " p w \r\n\n").database().unwrap();
    assert_eq!(s.server.postgres.get_password(), Some(&b" p w "[..]));
}

#[test]
fn private_keys_of_both_kinds_are_accepted() {
    for (name, algorithm, key) in
        [("EdDSA", AsymmetricAlgorithm::EdDsa, ed25519()), ("es256", AsymmetricAlgorithm::Es256, p256())]
    {
        let pem = key.serialize_pem();
        for written in [pem.clone(), pem.replace('\n', "\\n")] {
            let s =
                Surroundings::default().set("DB_PASSWORD", "pw").set("JWT_ALG", name).set("JWT_PRIVATE_KEY", &written);
            let signing = s.settings().unwrap().tokens.signing;
            let SigningKey::Private(found, secret) = signing else { panic!("{signing:?}") };
            let block: (rustls::pki_types::pem::SectionKind, Vec<u8>) =
                rustls::pki_types::pem::PemObject::from_pem_slice(secret.expose()).unwrap();
            assert_eq!((found, block.1), (algorithm, key.serialize_der()));
        }
    }
}

#[test]
fn an_ed25519_key_without_its_public_half_is_accepted_as_openssl_writes_it() {
    let seed = std::array::from_fn::<u8, 32, _>(|n| u8::try_from(n).unwrap() ^ 0x5a);
    let der = [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &seed].concat();
    let s = Surroundings::default().set("DB_PASSWORD", "pw").set("JWT_ALG", "EdDSA");
    let s = s.set("JWT_PRIVATE_KEY", &block("PRIVATE KEY", &der)).settings().unwrap();
    assert!(matches!(s.tokens.signing, SigningKey::Private(AsymmetricAlgorithm::EdDsa, _)));
}

#[test]
fn previous_keys_carry_their_algorithm() {
    let long = format!("{SECRET}{SECRET}x");
    let s = Surroundings::least()
        .set("JWT_PREVIOUS_SECRETS", &format!("{SECRET}\n\nHS384:{SECRET}\r\nHS512:{long}\n"))
        .set("JWT_PREVIOUS_KEYS_FILE", "/k")
        .file("/k", ed25519().public_key_pem() + &p256().public_key_pem());
    let previous = s.settings().unwrap().tokens.previous;
    let found: Vec<_> = previous
        .iter()
        .map(|key| match key {
            VerifyingKey::Hmac(algorithm, secret) => (algorithm.name(), secret.expose().len()),
            VerifyingKey::Public(algorithm, pem) => (algorithm.name(), pem.matches("BEGIN PUBLIC KEY").count()),
        })
        .collect();
    assert_eq!(found, [("HS256", 48), ("HS384", 48), ("HS512", 97), ("EdDSA", 1), ("ES256", 1)]);
}

#[test]
fn flags_addresses_lists_and_limits_have_their_usual_spellings() {
    for (word, meant) in [("true", true), ("1", true), ("Yes", true), ("false", false), ("0", false), ("no", false)] {
        assert_eq!(Surroundings::least().set("MIGRATE_ON_START", word).database().unwrap().migrate_on_start, meant);
    }
    for (written, meant) in [(":80", "0.0.0.0:80"), ("[::]:8000", "[::]:8000"), ("127.0.0.1:0", "127.0.0.1:0")] {
        assert_eq!(Surroundings::default().set("LISTEN_ADDR", written).http().listen.to_string(), meant);
    }
    let http = Surroundings::default()
        .set("TRUSTED_PROXIES", "10.1.2.3/8, fd00::1,")
        .set("CORS_ALLOW_ORIGINS", "https://A.example:443/, http://b.example:3000")
        .http();
    assert_eq!(http.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "fd00::1/128"]);
    assert_eq!(http.cors, Cors::Origins(vec!["https://a.example".into(), "http://b.example:3000".into()]));
    assert_eq!(Surroundings::default().set("CORS_ALLOW_ORIGINS", "*").http().cors, Cors::AnyOrigin);
    let s = Surroundings::least().set("LOGIN_LIMIT_NETWORK", "off").set("HASH_SLOTS", "3").set("LOG_FORMAT", "TEXT");
    let s = s.settings().unwrap();
    assert_eq!(s.throttle.network, Limit::Off);
    assert_eq!(s.passwords.slots, NonZeroUsize::new(3));
    assert_eq!(s.log_format, LogFormat::Text);
}

#[test]
fn tls_takes_a_certificate_and_its_key() {
    let key = p256();
    let http = Surroundings::default()
        .set("TLS_CERT_FILE", "/c")
        .set("TLS_KEY_FILE", "/k")
        .file("/c", certificate(&key))
        .file("/k", key.serialize_pem())
        .http();
    assert_eq!(http.tls.unwrap().cert, Path::new("/c"));
}

#[test]
fn likely_mistakes_are_warned_of() {
    let s = Surroundings::least().set("DB_PASS", "x").set("JWT_PRIVATE_KEY_FILE", "/unused").settings().unwrap();
    assert_eq!(s.warnings.len(), 2, "{:?}", s.warnings);
    assert!(s.warnings.iter().any(|w| w.starts_with("DB_PASS ") && w.contains("DB_PASSWORD")));
    assert!(s.warnings.iter().any(|w| w.starts_with("JWT_PRIVATE_KEY ") && w.contains("HS256")));
}
