//! The listener's settings.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use rustls::{
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use url::Url;

use super::{
    Cors, Http, HttpLimits, TlsFiles,
    fault::{Refusal, quoted},
    reader::{Reader, Reported},
    table,
};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Http> {
    let listen = reader.address(&table::LISTEN_ADDR);
    let admin = reader.address(&table::ADMIN_ADDR);
    if let (Some(listen), Some(admin)) = (listen, admin)
        && collide(listen, admin)
    {
        let refusal =
            Refusal::new(format!("{admin} is taken by LISTEN_ADDR ({listen})"), "give it another port, such as 9000");
        reader.fault(table::ADMIN_ADDR.name, refusal);
    }
    let tls = tls(reader).unwrap_or_default();
    let trusted_proxies = reader.list(&table::TRUSTED_PROXIES, network);
    let cors = cors(reader);
    let limits = HttpLimits {
        connections: reader.count(&table::MAX_CONNECTIONS),
        body_bytes: reader.count(&table::MAX_BODY_BYTES).get(),
        header: reader.seconds(&table::HEADER_TIMEOUT),
        request: reader.seconds(&table::REQUEST_TIMEOUT),
        idle: reader.seconds(&table::IDLE_TIMEOUT),
        drain_delay: reader.seconds(&table::DRAIN_DELAY),
        drain: reader.seconds(&table::DRAIN_TIMEOUT),
    };
    Some(Http { listen: listen?, admin, tls, trusted_proxies, cors, limits })
}

fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

fn tls(reader: &mut Reader<'_>) -> Result<Option<TlsFiles>, Reported> {
    let (cert, key) = (table::TLS_CERT_FILE, table::TLS_KEY_FILE);
    for (set, missing) in [(cert, key), (key, cert)] {
        if reader.is_set(set.name) && !reader.is_set(missing.name) {
            let refusal =
                Refusal::new(format!("is not set, but {} is", set.name), "set both for TLS, or neither for plain HTTP");
            return Err(reader.fault(missing.name, refusal));
        }
    }
    // Both are read before either is judged, so that two bad files are reported together.
    let (cert, key) = (reader.file(&cert), reader.file(&key));
    let (Some(cert), Some(key)) = (cert?, key?) else { return Ok(None) };
    let files = TlsFiles { cert: cert.0, key: key.0 };
    match check_certificate(&cert.1, &key.1) {
        Ok(()) => Ok(Some(files)),
        Err((name, refusal)) => Err(reader.fault(name, refusal)),
    }
}

// The listener loads the files again, at the start and when they change; a start must not get that far with bad ones.
fn check_certificate(cert: &[u8], key: &[u8]) -> Result<(), (&'static str, Refusal)> {
    let cert_fault = |wrong: &str| {
        (table::TLS_CERT_FILE.name, Refusal::new(wrong, "name a PEM file: the server's certificate, then its issuers"))
    };
    let key_fault = |wrong: &str| {
        (table::TLS_KEY_FILE.name, Refusal::new(wrong, "name the PEM file of the certificate's private key"))
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<_, _>>()
        .map_err(|_| cert_fault("the file it names is not valid PEM"))?;
    if chain.is_empty() {
        return Err(cert_fault("the file it names has no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| key_fault("the file it names has no PEM private key without a passphrase"))?;
    match CertifiedKey::from_der(chain, key, &default_provider()) {
        // Unknown: the key is good, but its kind does not tell its public half.
        Ok(_) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(key_fault("the key does not belong to TLS_CERT_FILE")),
        Err(rustls::Error::InvalidCertificate(_)) => Err(cert_fault("the file's first certificate cannot be used")),
        Err(_) => Err(key_fault("the key is of a kind that cannot be used")),
    }
}

fn network(value: &str) -> Result<IpNet, Refusal> {
    value.parse().or_else(|_| value.parse::<IpAddr>().map(IpNet::from)).map(|net| net.trunc()).map_err(|_| {
        Refusal::new(
            format!("{} is neither a network nor an address", quoted(value)),
            "write networks such as 10.0.0.0/8 or fd00::/8, separated by commas",
        )
    })
}

fn cors(reader: &mut Reader<'_>) -> Cors {
    let origins = reader.list(&table::CORS_ALLOW_ORIGINS, origin);
    let any = origins.iter().any(|o| o == "*");
    match origins.len() {
        0 => Cors::Off,
        1 if any => Cors::AnyOrigin,
        _ if any => {
            let refusal = Refusal::new("has * beside origins", "write * alone, or only the origins");
            reader.fault(table::CORS_ALLOW_ORIGINS.name, refusal);
            Cors::Off
        }
        _ => Cors::Origins(origins),
    }
}

// Browsers send an origin in lower case, without a default port and without a slash: only that form can ever match.
fn origin(value: &str) -> Result<String, Refusal> {
    if value == "*" {
        return Ok(value.to_owned());
    }
    let refusal = || {
        Refusal::new(
            format!("{} is not an origin", quoted(value)),
            "write scheme://host or scheme://host:port, such as https://app.example, without a path",
        )
    };
    let url = Url::parse(value).map_err(|_| refusal())?;
    let no_more = matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !no_more || value.contains('*') {
        return Err(refusal());
    }
    Ok(url.origin().ascii_serialization())
}

impl TlsFiles {
    /// The files in the order they are loaded.
    pub fn paths(&self) -> [&PathBuf; 2] {
        [&self.cert, &self.key]
    }
}
