use super::{ROWS, TABLE, USERS, reference_database};
use crate::support::TestApp;

// The statements that SQLAlchemy sends for the reference service's code.
const INSERT: &str = "INSERT INTO users (email, password_hash, full_name) VALUES ('new@b.com', '$2b$04$x', NULL) \
                      RETURNING users.id, users.created_at";
const SELECT: &str = "SELECT users.id AS users_id, users.email AS users_email, users.password_hash AS users_password_hash, \
                      users.full_name AS users_full_name, users.created_at AS users_created_at \
                      FROM users WHERE users.email = 'a@b.com' LIMIT 1";
const GET: &str = "SELECT users.id AS users_id, users.email AS users_email, users.password_hash AS users_password_hash, \
                   users.full_name AS users_full_name, users.created_at AS users_created_at \
                   FROM users WHERE users.id = 1";

#[tokio::test]
async fn the_reference_service_can_go_on_with_an_adopted_database() {
    let app = TestApp::start_on(reference_database().await, |e| e.with("REHASH_LEGACY", "false")).await.unwrap();
    for (email, password, _) in USERS {
        assert_eq!(app.client.login(email, password).await.status, 200);
    }
    let database = app.database.clone();
    app.stop().await;
    let (_, _, hash) = USERS[0];
    for sql in [SELECT, GET] {
        let rows = database.rows(sql).await;
        assert_eq!(rows[0][..3], ["1", "a@b.com", hash]);
    }
    let inserted = database.rows(INSERT).await;
    assert_eq!(inserted[0][0], "42");
    assert_ne!(inserted[0][1], "∅", "created_at still has its default");
    // Its create_all looks for the table and finds it.
    let found = database.value("SELECT count(*) FROM pg_class WHERE relname = 'users' AND relkind = 'r'").await;
    assert_eq!(found, "1");
}

#[tokio::test]
async fn a_row_that_the_reference_service_wrote_after_adoption_is_served() {
    let app = TestApp::start_on(reference_database().await, |e| e).await.unwrap();
    app.database.execute(&INSERT.replace("$2b$04$x", USERS[0].2)).await;
    let token = app.log_in("new@b.com", "secret123").await;
    assert_eq!(app.client.me(&token).await.json()["id"], 42);
}

#[tokio::test]
async fn a_table_of_ours_has_the_columns_and_constraints_of_the_reference_services() {
    let theirs = crate::support::Database::create().await;
    theirs.execute(TABLE).await;
    let ours = TestApp::start().await.database;
    let wanted: Vec<Vec<String>> = theirs.schema().await;
    let found = ours.schema().await;
    for line in
        wanted.iter().filter(|line| line[0] == "column" || line[2] == "uq_users_email" || line[2] == "users_pkey")
    {
        assert!(found.contains(line), "{line:?} is missing");
    }
    assert_eq!(ours.rows(ROWS).await, Vec::<Vec<String>>::new());
}
