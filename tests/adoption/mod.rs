//! A database of the reference service: adopted without loss, or refused without a change.

mod collisions;
mod logins;
mod way_back;

use crate::support::{Database, Environment, TestApp, run};

/// What SQLAlchemy 2.0 makes of the reference service's models.
const TABLE: &str = "
    CREATE TABLE users (
        id SERIAL NOT NULL,
        email VARCHAR(255) NOT NULL,
        password_hash VARCHAR(255) NOT NULL,
        full_name VARCHAR(255),
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now(),
        PRIMARY KEY (id),
        CONSTRAINT uq_users_email UNIQUE (email)
    );
    CREATE INDEX ix_users_id ON users (id);
    CREATE UNIQUE INDEX ix_users_email ON users (email);
";

/// Users, their passwords, and what Python's bcrypt made of them at cost 4.
const USERS: [(&str, &str, &str); 5] = [
    ("a@b.com", "secret123", "$2b$04$1eE2GSiDVqcaNUiWd.Rg9OJzzglGdGePm7sdBice8iB5Yo6Q8gpoy"),
    ("Short@Example.org", "abc", "$2b$04$egxdsJKyJqrKnujJc0WnQOA5UaU5RT2Ue9nHS6Hqp6PDyEoWJzPl6"),
    ("long@b.com", LONG, "$2b$04$QbdpJREG1DC/g0Gf5LCZaeIg3NYuAElcEMdJ2IoKxgbWhMYAKvTT2"),
    ("unicode@b.com", "pässwörd€", "$2b$04$ENzksYPjlQfAgEmt6DtYoOfZYle3GCtcRXY20mcBykk1LEHO6Ow5K"),
    ("edge@b.com", EDGE, "$2b$04$.JuHjgw8EArl7fE9IxXzDuhkrf9..VnddfukSoxAg0Sb4b4/jxCOq"),
];

/// 80 bytes, of which bcrypt sees 72.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/// 72 bytes.
const EDGE: &str = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

const ROWS: &str = "SELECT id, email, password_hash, full_name, created_at FROM users ORDER BY id";

/// A database of the reference service with its users.
pub async fn reference_database() -> Database {
    let database = Database::create().await;
    database.execute(TABLE).await;
    for (number, (email, _, hash)) in USERS.iter().enumerate() {
        let name = if number % 2 == 0 { "NULL".to_owned() } else { format!("'User {number} Ünï'") };
        let created = if number == 3 { "NULL" } else { "'2024-05-06 07:08:09.123456+02'" };
        let values = format!("VALUES ('{email}', '{hash}', {name}, {created})");
        database.execute(&format!("INSERT INTO users (email, password_hash, full_name, created_at) {values}")).await;
    }
    // Ids have gaps, and the sequence is ahead of them.
    database.execute("DELETE FROM users WHERE id = 99; SELECT setval('users_id_seq', 41)").await;
    database
}

#[tokio::test]
async fn every_row_and_column_is_the_same_after_adoption() {
    let database = reference_database().await;
    let before = database.rows(ROWS).await;
    let columns = database.schema().await;
    run(&Environment::new(&database.url), &["migrate"]).await.assert_code(0);
    assert_eq!(database.rows(ROWS).await, before);
    assert_eq!(before.len(), USERS.len());
    let after = database.schema().await;
    for line in columns {
        assert!(after.contains(&line), "{line:?} is gone");
    }
}

#[tokio::test]
async fn adopted_users_are_shown_and_new_ones_continue_the_numbers() {
    let app = TestApp::start_on(reference_database().await, |e| e).await.unwrap();
    let token = app.log_in("short@example.ORG", "abc").await;
    let me = app.client.me(&token).await.json();
    assert_eq!(me, serde_json::json!({ "id": 2, "email": "Short@Example.org", "full_name": "User 1 Ünï" }));
    assert_eq!(app.client.register("new@b.com", "secret123").await.json()["id"], 42);
    app.client.register("SHORT@example.org", "secret123").await.assert_problem(409, "Email already registered");
}

#[tokio::test]
async fn an_empty_database_of_the_reference_service_is_adopted_too() {
    let database = Database::create().await;
    database.execute(TABLE).await;
    let app = TestApp::start_on(database, |e| e).await.unwrap();
    assert_eq!(app.client.register("a@b.com", "secret123").await.json()["id"], 1);
}

#[tokio::test]
async fn tokens_of_the_reference_service_stay_valid() {
    let app = TestApp::start_on(reference_database().await, |e| e).await.unwrap();
    let token = crate::support::token::of_the_reference_service(3);
    assert_eq!(app.client.me(&token).await.json()["email"], "long@b.com");
}

#[tokio::test]
async fn a_table_users_of_somebody_else_is_refused_and_left_alone() {
    let database = Database::create().await;
    database.execute("CREATE TABLE users (id serial PRIMARY KEY, login text, email text)").await;
    let before = database.schema().await;
    let refused = run(&Environment::new(&database.url), &["migrate"]).await;
    refused.assert_code(65);
    assert_eq!(refused.err, unfit("created_at, email, full_name, password_hash"));
    assert_eq!(database.schema().await, before);
}

fn unfit(columns: &str) -> String {
    format!(
        "mini-api: the database has a table users whose columns {columns} are missing or not as the reference service made \
         them; nothing was changed: give the service a database of its own\n"
    )
}

#[tokio::test]
async fn a_table_whose_columns_have_other_types_or_may_be_null_is_refused_and_left_alone() {
    for (change, column) in [
        ("ALTER COLUMN id TYPE bigint", "id"),
        ("ALTER COLUMN password_hash DROP NOT NULL", "password_hash"),
        ("ALTER COLUMN email TYPE bytea USING email::bytea", "email"),
        ("ALTER COLUMN created_at TYPE timestamp", "created_at"),
    ] {
        let database = Database::create().await;
        database.execute(TABLE).await;
        database.execute(&format!("ALTER TABLE users {change}")).await;
        let before = database.schema().await;
        let refused = run(&Environment::new(&database.url), &["migrate"]).await;
        assert_eq!(refused.assert_code(65).err, unfit(column), "{change}");
        assert_eq!(database.schema().await, before, "{change}");
    }
}

// A reader, such as a backup, that keeps the table for hours: everybody else would queue behind a migration that waits.
#[tokio::test]
async fn a_migration_does_not_hold_up_the_old_service_while_somebody_reads_for_long() {
    let database = reference_database().await;
    let reader = database.connect().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").await.unwrap();
    let environment = Environment::new(&database.url);
    let refused = run(&environment, &["migrate"]).await;
    assert!(refused.assert_code(69).err.contains("lock timeout"), "{refused:?}");
    assert_eq!(database.value("SELECT count(*) > 0 FROM users").await, "t", "others read on");
    let service = crate::support::process::Process::start(&environment);
    service.line_with(&["db.waiting", "lock timeout"]).await;
    // Between its attempts nobody waits behind it.
    for _ in 0..20 {
        let waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted";
        assert_eq!(database.value(waiting).await, "0");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    reader.batch_execute("COMMIT").await.unwrap();
    service.ready().await;
}
