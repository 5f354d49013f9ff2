//! The server's certificate: read once at the start, and again whenever its files change.

use std::{fmt, fs, io, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ring::digest;
use rustls::{
    Error, InconsistentKeys, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::{Event, EventSink};
use crate::config::TlsFiles;

/// The certificate in use, and the files it is renewed from.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    check_every: Duration,
    config: Arc<ServerConfig>,
    in_use: Arc<InUse>,
    in_use_from: Fingerprint,
}

/// Why a certificate cannot be used: file, fault and remedy in one sentence, and nothing of what the file contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFault(String);

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsFault {}

impl Tls {
    /// Reads the files now; once served, they are read again every `check_every` and on SIGHUP.
    pub fn load(files: &TlsFiles, check_every: Duration) -> Result<Self, TlsFault> {
        let pair = Pair::read(files)?;
        let in_use = Arc::new(InUse(ArcSwap::from_pointee(pair.parse(files)?)));
        let mut config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFault(format!("TLS cannot be set up: {error}; rebuild with TLS 1.2 and 1.3")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<InUse>::clone(&in_use));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files: files.clone(),
            check_every,
            config: Arc::new(config),
            in_use,
            in_use_from: pair.fingerprint(),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }

    pub(super) async fn keep_fresh(mut self, on_event: EventSink) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut doubt = None;
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(self.check_every) => {}
                _ = hung_up => {}
            }
            self.renew(&mut doubt, &on_event).await;
        }
    }

    async fn renew(&mut self, doubt: &mut Option<Doubt>, on_event: &EventSink) {
        let files = self.files.clone();
        let Ok(read) = spawn_blocking(move || Pair::read(&files)).await else { return };
        let fingerprint = read.as_ref().map_or_else(TlsFault::fingerprint, Pair::fingerprint);
        if fingerprint == self.in_use_from {
            *doubt = None;
            return;
        }
        match read.and_then(|pair| pair.parse(&self.files)) {
            Ok(certificate) => {
                self.in_use.0.store(Arc::new(certificate));
                self.in_use_from = fingerprint;
                *doubt = None;
                on_event(&Event::CertificateRenewed);
            }
            // The two files are replaced one after the other, so only what is still wrong at the next look is a fault.
            Err(fault) => match doubt {
                Some(doubt) if doubt.of == fingerprint => {
                    if !std::mem::replace(&mut doubt.reported, true) {
                        on_event(&Event::CertificateNotRenewed(fault));
                    }
                }
                _ => *doubt = Some(Doubt { of: fingerprint, reported: false }),
            },
        }
    }
}

/// New files that could not be used.
struct Doubt {
    of: Fingerprint,
    reported: bool,
}

#[derive(Debug)]
struct InUse(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Tells contents apart without keeping a second copy of a private key.
type Fingerprint = [u8; 32];

fn fingerprint(parts: [&[u8]; 2]) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

impl TlsFault {
    fn fingerprint(&self) -> Fingerprint {
        fingerprint([self.0.as_bytes(), &[]])
    }
}

/// The contents of both files.
struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    fn read(files: &TlsFiles) -> Result<Self, TlsFault> {
        let read = |name: &str, path: &Path| {
            fs::read(path).map_err(|error| {
                let remedy = match error.kind() {
                    io::ErrorKind::NotFound => "mount the file or correct the path",
                    io::ErrorKind::PermissionDenied => "let the service's user read it",
                    _ => "check the file and its volume",
                };
                TlsFault(format!("{name}: cannot read {}: {error}; {remedy}", path.display()))
            })
        };
        Ok(Self { cert: read("TLS_CERT_FILE", &files.cert)?, key: read("TLS_KEY_FILE", &files.key)? })
    }

    fn fingerprint(&self) -> Fingerprint {
        fingerprint([&self.cert, &self.key])
    }

    fn parse(&self, files: &TlsFiles) -> Result<CertifiedKey, TlsFault> {
        let bad_cert = |what: String| {
            let path = files.cert.display();
            TlsFault(format!(
                "TLS_CERT_FILE: {path} {what}; give the server's certificate first, then its issuers, as PEM"
            ))
        };
        let bad_key = |what: String| {
            let path = files.key.display();
            TlsFault(format!("TLS_KEY_FILE: {path} {what}; give the certificate's key, unencrypted, as PEM"))
        };
        let chain = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| bad_cert(describe(&error)))?;
        if chain.is_empty() {
            return Err(bad_cert("contains no certificate".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| bad_key(describe(&error)))?;
        let key = default_provider().key_provider.load_private_key(key).map_err(|_| {
            bad_key("holds a key that is not usable (RSA from 2048 bits, P-256, P-384, Ed25519)".into())
        })?;
        let certificate = CertifiedKey::new(chain, key);
        match certificate.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certificate),
            Err(Error::InconsistentKeys(_)) => {
                Err(bad_key(format!("does not belong to the certificate in {}", files.cert.display())))
            }
            Err(_) => Err(bad_cert("holds a certificate that cannot be parsed".into())),
        }
    }
}

/// The PEM reader's own words could quote a line of the file.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "is cut off before an END line",
        pem::Error::NoItemsFound => "contains no usable private key",
        _ => "is not PEM",
    }
    .into()
}
