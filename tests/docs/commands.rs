//! The commands of docs/api.md, run as they stand there.

use rcgen::{KeyPair, PKCS_ED25519};

use crate::support::{Database, Environment, bash, process::Process};

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
