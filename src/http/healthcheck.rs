//! `mini-api healthcheck`: what `wget` would do, in an image that has none.
//!
//! Healthy means: the process answers and was ready once. The database's absence later is not the process's fault, and
//! an orchestrator that restarts it for that would make an outage longer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::tls::{Peer, client_config};

const PATIENCE: Duration = Duration::from_secs(3);
/// More than any health document; whatever listens there instead of us cannot fill our memory.
const ANSWER_MAX: u64 = 16 * 1024;

/// # Errors
/// One sentence on why the service is not healthy.
pub async fn check(listen: SocketAddr, tls: bool) -> Result<(), String> {
    let address = reachable(listen);
    let answer = timeout(PATIENCE, ask(address, tls))
        .await
        .map_err(|_| format!("{address} did not answer within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{address}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    let started = serde_json::from_str::<serde_json::Value>(body).is_ok_and(|document| document["started"] == true);
    match (status, started) {
        ("200", true) => Ok(()),
        ("200", false) => Err(format!("{address} is still starting")),
        _ => Err(format!("{address} answered {status}")),
    }
}

// A service that listens on all addresses is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let loopback = match listen {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, listen.port())
}

async fn ask(address: SocketAddr, tls: bool) -> Result<String, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    if !tls {
        return exchange(stream).await;
    }
    // The certificate names the service's public name, not loopback; that we reach ourselves is all that matters.
    let config = client_config(&Peer::Anyone)?;
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| e.to_string())?;
    exchange(stream).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<String, String> {
    const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(REQUEST).await.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    // A TLS peer may close without saying so; what has arrived decides.
    let read = stream.take(ANSWER_MAX).read_to_end(&mut answer).await;
    if answer.is_empty() {
        read.map_err(|e| e.to_string())?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
