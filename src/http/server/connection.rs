//! One connection, from the handshake to the last byte.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use poem::{
    Addr, Endpoint, RequestParts, Response,
    http::{self, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Counters, Event, EventSink,
    meter::{Meter, Order},
    request::answer,
};
use crate::config::HttpLimits;

/// Request line and headers together; more is answered with 431.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
const MAX_BUFFER_BYTES: usize = 64 * 1024;
const MAX_STREAMS: u32 = 100;
/// What a client may go on sending after its body was refused.
const MAX_DISCARDED_BYTES: usize = 64 * 1024 * 1024;

/// What all connections of one listener share.
pub(super) struct Shared<E> {
    pub endpoint: E,
    pub tls: Option<TlsAcceptor>,
    pub limits: HttpLimits,
    pub counters: Arc<Counters>,
    pub on_event: EventSink,
    /// Asked to stop: answers go on, and tell HTTP/1 clients that they are the last on their connections.
    pub leaving: AtomicBool,
}

/// What all requests of one connection share.
pub(super) struct Client<E> {
    pub shared: Arc<Shared<E>>,
    pub meter: Arc<Meter>,
    local: LocalAddr,
    remote: RemoteAddr,
    scheme: Scheme,
}

impl<E> Client<E> {
    pub fn parts(&self, head: http::request::Parts) -> RequestParts {
        (head, self.local.clone(), self.remote.clone(), self.scheme.clone()).into()
    }
}

pub(super) async fn serve<E>(stream: TcpStream, peer: SocketAddr, meter: Arc<Meter>, shared: Arc<Shared<E>>)
where
    E: Endpoint<Output = Response> + 'static,
{
    // Answers are written whole, so waiting for more to send only delays them. A socket that fails here fails later too.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().map_or_else(|_| Addr::default(), |addr| canonical(addr).into());
    let client = Client {
        meter: Arc::clone(&meter),
        local: LocalAddr(local),
        remote: RemoteAddr(canonical(peer).into()),
        scheme: if shared.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
        shared: Arc::clone(&shared),
    };
    let Some(acceptor) = &shared.tls else { return serve_http1(Stream::Plain(stream), client, peer).await };
    match shake_hands(acceptor, stream, &meter, &shared.limits).await {
        Some(stream) => {
            meter.restart();
            let stream = Box::new(stream);
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                serve_http2(Stream::Tls(stream), client, peer).await;
            } else {
                serve_http1(Stream::Tls(stream), client, peer).await;
            }
        }
        None => {
            shared.counters.refused_handshakes.fetch_add(1, Relaxed);
        }
    }
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    meter: &Meter,
    limits: &HttpLimits,
) -> Option<TlsStream<TcpStream>> {
    let told_to_go = poll_fn(|cx| if meter.ordered(cx.waker()).is_some() { Poll::Ready(()) } else { Poll::Pending });
    tokio::select! {
        shaken = timeout(limits.header, acceptor.accept(stream)) => shaken.ok()?.ok(),
        () = told_to_go => None,
    }
}

async fn serve_http1<E>(stream: Stream, client: Client<E>, peer: SocketAddr)
where
    E: Endpoint<Output = Response> + 'static,
{
    let client = Arc::new(client);
    let (meter, limits) = (&client.meter, &client.shared.limits);
    let service = service_fn({
        let client = Arc::clone(&client);
        move |request: http::Request<Incoming>| answer(Arc::clone(&client), request)
    });
    let mut http1 = http1::Builder::new();
    http1
        // `drive` bounds heads and idleness apart; this time-out would hold both to one limit and cost a timer a request.
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES as usize)
        .max_buf_size(MAX_BUFFER_BYTES)
        // A client that closes its side has gone: what it waited for (a hash slot, a look-up) is freed for others.
        .half_close(false);
    // The number of headers stays at hyper's limit of 100: any other is kept on the heap, for each request.
    let io = TokioIo::new(Metered { stream, meter: Arc::clone(meter), reads_heads: true });
    let mut connection = http1.serve_connection(io, service);
    let end = drive(&mut connection, http1::Connection::graceful_shutdown, meter, limits).await;
    client.shared.tell(&end, peer);
    let unread = match &end {
        End::Closed(result) => meter.has_left_unread() || result.as_ref().is_err_and(hyper::Error::is_parse),
        End::Overdue | End::Evicted => false,
    };
    if unread {
        // Nothing is owed to this client any more: it makes room when it is told to.
        meter.restart();
        let told_to_leave = poll_fn(|cx| match meter.ordered(cx.waker()) {
            Some(Order::Leave) => Poll::Ready(()),
            _ => Poll::Pending,
        });
        tokio::select! {
            () = discard(connection.into_parts().io.into_inner().stream.into_tcp(), limits.header) => {}
            () = told_to_leave => {}
        }
    }
}

async fn serve_http2<E>(stream: Stream, client: Client<E>, peer: SocketAddr)
where
    E: Endpoint<Output = Response> + 'static,
{
    let client = Arc::new(client);
    let (meter, limits) = (&client.meter, &client.shared.limits);
    let service = service_fn({
        let client = Arc::clone(&client);
        move |request: http::Request<Incoming>| answer(Arc::clone(&client), request)
    });
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        // Together the bodies being received take no more memory than this, whatever the number of streams.
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100);
    let io = TokioIo::new(Metered { stream, meter: Arc::clone(meter), reads_heads: false });
    let mut connection = http2.serve_connection(io, service);
    let end = drive(&mut connection, http2::Connection::graceful_shutdown, meter, limits).await;
    client.shared.tell(&end, peer);
}

impl<E> Shared<E> {
    // Connections that never came to a request, or did not take its answer: no other line would tell of them.
    fn tell(&self, end: &End<hyper::Result<()>>, peer: SocketAddr) {
        let why = match end {
            End::Overdue => {
                self.counters.overdue.fetch_add(1, Relaxed);
                "too slow".to_owned()
            }
            End::Closed(Err(error)) if error.is_parse() => error.to_string(),
            End::Closed(_) | End::Evicted => return,
        };
        (self.on_event)(&Event::ConnectionCut { peer, why });
    }
}

enum End<R> {
    Closed(R),
    Overdue,
    Evicted,
}

/// Drives a connection to its end, and ends it when it waits too long or is told to go.
async fn drive<C>(connection: &mut C, finish: fn(Pin<&mut C>), meter: &Meter, limits: &HttpLimits) -> End<C::Output>
where
    C: Future + Unpin,
{
    // A wait that begins after one look cannot be over before the next.
    let look_again = limits.header.min(limits.idle);
    let mut look = pin!(sleep(look_again));
    let mut finishing = false;
    poll_fn(|cx| {
        match meter.ordered(cx.waker()) {
            Some(Order::Leave) if meter.waits_for_a_whole_request() => return Poll::Ready(End::Evicted),
            Some(_) if !finishing => {
                finishing = true;
                finish(Pin::new(connection));
            }
            _ => {}
        }
        loop {
            if let Poll::Ready(output) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(End::Closed(output));
            }
            if look.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match meter.wait_ends(limits) {
                Some(end) if end <= now => {
                    // An idle client is told properly; one that does not even take that is cut at the next look.
                    if finishing || meter.waits_for_head() {
                        return Poll::Ready(End::Overdue);
                    }
                    finishing = true;
                    finish(Pin::new(connection));
                    look.as_mut().reset(now + look_again);
                }
                Some(end) => look.as_mut().reset(end.min(now + look_again)),
                None => look.as_mut().reset(now + look_again),
            }
        }
    })
    .await
}

/// Takes what the client still sends, for a while: closing over unread bytes resets the connection, and a client that
/// writes its whole body before it reads would never see the answer.
async fn discard(mut stream: TcpStream, limit: Duration) {
    let _ = stream.shutdown().await;
    let mut sink = vec![0; 16 * 1024];
    let mut left = MAX_DISCARDED_BYTES;
    let until_closed = async {
        while let Ok(read @ 1..) = stream.read(&mut sink).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(limit, until_closed).await;
}

/// An IPv4 client of a dual-stack socket is an IPv4 client.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// An enum rather than a type parameter: hyper is compiled once for both.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn into_tcp(self) -> TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.into_inner().0,
        }
    }
}

/// Tells the meter when bytes move.
struct Metered {
    stream: Stream,
    meter: Arc<Meter>,
    /// False for HTTP/2, where bytes between requests may be anything: only requests count.
    reads_heads: bool,
}

macro_rules! with_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.stream {
            Stream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = with_stream!(self, stream => stream.poll_read(cx, buf));
        if self.reads_heads && buf.filled().len() > before {
            self.meter.received();
        }
        result
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = with_stream!(self, stream => stream.poll_write(cx, buf));
        if let Poll::Ready(Ok(1..)) = result {
            self.meter.sent();
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = with_stream!(self, stream => stream.poll_write_vectored(cx, bufs));
        if let Poll::Ready(Ok(1..)) = result {
            self.meter.sent();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
