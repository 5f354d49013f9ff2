//! The throttle, through the API and through the store, on a real PostgreSQL.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use mini_api::{
    auth::{
        password::Cost,
        throttle::{Attempt, Network, Scope, Throttle},
    },
    config::{self, Limit},
    store::Admission,
    user::Email,
};

use crate::support::{Answer, Database, Environment, TestApp, cheap, wait::eventually};

const WRONG: &str = "wrong-password";
const THROTTLED: &str = "Too many attempts; wait as long as Retry-After says";

// The client's address is what the test says, by way of a proxy on loopback.
fn behind_a_proxy(environment: Environment) -> Environment {
    environment.with("TRUSTED_PROXIES", "127.0.0.0/8")
}

fn limits(environment: Environment, account_network: &str, network: &str, account: &str) -> Environment {
    behind_a_proxy(environment)
        .with("LOGIN_LIMIT_ACCOUNT_NETWORK", account_network)
        .with("LOGIN_LIMIT_NETWORK", network)
        .with("LOGIN_LIMIT_ACCOUNT", account)
}

// What the time would do: all buckets fill as if so many seconds had passed.
async fn let_pass(database: &Database, seconds: u64) {
    database.execute(&format!("UPDATE login_attempts SET full_at = full_at - {seconds}")).await;
}

#[tokio::test]
async fn after_a_burst_a_login_waits_as_long_as_it_is_told() {
    let app = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "3/60")).await;
    app.client.register("a@b.com", "secret123").await;
    for _ in 0..3 {
        app.client.login("a@b.com", WRONG).await.assert_problem(401, "Invalid credentials");
    }
    let refused = app.client.login("a@b.com", "secret123").await;
    refused.assert_problem(429, THROTTLED);
    let wait = refused.retry_after();
    assert!((50..=60).contains(&wait), "{wait}");
    let_pass(&app.database, wait - 11).await;
    app.client.login("a@b.com", "secret123").await.assert_problem(429, THROTTLED);
    let_pass(&app.database, 11).await;
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200, "waiting as long as told is enough");
}

#[tokio::test]
async fn waiting_while_refused_does_not_lengthen_the_wait() {
    let app = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "1/60")).await;
    app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    for _ in 0..20 {
        let refused = app.client.login("a@b.com", WRONG).await;
        refused.assert_problem(429, THROTTLED);
        assert!(refused.retry_after() <= 60);
    }
}

#[tokio::test]
async fn by_default_an_account_has_10_logins_from_one_network() {
    let app = TestApp::start().await;
    for _ in 0..10 {
        app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    }
    app.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
    assert_eq!(app.client.login("c@d.com", WRONG).await.status, 401, "another account from here is not concerned");
}

// Calls until one is refused: the burst must have been admitted, and no more than came back meanwhile.
async fn assert_limit(burst: u32, interval: u64, call: impl AsyncFn(u32) -> Answer) {
    let began = Instant::now();
    let mut admitted = 0;
    while call(admitted).await.status != 429 {
        admitted += 1;
        assert!(admitted < 10 * burst, "no limit is seen");
    }
    let back = u32::try_from(began.elapsed().as_secs() / interval + 1).unwrap();
    assert!((burst..=burst + back).contains(&admitted), "{admitted} of {burst}");
}

#[tokio::test]
async fn by_default_a_network_has_100_logins_an_account_50_and_registrations_are_100_a_network() {
    let app = TestApp::start_with(behind_a_proxy).await;
    let by_network = async |number| app.client.login_from("192.0.2.1", &format!("u{number}@b.com"), WRONG).await;
    assert_limit(100, 3, by_network).await;
    let by_account = async |number| app.client.login_from(&format!("198.51.100.{number}"), "a@b.com", WRONG).await;
    assert_limit(50, 300, by_account).await;
    let registrations = async |number| app.client.register(&format!("r{number}@b.com"), "secret123").await;
    assert_limit(100, 3, registrations).await;
}

#[tokio::test]
async fn one_network_is_limited_over_all_accounts() {
    let app = TestApp::start_with(|e| limits(e, "off", "4/60", "off")).await;
    for number in 0..4 {
        app.client.login_from("192.0.2.1", &format!("u{number}@b.com"), WRONG).await.assert_refusal(401);
    }
    app.client.login_from("192.0.2.1", "u9@b.com", WRONG).await.assert_problem(429, THROTTLED);
    app.client.login_from("192.0.2.2", "u9@b.com", WRONG).await.assert_refusal(401);
}

#[tokio::test]
async fn one_account_is_limited_over_all_networks() {
    let app = TestApp::start_with(|e| limits(e, "off", "off", "4/300")).await;
    for number in 0..4 {
        app.client.login_from(&format!("192.0.2.{number}"), "a@b.com", WRONG).await.assert_refusal(401);
    }
    let refused = app.client.login_from("192.0.2.9", "a@b.com", WRONG).await;
    refused.assert_problem(429, THROTTLED);
    assert!((290..=300).contains(&refused.retry_after()));
    app.client.login_from("192.0.2.9", "c@d.com", WRONG).await.assert_refusal(401);
}

#[tokio::test]
async fn an_attacker_elsewhere_cannot_lock_the_owner_out_where_he_logged_in_before() {
    let app = TestApp::start_with(|e| limits(e, "10/60", "100/3", "5/300")).await;
    app.client.register("a@b.com", "secret123").await;
    assert_eq!(app.client.login_from("192.0.2.1", "a@b.com", "secret123").await.status, 200);
    for number in 0..5 {
        app.client.login_from(&format!("198.51.100.{number}"), "a@b.com", WRONG).await.assert_refusal(401);
    }
    app.client.login_from("203.0.113.1", "a@b.com", "secret123").await.assert_problem(429, THROTTLED);
    assert_eq!(app.client.login_from("192.0.2.1", "a@b.com", "secret123").await.status, 200);
    // The other way round: what happens at the owner's place does not open the account to others.
    app.client.login_from("198.51.100.9", "a@b.com", WRONG).await.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn knowing_a_network_of_one_account_helps_no_other_account() {
    let app = TestApp::start_with(|e| limits(e, "off", "off", "2/300")).await;
    app.client.register("attacker@b.com", "secret123").await;
    assert_eq!(app.client.login_from("198.51.100.1", "attacker@b.com", "secret123").await.status, 200);
    for _ in 0..2 {
        app.client.login_from("198.51.100.1", "victim@b.com", WRONG).await.assert_refusal(401);
    }
    app.client.login_from("198.51.100.1", "victim@b.com", WRONG).await.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn all_addresses_of_one_ipv6_64_are_one_network() {
    let app = TestApp::start_with(|e| limits(e, "2/60", "off", "off")).await;
    app.client.login_from("2001:db8:1:2::1", "a@b.com", WRONG).await.assert_refusal(401);
    app.client.login_from("2001:db8:1:2:aaaa::2", "a@b.com", WRONG).await.assert_refusal(401);
    app.client.login_from("2001:db8:1:2:ffff:ffff:ffff:ffff", "a@b.com", WRONG).await.assert_problem(429, THROTTLED);
    app.client.login_from("2001:db8:1:3::1", "a@b.com", WRONG).await.assert_refusal(401);
}

#[tokio::test]
async fn forwarded_addresses_count_only_behind_trusted_proxies() {
    let app = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "2/60")).await;
    app.client.login_from("192.0.2.1", "a@b.com", WRONG).await.assert_refusal(401);
    app.client.login_from("192.0.2.2", "a@b.com", WRONG).await.assert_refusal(401);
    app.client.login_from("192.0.2.3", "a@b.com", WRONG).await.assert_problem(429, THROTTLED);
    let app = TestApp::start_with(|e| limits(e, "2/60", "off", "off")).await;
    for invented in ["10.1.1.1, 192.0.2.1", "10.1.1.2, 192.0.2.1"] {
        app.client.login_from(invented, "a@b.com", WRONG).await.assert_refusal(401);
    }
    let refused = app.client.login_from("10.1.1.3, 192.0.2.1", "a@b.com", WRONG).await;
    refused.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn replicas_on_one_database_count_together() {
    let one = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "4/60")).await;
    let two = TestApp::start_on(one.database.clone(), |e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "4/60")).await.unwrap();
    for _ in 0..2 {
        one.client.login("a@b.com", WRONG).await.assert_refusal(401);
        two.client.login("a@b.com", WRONG).await.assert_refusal(401);
    }
    one.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
    two.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn a_restart_does_not_reset_the_count() {
    let app = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "2/60")).await;
    for _ in 0..2 {
        app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    }
    let database = app.database.clone();
    app.stop().await;
    let app = TestApp::start_on(database, |e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "2/60")).await.unwrap();
    app.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn good_logins_use_nothing_up() {
    let app = TestApp::start_with(|e| limits(e, "3/60", "3/60", "3/60")).await;
    app.client.register("a@b.com", "secret123").await;
    for _ in 0..2 {
        app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    }
    for _ in 0..10 {
        assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
    }
    app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    app.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn unknown_accounts_are_throttled_as_known_ones() {
    let app = TestApp::start_with(|e| limits(e, "3/60", "off", "5/300")).await;
    app.client.register("known@b.com", "secret123").await;
    let mut seen = Vec::new();
    for email in ["known@b.com", "unknown@b.com"] {
        let mut statuses = Vec::new();
        for address in ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
            statuses.push(app.client.login_from(address, email, WRONG).await.status);
        }
        seen.push(statuses);
    }
    assert_eq!(seen[0], [401, 401, 401, 429, 401, 401, 429]);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_refusal_comes_before_the_account_is_looked_up_or_anything_is_hashed() {
    let (app, wire) = TestApp::start_on_wire(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "1/60")).await;
    app.client.register("a@b.com", "secret123").await;
    wire.listen_anew();
    app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    assert_eq!(wire.statements(), ["attempts.admit", "users.find_by_email"]);
    wire.listen_anew();
    app.client.login("a@b.com", "secret123").await.assert_problem(429, THROTTLED);
    assert_eq!(wire.statements(), ["attempts.admit"]);
}

#[tokio::test]
async fn a_limit_that_is_off_costs_no_statement() {
    let (app, wire) = TestApp::start_on_wire(|e| limits(e, "off", "off", "off")).await;
    wire.listen_anew();
    for _ in 0..20 {
        app.client.login("a@b.com", WRONG).await.assert_refusal(401);
    }
    assert!(wire.statements().iter().all(|name| name == "users.find_by_email"), "{:?}", wire.statements());
}

#[tokio::test]
async fn an_attempt_that_could_not_be_judged_costs_no_place() {
    let app = TestApp::start_with(|e| limits(e, "2/60", "off", "off").with("DB_STATEMENT_TIMEOUT", "1")).await;
    app.client.register("a@b.com", "secret123").await;
    let holder = app.database.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    for _ in 0..3 {
        app.client.login("a@b.com", "secret123").await.assert_refusal(503);
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(app.client.login("a@b.com", "secret123").await.status, 200);
}

#[tokio::test]
async fn a_login_or_registration_that_found_no_hasher_gives_its_place_back() {
    let dear = Cost::new(15, 8, 2).unwrap();
    let one_at_a_time = |e: Environment| {
        let e = e.with("HASH_SLOTS", "1").with("HASH_QUEUE", "1").with("REGISTER_LIMIT_NETWORK", "8/3600");
        limits(e, "off", "8/3600", "off")
    };
    let app = TestApp::listen_on(Database::create().await, dear, one_at_a_time).await.unwrap();
    app.become_ready().await.unwrap();
    let busy = "All password hashers are busy; wait as long as Retry-After says";

    let registrations = (0..8).map(async |number| app.client.register(&format!("u{number}@b.com"), "secret123").await);
    let (refused, judged): (Vec<_>, Vec<_>) = join_all(registrations).await.into_iter().partition(|a| a.status == 503);
    for answer in &refused {
        answer.assert_problem(503, busy);
    }
    assert!(!refused.is_empty() && judged.iter().all(|answer| answer.status == 201));
    for number in 0..refused.len() {
        let again = async || app.client.register(&format!("v{number}@b.com"), "secret123").await.status == 201;
        eventually("the place is there again", again).await;
    }
    app.client.register("w@b.com", "secret123").await.assert_problem(429, THROTTLED);

    let logins = (0..8).map(async |number| app.client.login(&format!("u{number}@b.com"), WRONG).await);
    let (refused, judged): (Vec<_>, Vec<_>) = join_all(logins).await.into_iter().partition(|a| a.status == 503);
    for answer in &refused {
        answer.assert_problem(503, busy);
    }
    assert!(!refused.is_empty() && judged.iter().all(|answer| answer.status == 401));
    for _ in 0..refused.len() {
        eventually("the place is there again", async || app.client.login("a@b.com", WRONG).await.status == 401).await;
    }
    app.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
}

#[tokio::test]
async fn a_hash_that_was_begun_is_paid_for_even_when_the_time_of_its_request_is_over() {
    let dearest = Cost::new(17, 8, 10).unwrap();
    let once = |e: Environment| e.with("REQUEST_TIMEOUT", "2").with("LOGIN_LIMIT_ACCOUNT_NETWORK", "1/3600");
    let app = TestApp::listen_on(Database::create().await, dearest, once).await.unwrap();
    app.become_ready().await.unwrap();
    let answer = app.client.login("a@b.com", WRONG).await;
    assert!([401, 503].contains(&answer.status), "{}", answer.text());
    // What gives places back would have done so by the time that a statement of the same pool was answered.
    for _ in 0..20 {
        app.client.login("a@b.com", WRONG).await.assert_problem(429, THROTTLED);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_waits_longer_than_hash_deadline_for_a_hasher_is_told_to_come_back() {
    let dear = Cost::new(15, 8, 10).unwrap();
    let patient = |e: Environment| e.with("HASH_SLOTS", "1").with("HASH_QUEUE", "100").with("HASH_DEADLINE", "1");
    let app = TestApp::listen_on(Database::create().await, dear, |e| limits(patient(e), "off", "off", "off"));
    let app = app.await.unwrap();
    app.become_ready().await.unwrap();
    // Each costs a tenth of a second and more on any machine, so that the last of so many would wait for many seconds.
    let logins = (0..60).map(async |number| app.client.login(&format!("u{number}@b.com"), WRONG).await);
    let answers = join_all(logins).await;
    assert!(answers.iter().all(|answer| [401, 503].contains(&answer.status)));
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty(), "all were served");
    assert!(refused.iter().all(|answer| (1..=30).contains(&answer.retry_after())));
    eventually("one alone is served", async || app.client.login("a@b.com", WRONG).await.status == 401).await;
}

// A throttle of the test's own, on a service's store.
fn throttle(burst: u32) -> Throttle {
    let rate = Limit::Rate { burst, interval: Duration::from_mins(1) };
    let limits =
        config::Throttle { account_network: rate, network: Limit::Off, account: Limit::Off, register_network: rate };
    Throttle::new(b"a key of the test's own", limits)
}

fn attempt(throttle: &Throttle, email: &str, address: &str) -> Attempt {
    throttle.login(&Email::parse(email).unwrap(), Network::from(address.parse::<IpAddr>().unwrap()))
}

#[tokio::test]
async fn of_200_concurrent_attempts_with_a_burst_of_10_exactly_10_are_admitted() {
    let app = TestApp::start().await;
    let attempt = Arc::new(attempt(&throttle(10), "a@b.com", "192.0.2.1"));
    let attempts = (0..200).map(|_| {
        let (store, attempt) = (app.app.store.clone(), attempt.clone());
        tokio::spawn(async move { store.admit(&attempt).await.unwrap() })
    });
    let answers: Vec<Admission> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == Admission::Admitted).count(), 10);
    for answer in &answers {
        if let Admission::Refused { scope, retry_after } = answer {
            assert_eq!(*scope, Scope::AccountNetwork);
            assert!((30..=60).contains(&retry_after.as_secs()), "{retry_after:?}");
        }
    }
}

#[tokio::test]
async fn concurrent_attempts_on_many_accounts_never_block_each_other_for_good() {
    let app = TestApp::start().await;
    let rate = |burst| Limit::Rate { burst, interval: Duration::from_mins(1) };
    let limits = config::Throttle {
        account_network: rate(1000),
        network: rate(1000),
        account: rate(1000),
        register_network: Limit::Off,
    };
    let throttle = Throttle::new(b"a key of the test's own", limits);
    let tasks = (0..200).map(|number| {
        let attempt = attempt(&throttle, &format!("u{}@b.com", number % 5), &format!("192.0.2.{}", number % 7));
        let store = app.app.store.clone();
        tokio::spawn(async move {
            let admitted = store.admit(&attempt).await;
            let forgiven = store.forgive(&attempt).await;
            (admitted, forgiven)
        })
    });
    for done in join_all(tasks).await {
        assert_eq!(done.unwrap(), (Ok(Admission::Admitted), Ok(())));
    }
}

#[tokio::test]
async fn through_the_api_too_a_burst_is_never_exceeded() {
    let app = TestApp::start_with(|e| e.with("LOGIN_LIMIT_ACCOUNT_NETWORK", "10/60")).await;
    let answers = join_all((0..60).map(|_| app.client.login("a@b.com", WRONG))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 50);
}

#[tokio::test]
async fn rows_are_as_many_as_buckets_and_go_when_they_mean_nothing_any_more() {
    let app = TestApp::start_with(|e| limits(e, "50/60", "30/600", "50/60")).await;
    for _ in 0..30 {
        app.client.login_from("192.0.2.1", "a@b.com", WRONG).await.assert_refusal(401);
    }
    assert_eq!(app.database.value("SELECT count(*) FROM login_attempts").await, "3");
    // Who is refused makes none, however many accounts he invents.
    for number in 0..20 {
        app.client.login_from("192.0.2.1", &format!("u{number}@b.com"), WRONG).await.assert_refusal(429);
    }
    assert_eq!(app.database.value("SELECT count(*) FROM login_attempts").await, "3");
    assert_eq!(app.app.store.prune_attempts().await, Ok(0), "no bucket is full yet");
    let_pass(&app.database, 86_400).await;
    assert_eq!(app.app.store.prune_attempts().await, Ok(3));
    assert_eq!(app.database.value("SELECT count(*) FROM login_attempts").await, "0");
}

#[tokio::test]
async fn a_running_service_forgets_full_buckets() {
    let app = TestApp::listen_on(Database::create().await, cheap(), behind_a_proxy).await.unwrap();
    app.become_ready_and_keep_house(Duration::from_millis(50)).await.unwrap();
    app.client.login_from("192.0.2.1", "a@b.com", WRONG).await.assert_refusal(401);
    let_pass(&app.database, 86_400).await;
    app.client.login_from("192.0.2.2", "c@d.com", WRONG).await.assert_refusal(401);
    eventually("only buckets that are not full are there", async || {
        app.database.value("SELECT count(*) FROM login_attempts").await == "3"
    })
    .await;
    let of_now = "SELECT count(*) FROM login_attempts WHERE full_at > extract(epoch FROM clock_timestamp())";
    assert_eq!(app.database.value(of_now).await, "3");
}

#[tokio::test]
async fn the_networks_of_an_account_are_bounded_and_forgotten_when_long_unused() {
    let app = TestApp::start().await;
    let throttle = throttle(1000);
    for number in 0..40 {
        let attempt = attempt(&throttle, "a@b.com", &format!("192.0.2.{number}"));
        app.app.store.forgive(&attempt).await.unwrap();
    }
    assert_eq!(app.database.value("SELECT count(*) FROM login_networks").await, "32");
    app.database.execute("UPDATE login_networks SET last_seen = now() - interval '91 days'").await;
    assert_eq!(app.app.store.prune_attempts().await, Ok(32));
}

#[tokio::test]
async fn no_row_of_the_throttle_tells_an_address_or_a_network() {
    let app = TestApp::start_with(behind_a_proxy).await;
    app.client.register("secret.person@b.com", "secret123").await;
    app.client.login_from("192.0.2.77", "secret.person@b.com", "secret123").await;
    app.client.login_from("192.0.2.77", "secret.person@b.com", WRONG).await;
    let keys = "SELECT encode(key, 'escape') || ' ' || length(key) FROM login_attempts \
                UNION ALL SELECT encode(account, 'escape') || encode(network, 'escape') || ' ' || length(account) FROM login_networks";
    let rows = app.database.rows(keys).await;
    assert_eq!(rows.len(), 5, "{rows:?}");
    for row in rows {
        assert!(row[0].ends_with(" 16"), "{row:?}");
        assert!(!row[0].contains("person") && !row[0].contains("b.com") && !row[0].contains("192.0.2"), "{row:?}");
    }
    // Nor can it be found by hashing guesses without the key.
    for guess in ["secret.person@b.com", "192.0.2.77"] {
        for hash in ["md5", "sha224", "sha256", "sha384", "sha512"] {
            let hashed =
                if hash == "md5" { format!("decode(md5('{guess}'), 'hex')") } else { format!("{hash}('{guess}')") };
            let sql = format!("SELECT count(*) FROM login_attempts WHERE key = substr({hashed}, 1, 16)");
            assert_eq!(app.database.value(&sql).await, "0");
        }
    }
}
