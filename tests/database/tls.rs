use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::store;
use crate::support::{
    Environment,
    cluster::{Cluster, Stop},
    process::{Process, status},
    wait::eventually,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate that PostgreSQL shows, with its key.
struct Shown {
    certificate: String,
    key: String,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(of: Option<&Authority>, name: &str, expired: bool) -> Shown {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match of {
        Some(authority) => params.signed_by(&key, authority).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Shown { certificate: certificate.pem(), key: key.serialize_pem() }
}

// Whether a connection was made, and if so, whether it is encrypted.
async fn connects(cluster: &Cluster, mode: &str, authority: Option<&std::path::Path>) -> Result<bool, String> {
    let name = format!("tls-{mode}");
    let url = format!("{}?application_name={name}", cluster.url("postgres"));
    let mut environment = Environment::new(&url).with("DB_SSLMODE", mode);
    if let Some(path) = authority {
        environment = environment.with("DB_CA_FILE", path.to_str().unwrap());
    }
    let store = store(&environment);
    store.ping().await.map_err(|error| error.to_string())?;
    let watcher = cluster.connect("postgres").await;
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
    Ok(watcher.query_one(sql, &[&name]).await.unwrap().get(0))
}

#[tokio::test]
async fn each_sslmode_believes_whom_its_name_says_and_nobody_else() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let path = |name: &str, pem: &str| {
        let path = std::env::temp_dir().join(format!("mini-api-{}-{name}.pem", std::process::id()));
        std::fs::write(&path, pem).unwrap();
        path
    };
    let (right, wrong) = (path("ours", &ours.pem()), path("theirs", &theirs.pem()));
    let mut cluster = Cluster::create();
    // What PostgreSQL shows, whether its chain ends at ours, and whether its name is also right.
    let cases = [
        ("a good certificate", certificate(Some(&ours), "127.0.0.1", false), true, true),
        ("another host's certificate", certificate(Some(&ours), "db.example", false), true, false),
        ("an expired certificate", certificate(Some(&ours), "127.0.0.1", true), false, false),
        ("a self-signed certificate", certificate(None, "127.0.0.1", false), false, false),
        ("another authority's certificate", certificate(Some(&theirs), "127.0.0.1", false), false, false),
    ];
    cluster.set("ssl", "on");
    for (what, shown, of_ours, of_name) in cases {
        cluster.write("server.crt", &shown.certificate);
        cluster.write("server.key", &shown.key);
        cluster.run().await;
        assert_eq!(connects(&cluster, "disable", None).await, Ok(false), "disable, {what}");
        assert_eq!(connects(&cluster, "prefer", None).await, Ok(true), "prefer, {what}");
        assert_eq!(connects(&cluster, "require", None).await, Ok(true), "require, {what}");
        for (mode, good) in [("require", of_ours), ("verify-ca", of_ours), ("verify-full", of_ours && of_name)] {
            match connects(&cluster, mode, Some(&right)).await {
                Ok(encrypted) => assert!(good && encrypted, "{mode} believes {what}"),
                Err(why) => {
                    assert!(!good, "{mode} refuses {what}: {why}");
                    assert!(why.contains("certificate"), "{mode}, {what}: the reason does not say so: {why}");
                }
            }
        }
        let by_theirs = connects(&cluster, "verify-full", Some(&wrong)).await;
        assert_eq!(by_theirs.is_ok(), what.starts_with("another authority"), "the wrong authority, {what}");
        cluster.stop(Stop::Fast).await;
    }
    drop((std::fs::remove_file(&right), std::fs::remove_file(&wrong)));
}

#[tokio::test]
async fn from_a_server_without_tls_prefer_takes_none_and_the_others_refuse() {
    let cluster = Cluster::start().await;
    let ours = authority("ours");
    let path = std::env::temp_dir().join(format!("mini-api-{}-{}.pem", std::process::id(), cluster.port));
    std::fs::write(&path, ours.pem()).unwrap();
    assert_eq!(connects(&cluster, "disable", None).await, Ok(false));
    assert_eq!(connects(&cluster, "prefer", None).await, Ok(false));
    for (mode, authority) in [("require", None), ("verify-ca", Some(&*path)), ("verify-full", Some(&*path))] {
        let why = connects(&cluster, mode, authority).await.expect_err("a connection in the clear");
        assert!(why.contains("TLS"), "{mode}: {why}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_server_of_a_wrong_authority_is_told_once_and_every_request_is_a_503() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let mut cluster = Cluster::create();
    let show = |cluster: &Cluster, shown: &Shown| {
        cluster.write("server.crt", &shown.certificate);
        cluster.write("server.key", &shown.key);
    };
    cluster.set("ssl", "on");
    show(&cluster, &certificate(Some(&theirs), "127.0.0.1", false));
    cluster.run().await;
    let believed = std::env::temp_dir().join(format!("mini-api-{}-{}.pem", std::process::id(), cluster.port));
    std::fs::write(&believed, ours.pem()).unwrap();
    let environment = Environment::new(&cluster.url("postgres")).with("DB_SSLMODE", "verify-full");
    let environment = environment.with("DB_CA_FILE", believed.to_str().unwrap()).with("DB_START_TIMEOUT", "600");
    let mut service = Process::start(&environment);
    service.line_with(&["db.waiting", "certificate"]).await;
    let address = service.address().await;
    assert_eq!(status(address, "/livez").await, Some(200));
    assert_eq!(status(address, "/readyz").await, Some(503));
    let client = service.client().await;
    for refused in [
        client.login("a@b.com", "secret123").await,
        client.register("a@b.com", "secret123").await,
        client.me("x.y.z").await,
        client.get("/health").await,
    ] {
        refused.assert_problem(503, "The service is not ready");
    }
    let refused = "could not accept SSL connection";
    eventually("it has tried some times", async || cluster.log().matches(refused).count() >= 5).await;
    let told = service.lines().iter().filter(|line| line.contains("db.waiting")).count();
    assert_eq!(told, 1, "{:?}", service.lines());
    assert!(service.is_running());

    cluster.stop(Stop::Fast).await;
    show(&cluster, &certificate(Some(&ours), "127.0.0.1", false));
    cluster.run().await;
    assert_eq!(service.ready().await.register("a@b.com", "secret123").await.status, 201);
    std::fs::remove_file(&believed).unwrap();
}
