use crate::{
    adoption::reference_database,
    support::{Database, Environment, TestApp, database::cluster_url},
};

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

// The page names its roles and database for a reader; here each test has its own.
fn named_for(database: &Database, text: &str) -> String {
    let (owner, server) = (owner_of(database), server_of(database));
    text.replace("app_owner", &owner)
        .replace("app_db", &database.name)
        .replace("'…'", "'a password for tests'")
        .replace("ROLE app ", &format!("ROLE {server} "))
        .split_inclusive(';')
        .map(|statement| {
            statement.strip_suffix("TO app;").map_or(statement.into(), |rest| format!("{rest}TO {server};"))
        })
        .collect()
}

fn owner_of(database: &Database) -> String {
    format!("{}_owner", database.name)
}

fn server_of(database: &Database) -> String {
    format!("{}_app", database.name)
}

// Makes the roles as documented, on a database that exists already.
async fn make_roles(database: &Database) {
    let text = named_for(database, &documented_rights());
    let (as_superuser, as_owner) = text.split_once("\\connect").expect("two parts");
    let cluster = Database { name: "postgres".into(), url: cluster_url() }.connect().await;
    for statement in as_superuser.split_inclusive(';').filter(|s| !s.contains("CREATE DATABASE") && s.contains(';')) {
        cluster.batch_execute(statement).await.unwrap_or_else(|e| panic!("{e:?} in {statement}"));
    }
    let owned = format!("ALTER DATABASE {} OWNER TO {}", database.name, owner_of(database));
    cluster.batch_execute(&owned).await.unwrap();
    database.execute(as_owner.split_once('\n').expect("a line").1).await;
}

// A service with the rights of the serving role, whose migrations are the owner's.
async fn start_as_documented(database: &Database) -> TestApp {
    let migrating = url_of(database, &owner_of(database));
    let serving = Database { name: database.name.clone(), url: url_of(database, &server_of(database)) };
    TestApp::start_on(serving, |environment| environment.with("MIGRATE_DATABASE_URL", &migrating)).await.unwrap()
}

#[tokio::test]
async fn the_documented_rights_are_enough_to_migrate_and_to_serve_and_no_more() {
    let database = Database::create().await;
    make_roles(&database).await;
    let refused = super::store(&Environment::new(&url_of(&database, &server_of(&database)))).migrate().await;
    assert!(refused.is_err(), "the serving role may change the schema");

    let app = start_as_documented(&database).await;
    let token = app.token_of("a@b.com", "secret123").await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
    assert_eq!(app.client.login("a@b.com", "wrong-one").await.status, 401);
    app.app.store.prune_attempts().await.unwrap();
    assert_eq!(app.client.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn the_documented_rights_to_an_adopted_table_are_enough() {
    let database = reference_database().await;
    make_roles(&database).await;
    let page = include_str!("../../docs/postgresql.md");
    let paragraph = page.split("\n\n").find(|text| text.starts_with("A database of the reference service")).unwrap();
    let statements: Vec<&str> = paragraph.split('`').skip(1).step_by(2).collect();
    assert_eq!(statements.len(), 3, "{statements:?}");
    for statement in statements {
        database.execute(&named_for(&database, &format!("{statement};"))).await;
    }

    let app = start_as_documented(&database).await;
    let token = app.log_in("a@b.com", "secret123").await;
    assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
    assert_eq!(app.client.register("new@b.com", "secret123").await.status, 201);
}
