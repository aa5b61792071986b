//! The socket: it keeps the bytes that arrived, if asked to, and can be reset instead of answered.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::state::App;

/// A handle on one connection, given to each of its requests.
#[derive(Clone, Debug)]
pub struct Link {
    /// Counted from 1 in the order of arrival.
    pub id: u64,
    reset: Arc<AtomicBool>,
}

impl Link {
    /// The next byte of an answer resets the connection (TCP RST) instead of being sent.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Door>> for Link {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().link.clone()
    }
}

/// The listening socket.
pub struct Door {
    listener: TcpListener,
    app: App,
    accepted: AtomicU64,
}

impl Door {
    pub fn new(listener: TcpListener, app: App) -> Self {
        Door { listener, app, accepted: AtomicU64::new(0) }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // TcpListener's own `Listener` outlives errors such as too many open files.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers must not wait for an acknowledgement; without it they are slower, no more.
        let _ = stream.set_nodelay(true);
        let id = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let link = Link { id, reset: Arc::new(AtomicBool::new(false)) };
        (Connection { stream, link, app: Arc::clone(&self.app) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One accepted connection.
pub struct Connection {
    stream: TcpStream,
    link: Link,
    app: App,
}

impl Connection {
    /// With a linger of zero, closing sends RST rather than FIN; the error makes hyper close.
    fn broken(&self) -> Option<io::Error> {
        if !self.link.reset.load(Ordering::Acquire) {
            return None;
        }
        let _ = self.stream.set_zero_linger();
        Some(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        if !arrived.is_empty() {
            self.app.raw.arrived(self.link.id, arrived);
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.broken() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.broken() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.broken() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_shutdown(context),
        }
    }
}
