use proptest::prelude::*;

use super::{
    super::{SigningKey, VerifyingKey, database_url, table},
    *,
};

/// Passwords an environment can carry: no NUL, and not the sign for bytes that are no UTF-8.
fn password() -> impl Strategy<Value = String> {
    ".{1,40}".prop_filter("an environment cannot carry it", |p: &String| {
        !p.contains(['\0', char::REPLACEMENT_CHARACTER]) && !p.to_lowercase().starts_with("change")
    })
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn every_name() -> Vec<String> {
    let settings = table::GROUPS.iter().flat_map(|(_, group)| group.iter());
    settings.flat_map(|s| [s.name.to_owned(), s.file_name()]).collect()
}

/// Fragments that bring the parsers further than noise does.
fn value() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("postgresql://".to_owned()),
        Just("postgresql+psycopg2://".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----\n".to_owned()),
        Just("\n-----END PRIVATE KEY-----".to_owned()),
        Just("?sslmode=verify-full&".to_owned()),
        Just("HS512:".to_owned()),
        "[@:/,%?&=\\[\\]0-9]",
        ".{0,6}",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_password_survives_a_url(user in password(), password in password(), name in password()) {
        let text = format!("postgresql://{}:{}@db/{}", encode(&user), encode(&password), encode(&name));
        let postgres = url(&text).database().unwrap().server.postgres;
        prop_assert_eq!(postgres.get_user(), Some(user.as_str()));
        prop_assert_eq!(postgres.get_password(), Some(password.as_bytes()));
        prop_assert_eq!(postgres.get_dbname(), Some(name.as_str()));
    }

    #[test]
    fn any_password_survives_its_own_variable(password in password()) {
        let postgres = Surroundings::default().set("DB_PASSWORD", &password).database().unwrap().server.postgres;
        prop_assert_eq!(postgres.get_password(), Some(password.as_bytes()));
    }

    #[test]
    fn percent_encoded_bytes_are_decoded_exactly(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
        let encoded = bytes.iter().map(|b| format!("%{b:02x}")).collect::<Vec<_>>().concat();
        prop_assert_eq!(database_url::decode(&encoded), bytes);
    }

    #[test]
    fn no_environment_makes_the_parsers_panic_or_a_fault_longer_than_a_line(
        values in proptest::collection::hash_map(proptest::sample::select(every_name()), value(), 0..12),
        content in value(),
    ) {
        let mut s = Surroundings::default();
        for (name, value) in &values {
            s = s.set(name, value).file(value, &content);
        }
        if let Err(faults) = s.settings() {
            prop_assert_eq!(faults.to_string().lines().count(), faults.0.len());
        }
    }

    #[test]
    fn no_secret_is_in_a_fault_or_a_debug_output(secret in "[A-Za-z0-9@/?:%&=#+ \n]{12,60}", broken in any::<bool>()) {
        let mut s = Surroundings::default()
            .set("DATABASE_URL", &format!("postgresql://app:{secret}@db/app_db"))
            .set("MIGRATE_DATABASE_URL", &format!("postgresql://app@db/app_db?password={secret}"))
            .set("DB_PASSWORD", &secret)
            .set("JWT_SECRET", &secret)
            .set("JWT_PREVIOUS_SECRETS", &secret)
            .set("JWT_PRIVATE_KEY", &secret);
        if broken {
            s = s.set("JWT_ALG", "EdDSA").set("DB_PASSWORD_FILE", &secret).set("JWT_PRIVATE_KEY_FILE", &secret);
        }
        let said = match s.settings() {
            Ok(settings) => format!("{settings:?}"),
            Err(faults) => format!("{faults}\n{faults:?}"),
        };
        // No run of eight characters either, unless our own sentences have it.
        let characters: Vec<char> = secret.chars().collect();
        for run in characters.windows(8) {
            let run: String = run.iter().collect();
            prop_assert!(!said.contains(&run), "{:?} is in {}", run, said);
        }
    }
}

#[test]
fn the_debug_output_of_good_settings_shows_no_secret() {
    let s = Surroundings::default()
        .set("DATABASE_URL", "postgresql://app:hunter2hunter@db/app_db")
        .set("JWT_SECRET", SECRET)
        .set("JWT_PREVIOUS_SECRETS", &SECRET.to_uppercase());
    let shown = format!("{:?}", s.settings().unwrap());
    assert!(shown.contains("***") && shown.contains("\"db\""), "{shown}");
    for secret in ["hunter2", SECRET, &SECRET.to_uppercase()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_secret_written_where_a_path_belongs_is_not_repeated() {
    let line = Surroundings::least().set("JWT_SECRET_FILE", SECRET).refusal();
    assert!(!line.contains(SECRET), "{line}");
}

// Every secret there is in some settings, in one order.
fn exposed(settings: &Settings) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for server in std::iter::once(&settings.database.server).chain(&settings.database.migrate_server) {
        all.push(format!("{:?}", server.postgres.get_hosts()).into_bytes());
        all.push(server.postgres.get_password().unwrap_or_default().into());
    }
    match &settings.tokens.signing {
        SigningKey::Hmac(_, secret) | SigningKey::Private(_, secret) => all.push(secret.expose().into()),
    }
    for previous in &settings.tokens.previous {
        match previous {
            VerifyingKey::Hmac(algorithm, secret) => {
                all.extend([algorithm.name().as_bytes().to_vec(), secret.expose().into()]);
            }
            VerifyingKey::Public(_, pem) => all.push(pem.clone().into_bytes()),
        }
    }
    all
}

#[test]
fn every_secret_may_come_from_its_file() {
    let pem = ed25519().serialize_pem();
    let turned: String = SECRET.chars().rev().collect();
    let two = format!("{turned}\nHS512:{SECRET}{turned}");
    let secrets = table::GROUPS.iter().flat_map(|(_, group)| group.iter()).filter(|setting| setting.is_secret());
    let mut names = Vec::new();
    for setting in secrets {
        let value = match setting.name {
            "DATABASE_URL" | "MIGRATE_DATABASE_URL" => "postgresql://app:of-the-file@elsewhere/app_db",
            "DB_PASSWORD" => " of the file\t",
            "JWT_SECRET" => &turned,
            "JWT_PRIVATE_KEY" => &pem,
            "JWT_PREVIOUS_SECRETS" => &two,
            other => panic!("no value of {other} is known here"),
        };
        let mut without = Surroundings::least();
        without.variables.remove(setting.name);
        if setting.name == "JWT_PRIVATE_KEY" {
            without = without.set("JWT_ALG", "EdDSA");
        }
        let named = exposed(&without.clone().set(setting.name, value).settings().unwrap());
        for end in ["", "\n", "\r\n"] {
            let file = without.clone().set(&setting.file_name(), "/run/it").file("/run/it", format!("{value}{end}"));
            assert_eq!(exposed(&file.settings().unwrap()), named, "{}", setting.file_name());
        }
        if let Ok(without) = without.settings() {
            assert_ne!(exposed(&without), named, "{} makes a difference", setting.name);
        }
        names.push(setting.name);
    }
    assert_eq!(names.len(), 6, "{names:?}");
}
