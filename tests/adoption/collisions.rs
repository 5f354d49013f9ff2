use super::{ROWS, TABLE};
use crate::support::{Database, Environment, process::Process, run};

// Users 1 and 3 are one account to us, and so are 2, 5 and 6.
async fn colliding_database() -> Database {
    let database = Database::create().await;
    database.execute(TABLE).await;
    for email in ["a@b.com", "C@d.com", "A@B.com", "other@b.com", "c@D.com", "c@d.com"] {
        database.execute(&format!("INSERT INTO users (email, password_hash) VALUES ('{email}', 'x')")).await;
    }
    database
}

const SENTENCE: &str = "users with these ids have addresses that differ only in case: 1, 3; 2, 5, 6; nothing was changed: \
                        merge or rename each group until one address is left, then migrate again";

#[tokio::test]
async fn colliding_rows_stop_the_migration_which_lists_their_ids_and_changes_nothing() {
    let database = colliding_database().await;
    let (schema, rows) = (database.schema().await, database.rows(ROWS).await);
    let refused = run(&Environment::new(&database.url), &["migrate"]).await;
    assert_eq!(refused.assert_code(65).err, format!("mini-api: {SENTENCE}\n"));
    assert_eq!(database.schema().await, schema);
    assert_eq!(database.rows(ROWS).await, rows);
    assert!(!refused.err.contains("b.com"), "ids are enough to find them");
}

#[tokio::test]
async fn colliding_rows_end_the_start_of_a_service_in_the_same_way() {
    let database = colliding_database().await;
    let schema = database.schema().await;
    let ended = Process::start(&Environment::new(&database.url)).ended().await;
    assert_eq!(ended.code, Some(65), "{}", ended.output);
    assert!(ended.output.contains(SENTENCE), "{}", ended.output);
    assert_eq!(database.schema().await, schema);
}

#[tokio::test]
async fn once_each_group_has_one_address_left_the_migration_succeeds() {
    let database = colliding_database().await;
    database
        .execute("DELETE FROM users WHERE id IN (3, 5); UPDATE users SET email = 'renamed@d.com' WHERE id = 6")
        .await;
    run(&Environment::new(&database.url), &["migrate"]).await.assert_code(0);
    let connection = database.connect().await;
    let again = connection.batch_execute("INSERT INTO users (email, password_hash) VALUES ('A@b.COM', 'x')").await;
    assert!(again.is_err(), "and no such row can come again");
}
