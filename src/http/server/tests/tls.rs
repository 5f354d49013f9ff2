use std::{fs, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::config::TlsFiles;

/// A pair of files that goes with the test.
struct Files {
    folder: PathBuf,
    files: TlsFiles,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Files {
    fn new(identity: &Identity) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = format!("mini-api-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(unique);
        fs::create_dir_all(&folder).unwrap();
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        let this = Self { folder, files };
        this.write(&identity.cert_pem, &identity.key_pem);
        this
    }

    fn write(&self, cert: &str, key: &str) {
        fs::write(&self.files.cert, cert).unwrap();
        fs::write(&self.files.key, key).unwrap();
    }

    fn load(&self) -> Tls {
        Tls::load(&self.files, Duration::from_millis(20)).unwrap()
    }

    fn fault(&self) -> String {
        Tls::load(&self.files, NEVER).unwrap_err().to_string()
    }
}

struct Identity {
    cert_pem: String,
    key_pem: String,
    key_der: Vec<u8>,
    cert: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["localhost".into()]).unwrap().self_signed(&key).unwrap();
        Self {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
            cert: cert.der().clone(),
        }
    }
}

async fn start_tls(tls: Tls, limits: HttpLimits) -> Running {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    start_on(socket, port, Some(tls), limits)
}

/// A client that trusts this one certificate.
async fn connect(running: &Running, trusted: &Identity, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, running.connect().await)).await
}

/// Waits until the server shows this certificate.
async fn shows(running: &Running, identity: &Identity) {
    within(async {
        while connect(running, identity, "http/1.1").await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn http2(running: &Running, identity: &Identity) -> http2::SendRequest<Full<Bytes>> {
    let stream = connect(running, identity, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: &str, path: &str, body: impl Into<Bytes>) -> hyper::Request<Full<Bytes>> {
    let uri = format!("https://localhost{path}");
    hyper::Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
}

async fn ask(
    sender: &mut http2::SendRequest<Full<Bytes>>,
    request: hyper::Request<Full<Bytes>>,
) -> (StatusCode, String) {
    let response = within(sender.send_request(request)).await.unwrap();
    let status = response.status();
    let body = within(response.into_body().collect()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http1_is_served_over_tls() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), limits()).await;
    let mut stream = connect(&running, &identity, "http/1.1").await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /who HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(reply(&mut stream).await.ok().ends_with(" https"));
    }
}

#[tokio::test]
async fn http2_is_served_over_tls_with_many_requests_at_once() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), limits()).await;
    let mut sender = http2(&running, &identity).await;
    let mut waiting = sender.clone();
    let waiting = tokio::spawn(async move { ask(&mut waiting, request("GET", "/gate", "")).await });
    until(|| running.inside() == 1).await;
    assert_eq!(ask(&mut sender, request("POST", "/", "hello")).await, (StatusCode::OK, "hello".into()));
    running.desk.gate.add_permits(1);
    assert_eq!(within(waiting).await.unwrap(), (StatusCode::OK, "through".into()));
    assert_eq!(running.counters.accepted.load(Relaxed), 1);
}

#[tokio::test]
async fn http2_requests_have_the_same_limits() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), HttpLimits { request: SHORT, ..limits() }).await;
    let mut sender = http2(&running, &identity).await;
    let (status, body) = ask(&mut sender, request("GET", "/never", "")).await;
    assert_eq!((status, body.contains("The answer took too long")), (StatusCode::SERVICE_UNAVAILABLE, true));
    let (status, body) = ask(&mut sender, request("POST", "/", vec![b'x'; 10 * MIB])).await;
    assert_eq!((status, body.contains("larger than 1000 bytes")), (StatusCode::PAYLOAD_TOO_LARGE, true));
    assert_eq!(ask(&mut sender, request("GET", "/next", "")).await, (StatusCode::OK, "/next".into()));
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_after_the_idle_limit() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), HttpLimits { idle: SHORT, ..limits() }).await;
    let mut sender = http2(&running, &identity).await;
    ask(&mut sender, request("GET", "/", "")).await;
    until(|| running.open() == 0).await;
}

#[tokio::test]
async fn an_idle_tls_connection_is_told_that_it_closes() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), HttpLimits { idle: SHORT, ..limits() }).await;
    let mut stream = connect(&running, &identity, "http/1.1").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    reply(&mut stream).await.ok();
    // Without the TLS layer's own farewell this would be an error.
    assert!(rest(&mut stream).await.is_empty());
}

#[tokio::test]
async fn draining_lets_an_http2_request_finish() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), limits()).await;
    let mut sender = http2(&running, &identity).await;
    let waiting = tokio::spawn(async move { ask(&mut sender, request("GET", "/gate", "")).await });
    until(|| running.inside() == 1).await;
    running.stop.cancel();
    within(async {
        while TcpStream::connect(("127.0.0.1", running.port)).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    running.desk.gate.add_permits(1);
    assert_eq!(within(waiting).await.unwrap(), (StatusCode::OK, "through".into()));
    assert_eq!(running.finish().await, ServeReport { cut: 0 });
}

#[tokio::test]
async fn ten_megabytes_over_tls_are_refused_with_a_413_that_the_client_can_read() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), limits()).await;
    let mut stream = connect(&running, &identity, "http/1.1").await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 10 * MIB);
    within(stream.write_all(head.as_bytes())).await.unwrap();
    within(stream.write_all(&vec![b'x'; 10 * MIB])).await.unwrap();
    assert_eq!(reply(&mut stream).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(rest(&mut stream).await.is_empty());
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let (old, new) = (Identity::new(), Identity::new());
    let files = Files::new(&old);
    let running = start_tls(files.load(), limits()).await;
    let mut open = http2(&running, &old).await;
    files.write(&new.cert_pem, &new.key_pem);
    shows(&running, &new).await;
    assert!(connect(&running, &old, "h2").await.is_err());
    assert_eq!(ask(&mut open, request("GET", "/", "")).await.0, StatusCode::OK, "connections stay");
    until(|| *running.events.lock().unwrap() == ["the renewed certificate is in use"]).await;
}

#[tokio::test]
async fn a_broken_renewal_keeps_the_old_certificate_and_is_reported_once() {
    let (old, new) = (Identity::new(), Identity::new());
    let files = Files::new(&old);
    let running = start_tls(files.load(), limits()).await;
    fs::write(&files.files.cert, &new.cert_pem).unwrap();
    until(|| !running.events.lock().unwrap().is_empty()).await;
    let event = running.events.lock().unwrap()[0].clone();
    assert!(event.contains("key.pem does not belong to the certificate"), "{event}");
    connect(&running, &old, "h2").await.unwrap();
    fs::remove_file(&files.files.cert).unwrap();
    until(|| running.events.lock().unwrap().len() == 2).await;
    connect(&running, &old, "h2").await.unwrap();
    files.write(&new.cert_pem, &new.key_pem);
    shows(&running, &new).await;
    until(|| running.events.lock().unwrap().len() == 3).await;
}

#[tokio::test]
async fn a_hangup_signal_reads_the_files_at_once() {
    use tokio::signal::unix::{SignalKind, signal};
    // Before any signal is sent, as it would end the process otherwise.
    let _caught = signal(SignalKind::hangup()).unwrap();
    let (old, new) = (Identity::new(), Identity::new());
    let files = Files::new(&old);
    let running = start_tls(Tls::load(&files.files, NEVER).unwrap(), limits()).await;
    connect(&running, &old, "h2").await.unwrap();
    files.write(&new.cert_pem, &new.key_pem);
    within(async {
        while connect(&running, &new, "h2").await.is_err() {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn plain_text_on_the_tls_port_is_refused_and_counted() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), limits()).await;
    let mut stream = running.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
    until(|| running.open() == 0).await;
    assert_eq!(running.counters.refused_handshakes.load(Relaxed), 1);
    connect(&running, &identity, "h2").await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_after_the_header_limit() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    let running = start_tls(files.load(), HttpLimits { header: SHORT, ..limits() }).await;
    let mut stream = running.connect().await;
    assert!(rest(&mut stream).await.is_empty());
    until(|| running.open() == 0).await;
    assert_eq!(running.counters.refused_handshakes.load(Relaxed), 1);
}

#[tokio::test]
async fn a_key_may_be_sec1() {
    let identity = Identity::new();
    let files = Files::new(&identity);
    // In the PKCS#8 form of a P-256 key the SEC1 structure is the last member.
    let sec1 = &identity.key_der[29..];
    assert_eq!(sec1[0], 0x30);
    let key =
        format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", BASE64_STANDARD.encode(sec1));
    files.write(&identity.cert_pem, &key);
    let running = start_tls(files.load(), limits()).await;
    connect(&running, &identity, "h2").await.unwrap();
}

#[test]
fn a_bad_pair_is_refused_in_a_sentence_that_names_file_fault_and_remedy() {
    let (one, other) = (Identity::new(), Identity::new());
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let encrypted = one.key_pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let files = Files::new(&one);
    for (cert, key, expected) in [
        ("", one.key_pem.as_str(), "cert.pem contains no certificate; give the server's certificate first"),
        (&half(&one.cert_pem), &one.key_pem, "cert.pem is cut off before an END line; give"),
        (&one.cert_pem, "", "key.pem contains no usable private key; give the certificate's key, unencrypted, as PEM"),
        (&one.cert_pem, &encrypted, "key.pem contains no usable private key; give"),
        (&one.cert_pem, &half(&one.key_pem), "key.pem is cut off before an END line; give"),
        (&one.cert_pem, &other.key_pem, "key.pem does not belong to the certificate in"),
    ] {
        files.write(cert, key);
        let fault = files.fault();
        assert!(fault.contains(expected), "{fault}");
        assert!(fault.starts_with("TLS_CERT_FILE: ") || fault.starts_with("TLS_KEY_FILE: "), "{fault}");
    }
    fs::remove_file(&files.files.key).unwrap();
    let fault = files.fault();
    assert!(fault.starts_with("TLS_KEY_FILE: cannot read "), "{fault}");
    assert!(fault.ends_with("; mount the file or correct the path"), "{fault}");
}
