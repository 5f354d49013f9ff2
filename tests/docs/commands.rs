//! The commands of the pages, run as they stand there.

use mini_api::auth::token::Tokens;
use rcgen::{KeyPair, PKCS_ED25519};

use crate::support::{
    Database, Environment, TestApp, bash,
    process::{BINARY, Process},
};

const PAGE: &str = include_str!("../../docs/api.md");

// The blocks marked as bash, in their order.
fn commands() -> Vec<&'static str> {
    PAGE.split("```bash\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[tokio::test]
async fn every_command_of_the_page_works_as_it_stands_there() {
    let database = Database::create().await;
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem();
    let environment = Environment::new(&database.url).without("JWT_SECRET").with("JWT_ALG", "EdDSA");
    let process = Process::start(&environment.with("JWT_PRIVATE_KEY", &key));
    process.ready().await;
    let port = process.address().await.port();
    let folder = std::env::temp_dir().join(format!("mini-api-page-{}", database.name));
    std::fs::create_dir(&folder).unwrap();
    assert!(commands().len() >= 4, "{:?}", commands());
    let script = format!("cd \"$FOLDER\"\n{}", commands().join("\n")).replace(":8000", &format!(":{port}"));
    let done = bash(&script, &[("FOLDER", folder.to_str().unwrap())]).await;
    done.assert_code(0);
    assert!(done.out.contains("alice@example.org"), "{done:?}");
    assert!(done.out.contains("3600"), "{done:?}");
    assert!(done.out.contains("Signature Verified Successfully"), "{done:?}");
    assert!(folder.join("next.pub").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_route_of_the_page_is_described_and_every_described_route_is_on_the_page() {
    for path in crate::support::client::description()["paths"].as_object().unwrap().keys() {
        assert!(PAGE.contains(&format!(" {path}`")), "{path}");
    }
}

#[tokio::test]
async fn the_commands_of_the_first_page_work_as_they_stand_there() {
    let readme = include_str!("../../README.md");
    let tries: Vec<&str> = readme.split("```bash\n").skip(1).filter(|block| block.contains("localhost:8000")).collect();
    let script = tries[0].split("```").next().unwrap();
    let database = Database::create().await;
    let process = Process::start(&Environment::new(&database.url));
    process.ready().await;
    let port = process.address().await.port();
    let done = bash(&script.replace(":8000", &format!(":{port}")), &[]).await;
    assert!(done.assert_code(0).out.matches("a@b.com").count() == 2, "{done:?}");
}

// The first block of a page that has these words.
fn block(page: &'static str, words: &str) -> &'static str {
    let mut blocks = page.split("```bash\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(words)).unwrap()
}

#[tokio::test]
async fn the_keys_that_the_page_of_settings_makes_are_taken() {
    let page = include_str!("../../docs/configuration.md");
    let folder = std::env::temp_dir().join(format!("mini-api-keys-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let in_folder = async |command: &str| {
        let done = bash(&format!("cd \"$FOLDER\"; {command}"), &[("FOLDER", folder.to_str().unwrap())]).await;
        done.assert_code(0).out.clone()
    };
    // What the last command of the page converts.
    in_folder("openssl ecparam -name prime256v1 -genkey -noout -out old.pem").await;
    let mut taken = Vec::new();
    for line in block(page, "openssl").lines() {
        let (command, meant) = line.split_once(" # ").unwrap();
        let printed = in_folder(command).await;
        for algorithm in ["HS256", "HS384", "HS512", "EdDSA", "ES256"].into_iter().filter(|a| meant.contains(a)) {
            let settings = Environment::new("postgresql://a@b/c").without("JWT_SECRET").with("JWT_ALG", algorithm);
            let settings = match algorithm {
                "EdDSA" | "ES256" => settings.with("JWT_PRIVATE_KEY", &in_folder("cat jwt.pem").await),
                _ => settings.with("JWT_SECRET", &printed),
            };
            Tokens::new(&settings.settings().tokens).unwrap_or_else(|bad| panic!("{line}: {}", bad.0));
            taken.push(algorithm);
        }
        if command.contains("-pubout") {
            assert!(printed.contains("BEGIN PUBLIC KEY"), "{printed}");
        }
    }
    assert_eq!(taken, ["HS256", "HS384", "HS512", "EdDSA", "ES256"]);
    let converted = Environment::new("postgresql://a@b/c").without("JWT_SECRET").with("JWT_ALG", "ES256");
    let converted = converted.with("JWT_PRIVATE_KEY", &in_folder("cat new.pem").await);
    assert!(Tokens::new(&converted.settings().tokens).is_ok());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_commands_of_the_operators_page_work_as_they_stand_there() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    let folder = std::path::Path::new(BINARY).parent().unwrap().to_str().unwrap();
    let commands = block(include_str!("../../docs/operators.md"), "mini-api user");
    let script = format!("export PATH=\"$FOLDER:$PATH\"\n{commands}");
    let done = bash(&script, &[("FOLDER", folder), ("DATABASE_URL", &app.database.url)]).await;
    assert_eq!(done.assert_code(0).out.matches("a@b.com").count(), 5, "{done:?}");
    assert_eq!(app.client.me(&token).await.status, 401, "revoked");
    app.log_in("a@b.com", "a new password").await;
}
