use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};

use crate::support::{Database, Environment, bash, process::Process, run, wait::eventually};

/// The two files of a service, in a folder that goes with the test.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("mini-api-listener-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    // A self-signed certificate for localhost; what a client must trust is the certificate itself.
    fn renew(&self) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        replace(&self.0.join("key.pem"), &key.serialize_pem());
        replace(&self.0.join("cert.pem"), &certificate.pem());
    }
}

// As tools that renew certificates do: whole or not at all.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

// The version of HTTP and the status, as curl sees them when it trusts `ca`.
async fn get(port: u16, ca: &str, option: &str) -> String {
    let script = format!(
        "curl -sS --max-time 20 {option} --cacert '{ca}' -o /dev/null -w '%{{http_version}} %{{http_code}}' \
         https://localhost:{port}/livez"
    );
    bash(&script, &[]).await.out
}

async fn with_tls(files: &Files) -> (Process, Environment, u16) {
    let database = Database::create().await;
    let environment = Environment::new(&database.url)
        .with("TLS_CERT_FILE", &files.path("cert.pem"))
        .with("TLS_KEY_FILE", &files.path("key.pem"));
    let service = Process::start(&environment);
    let address = service.address().await;
    service.line_with(&["service.ready"]).await;
    (service, environment.with("LISTEN_ADDR", &address.to_string()), address.port())
}

#[tokio::test]
async fn over_tls_the_binary_speaks_both_versions_of_http_and_its_healthcheck_finds_it() {
    let files = Files::new("both");
    files.renew();
    let (_service, environment, port) = with_tls(&files).await;
    assert_eq!(get(port, &files.path("cert.pem"), "--http2").await, "2 200");
    assert_eq!(get(port, &files.path("cert.pem"), "--http1.1").await, "1.1 200");
    run(&environment, &["healthcheck"]).await.assert_code(0);
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_a_bad_one_is_not() {
    let files = Files::new("renewed");
    files.renew();
    let (service, _, port) = with_tls(&files).await;
    let first = files.path("first.pem");
    std::fs::copy(files.path("cert.pem"), &first).unwrap();
    files.renew();
    service.line_with(&["tls.reloaded"]).await;
    let second = files.path("cert.pem");
    eventually("the new certificate is shown", async || get(port, &second, "--http2").await == "2 200").await;
    assert_ne!(get(port, &first, "--http2").await, "2 200", "the old one is gone");
    let kept = files.path("kept.pem");
    std::fs::copy(&second, &kept).unwrap();
    replace(&files.0.join("cert.pem"), "no certificate");
    service.line_with(&["tls.reload.failed"]).await;
    assert_eq!(get(port, &kept, "--http2").await, "2 200");
}
