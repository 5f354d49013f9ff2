use futures_util::future::join_all;
use mini_api::{
    store::{Store, StoreError},
    user::{Email, UserId},
};

use super::{lock_users, store, until_running};
use crate::support::{Database, Environment, database::cluster_url, wait::eventually};

// A store on a database with that many users: user N is uN@b.com.
async fn with_users(count: i32) -> (Database, Store) {
    let database = Database::create().await;
    // One connection, so that a test can hold up all look-ups by one lock.
    let environment = Environment::new(&database.url).with("DB_STATEMENT_TIMEOUT", "60");
    let store = store(&environment.with("DB_LOOKUP_CONNECTIONS", "1"));
    store.migrate().await.unwrap();
    let sql = format!(
        "INSERT INTO users (email, password_hash) SELECT 'u' || n || '@b.com', 'x' FROM generate_series(1, {count}) AS n; \
         ANALYZE users"
    );
    database.connect().await.batch_execute(&sql).await.unwrap();
    (database, store)
}

async fn email_of(store: &Store, id: i32) -> Option<String> {
    store.session(UserId(id)).await.unwrap().map(|session| session.user.email)
}

#[tokio::test]
async fn a_thousand_concurrent_look_ups_get_each_their_own_row_or_none() {
    let (_database, store) = with_users(1000).await;
    // Each id thrice at once, and every other one of nobody.
    let asked: Vec<i32> = (1..=2000).flat_map(|n| [n, 2001 - n, n]).collect();
    let found = join_all(asked.iter().map(|id| email_of(&store, *id))).await;
    for (id, email) in asked.iter().zip(found) {
        let expected = (*id <= 1000).then(|| format!("u{id}@b.com"));
        assert_eq!(email, expected, "of id {id}");
    }
    for odd in [0, -1, i32::MIN, i32::MAX] {
        assert_eq!(email_of(&store, odd).await, None);
    }
}

#[tokio::test]
async fn a_look_up_whose_client_went_away_does_not_disturb_its_neighbours() {
    let (database, store) = with_users(100).await;
    let (holder, watcher) = (database.connect().await, database.connect().await);
    lock_users(&holder).await;
    let ask = |id: i32| {
        let store = store.clone();
        tokio::spawn(async move { email_of(&store, id).await })
    };
    // The first is under way alone, the others wait together; every third gives up, of both kinds.
    let mut asked = vec![(1, ask(1))];
    until_running(&watcher, "users.sessions", 1).await;
    asked.extend((2..=100).map(|id| (id, ask(id))));
    tokio::task::yield_now().await;
    for (id, task) in &asked {
        if id % 3 == 1 {
            task.abort();
        }
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    for (id, task) in asked {
        if id % 3 != 1 {
            assert_eq!(task.await.unwrap(), Some(format!("u{id}@b.com")));
        }
    }
}

#[tokio::test]
async fn a_read_starts_after_its_request_arrived() {
    let (database, store) = with_users(2).await;
    let writer = database.connect().await;
    for version in 1..100 {
        let noise = tokio::spawn({
            let store = store.clone();
            async move { join_all((0..20).map(|_| email_of(&store, 2))).await }
        });
        writer.execute("UPDATE users SET token_version = $1 WHERE id = 1", &[&version]).await.unwrap();
        let session = store.session(UserId(1)).await.unwrap().unwrap();
        assert_eq!(session.token_version, version, "a look-up answered with the past");
        noise.await.unwrap();
    }
}

// In a database without an encoding the server looks at bytes only when it sends them.
#[tokio::test]
async fn a_row_that_is_no_text_fails_alone() {
    let (store, bad) = with_a_bad_row("SQL_ASCII", "E'\\xff\\xfe'").await;
    assert_neighbours(&store, bad).await;
}

// A character that UTF-8 has not makes it refuse the statement as a whole, too.
#[tokio::test]
async fn a_row_that_the_server_cannot_translate_fails_alone() {
    let (store, bad) = with_a_bad_row("EUC_CN", "convert_from('\\xfefe'::bytea, 'EUC_CN')").await;
    assert_neighbours(&store, bad).await;
}

async fn with_a_bad_row(encoding: &str, text: &str) -> (Store, i32) {
    let mut database = Database::create().await;
    let name = format!("{}_{}", database.name, encoding.to_lowercase());
    let admin = database.connect().await;
    let create = format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
    admin.batch_execute(&create).await.unwrap();
    let mut url = url::Url::parse(&cluster_url()).unwrap();
    url.set_path(&name);
    database.url = url.to_string();
    let store = store(&Environment::new(&database.url));
    store.migrate().await.unwrap();
    let sql = format!(
        "INSERT INTO users (email, password_hash) SELECT 'u' || n || '@b.com', 'x' FROM generate_series(1, 9) AS n; \
         UPDATE users SET full_name = {text} WHERE id = 5"
    );
    database.connect().await.batch_execute(&sql).await.unwrap();
    (store, 5)
}

async fn assert_neighbours(store: &Store, bad: i32) {
    for _ in 0..3 {
        let found = join_all((1..=12).map(|id| store.session(UserId(id)))).await;
        for (id, found) in (1..=12).zip(found) {
            if id == bad {
                assert!(matches!(found, Err(StoreError::Unexpected(_))), "{found:?}");
            } else {
                let email = found.unwrap().map(|session| session.user.email);
                assert_eq!(email, (id <= 9).then(|| format!("u{id}@b.com")));
            }
        }
    }
}

// What is prepared shows in no view of another session, so the rows that indexes fetched are counted.
#[tokio::test]
async fn look_ups_read_an_index_however_many_users_there_are() {
    let (database, store) = with_users(100_000).await;
    let watcher = database.connect().await;
    let counters = async || {
        const SQL: &str = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'users'";
        let row = watcher.query_one(SQL, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    // PostgreSQL 14 may lose a count on a busy machine, so what is waited for is asked for again and again.
    let found = async || email_of(&store, 1).await.as_deref() == Some("u1@b.com");
    eventually("the filling and a look-up are counted", async || found().await && counters().await.1 > 0).await;
    let (scans, begin) = counters().await;
    for round in 0..10 {
        join_all((1..=20).map(|id| email_of(&store, 1000 * round + id))).await;
    }
    eventually("look-ups read an index", async || found().await && counters().await.1 > begin + 100).await;
    let (_, before) = counters().await;
    let email = Email::parse("U77@b.com").unwrap();
    let addressed = async || store.find_by_email(&email).await.unwrap().unwrap().id == UserId(77);
    eventually("addresses read an index", async || addressed().await && counters().await.1 > before + 100).await;
    assert_eq!(counters().await.0, scans, "nothing read the whole table");
}

#[tokio::test]
async fn more_waiting_look_ups_than_the_queue_holds_are_refused_at_once() {
    let (database, store) = with_users(1).await;
    let (holder, watcher) = (database.connect().await, database.connect().await);
    lock_users(&holder).await;
    let ask = |_| {
        let store = store.clone();
        tokio::spawn(async move { store.session(UserId(1)).await })
    };
    let first = ask(0);
    until_running(&watcher, "users.sessions", 1).await;
    let asked: Vec<_> = (0..10_000).map(ask).collect();
    // Those that do not fit are answered while the lock is still held.
    eventually("some are refused", async || asked.iter().filter(|one| one.is_finished()).count() >= 1000).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(first.await.unwrap().unwrap().is_some());
    let mut refused = 0;
    for answer in join_all(asked).await {
        match answer.unwrap() {
            Ok(session) => assert!(session.is_some()),
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                refused += 1;
            }
        }
    }
    assert!((1000..5000).contains(&refused), "{refused}");
}
