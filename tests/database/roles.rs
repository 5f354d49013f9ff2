use crate::support::{Database, Environment, TestApp, database::cluster_url};

/// What docs/postgresql.md tells an operator to run, word for word.
fn documented_rights() -> String {
    let page = include_str!("../../docs/postgresql.md");
    let begin = page.find("```sql\n").expect("the page has the statements") + "```sql\n".len();
    page[begin..begin + page[begin..].find("```").expect("their end")].to_owned()
}

// As somebody else, on the same database.
fn url_of(database: &Database, user: &str) -> String {
    let mut url = url::Url::parse(&database.url).unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some("a password for tests")).unwrap();
    url.to_string()
}

#[tokio::test]
async fn the_documented_rights_are_enough_to_migrate_and_to_serve_and_no_more() {
    let database = Database::create().await;
    let (owner, server) = (format!("{}_owner", database.name), format!("{}_app", database.name));
    let name = database.name.clone();
    let cluster = crate::support::Database { name: "postgres".into(), url: cluster_url() }.connect().await;
    // The page names its roles and database for a reader; here each test has its own.
    let (as_superuser, as_owner) = {
        let text = documented_rights()
            .replace("app_owner", &owner)
            .replace("app_db", &name)
            .replace("'…'", "'a password for tests'")
            .replace("TO app;", &format!("TO {server};"))
            .replace("ROLE app ", &format!("ROLE {server} "));
        let (first, second) = text.split_once("\\connect").expect("two parts");
        (first.to_owned(), second.split_once('\n').expect("a line").1.to_owned())
    };
    for statement in as_superuser.split_inclusive(';').filter(|s| !s.contains("CREATE DATABASE") && s.contains(';')) {
        cluster.batch_execute(statement).await.unwrap();
    }
    cluster.batch_execute(&format!("ALTER DATABASE {name} OWNER TO {owner}")).await.unwrap();
    database.connect().await.batch_execute(&as_owner).await.unwrap();

    let migrating = url_of(&database, &owner);
    let serving = Database { name: name.clone(), url: url_of(&database, &server) };
    let refused = super::store(&Environment::new(&serving.url)).migrate().await;
    assert!(refused.is_err(), "the serving role may change the schema");

    let app =
        TestApp::start_on(serving, |environment| environment.with("MIGRATE_DATABASE_URL", &migrating)).await.unwrap();
    let token = app.token_of("a@b.com", "secret123").await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
    assert_eq!(app.client.login("a@b.com", "wrong-one").await.status, 401);
    app.app.store.prune_attempts().await.unwrap();
    assert_eq!(app.client.get("/readyz").await.status, 200);
}
