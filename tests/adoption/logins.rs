use super::{EDGE, LONG, USERS, reference_database};
use crate::support::TestApp;

const SCHEMES: &str = "SELECT split_part(password_hash, '$', 2) FROM users WHERE id <= 5 ORDER BY id";

#[tokio::test]
async fn adopted_users_log_in_and_their_hashes_become_scrypt() {
    let app = TestApp::start_on(reference_database().await, |e| e).await.unwrap();
    for (email, _, _) in USERS {
        app.client.login(email, "not the password").await.assert_problem(401, "Invalid credentials");
    }
    assert!(app.database.rows(SCHEMES).await.iter().all(|row| row[0] == "2b"), "a failed login renews nothing");
    for (email, password, _) in USERS {
        assert_eq!(app.client.login(email, password).await.status, 200, "{email}");
    }
    assert!(app.database.rows(SCHEMES).await.iter().all(|row| row[0] == "scrypt"));
    for (email, password, _) in USERS {
        assert_eq!(app.client.login(email, password).await.status, 200, "{email} with the new hash");
    }
    assert_eq!(app.logged("auth.password.rehashed").len(), USERS.len());
}

#[tokio::test]
async fn without_rehashing_the_hashes_stay_as_the_reference_service_reads_them() {
    let app = TestApp::start_on(reference_database().await, |e| e.with("REHASH_LEGACY", "false")).await.unwrap();
    for (email, password, hash) in USERS {
        assert_eq!(app.client.login(email, password).await.status, 200, "{email}");
        let stored = app.database.value(&format!("SELECT password_hash FROM users WHERE email = '{email}'")).await;
        assert_eq!(stored, hash);
    }
}

#[tokio::test]
async fn of_a_legacy_password_the_first_72_bytes_count_as_they_always_did() {
    let app = TestApp::start_on(reference_database().await, |e| e.with("REHASH_LEGACY", "false")).await.unwrap();
    assert_eq!(app.client.login("long@b.com", &LONG[..72]).await.status, 200);
    assert_eq!(app.client.login("long@b.com", &format!("{LONG}and more")).await.status, 200);
    app.client.login("long@b.com", &LONG[..71]).await.assert_problem(401, "Invalid credentials");
    assert_eq!(app.client.login("edge@b.com", &format!("{EDGE}z")).await.status, 200);
    app.client.login("edge@b.com", &format!("{}z", &EDGE[..71])).await.assert_problem(401, "Invalid credentials");
}

#[tokio::test]
async fn a_nul_in_a_password_never_shortens_it() {
    let app = TestApp::start_on(reference_database().await, |e| e).await.unwrap();
    app.client.login("a@b.com", "secret123\u{0}").await.assert_problem(401, "Invalid credentials");
    app.client.login("short@example.org", "abc\u{0}def").await.assert_problem(401, "Invalid credentials");
}
