//! The reference service's quick tests, word for word, against the real binary; only the port is another.

use crate::support::{Database, Environment, bash, process::Process};

const REGISTER: &str = r#"curl -X POST http://localhost:8000/auth/register \
    -H 'Content-Type: application/json' \
    -d '{"email":"a@b.com","password":"secret123","full_name":"Alice"}'
"#;
const LOGIN: &str = r#"TOKEN=$(curl -s -X POST http://localhost:8000/auth/login -H 'Content-Type: application/json' -d '{"email":"a@b.com","password":"secret123"}' | jq -r .access_token)
"#;
const ME: &str = r#"curl -H "Authorization: Bearer $TOKEN" http://localhost:8000/users/me
"#;

#[tokio::test]
async fn the_three_quick_tests_pass_word_for_word() {
    let database = Database::create().await;
    let process = Process::start(&Environment::new(&database.url));
    process.ready().await;
    let port = process.address().await.port();
    let on_port = |script: &str| script.replace(":8000", &format!(":{port}"));
    let registered = bash(&on_port(REGISTER), &[]).await;
    assert_eq!(registered.assert_code(0).out, r#"{"id":1,"email":"a@b.com","full_name":"Alice"}"#);
    let me = bash(&on_port(&format!("{LOGIN}{ME}")), &[]).await;
    assert_eq!(me.assert_code(0).out, r#"{"id":1,"email":"a@b.com","full_name":"Alice"}"#);
}
