use super::store;
use crate::support::{Environment, cluster::Cluster};

/// Every kind of character that some place between a person and PostgreSQL takes for its own.
const PASSWORDS: [&str; 12] = [
    "p@ss/w:rd?and#more&x=y",
    "100%",
    "%41%zz",
    "two words and a tab\t!",
    "it's \"quoted\" \\ back\\slashed",
    "naïve-пароль-密碼-🔑",
    "ﬁ-ligature-and-\u{a0}-no-break-space",
    "$VAR ${VAR} `id` $(id)",
    "{[(<>)]};|*~^",
    "+plus+is+not+a+space",
    "[::1]:5432,other",
    "-",
];

#[tokio::test]
async fn a_password_of_any_characters_opens_the_database() {
    let mut cluster = Cluster::create();
    cluster.write("pg_hba.conf", "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    cluster.set("password_encryption", "scram-sha-256");
    cluster.run().await;
    let admin = cluster.connect("postgres").await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let port = cluster.port.to_string();
    let base = Environment::new("");
    let parts =
        base.without("DATABASE_URL").with("DB_HOST", "127.0.0.1").with("DB_PORT", &port).with("DB_NAME", "postgres");
    let file = std::env::temp_dir().join(format!("mini-api-password-{}-{port}", std::process::id()));

    for password in PASSWORDS {
        let literal = password.replace('\'', "''");
        admin.batch_execute(&format!("ALTER ROLE app PASSWORD '{literal}'")).await.unwrap();
        let in_url = password.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let url = format!("postgresql://app@127.0.0.1:{port}/postgres");
        let ways = [
            ("URL", Environment::new(&url.replace("app@", &format!("app:{in_url}@")))),
            ("parameter", Environment::new(&format!("{url}?password={in_url}"))),
            ("DB_PASSWORD", parts.clone().with("DB_PASSWORD", password)),
            ("DB_PASSWORD beside a URL", Environment::new(&url).with("DB_PASSWORD", password)),
            ("DB_PASSWORD_FILE", parts.clone().with("DB_PASSWORD_FILE", file.to_str().unwrap())),
        ];
        for (way, environment) in ways {
            if let Err(error) = store(&environment).ping().await {
                panic!("{password:?} by {way}: {error}");
            }
        }
    }
    let wrong = parts.clone().with("DB_PASSWORD", "--").with("DB_CONNECT_TIMEOUT", "5");
    let refusal = store(&wrong).ping().await.unwrap_err().to_string();
    assert!(refusal.contains("password authentication failed"), "{refusal}");
    std::fs::remove_file(&file).unwrap();
}
