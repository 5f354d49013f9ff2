//! TLS to PostgreSQL, from no encryption to a verified chain and host name.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use crate::{
    config::DatabaseTls,
    tls::{Peer, client_config},
};

/// Makes TLS connections as `sslmode` demands. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// # Errors
    /// A sentence when the CA certificates cannot be used.
    pub fn new(mode: &DatabaseTls) -> Result<Self, String> {
        let peer = match mode {
            DatabaseTls::Disable | DatabaseTls::Prefer | DatabaseTls::Require => Peer::Anyone,
            DatabaseTls::VerifyCa(pem) => Peer::AnyNameOf(pem),
            DatabaseTls::VerifyFull(pem) => Peer::NamedBy(pem),
        };
        client_config(&peer).map(|config| Self(Arc::new(config))).map_err(|fault| format!("DB_CA_FILE: {fault}"))
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Connector;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connector, io::Error> {
        Ok(Connector { config: self.0.clone(), host: host.to_owned() })
    }
}

/// TLS to one host.
pub struct Connector {
    config: Arc<ClientConfig>,
    host: String,
}

impl<S> TlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host).map_err(io::Error::other)?;
            Ok(Encrypted(Box::new(TlsConnector::from(self.config).connect(name, stream).await?)))
        })
    }
}

/// A TLS stream to PostgreSQL.
pub struct Encrypted<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    // SCRAM without channel binding: the chain and name are what verify-full relies on.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
