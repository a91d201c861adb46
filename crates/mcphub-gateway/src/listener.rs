//! The connections of clients.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// A connection of a client.
pub(crate) type Connection = Pin<Box<TimeoutStream<TcpStream>>>;

/// A port whose connections suit a gateway, for [`Gateway::serve`](crate::Gateway::serve) and for
/// `axum::serve`:
///
/// - small answers are sent at once, without waiting for the client's acknowledgement;
/// - a client that takes nothing of what it is sent for 30 s loses its connection, and the gateway
///   what it held for it. A stream on which nothing is sent stays open.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    write_timeout: Duration,
}

impl Listener {
    /// The connections of this port.
    pub fn new(tcp: TcpListener) -> Self {
        Self {
            tcp,
            write_timeout: Duration::from_secs(30),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }

    /// Another limit than 30 s.
    #[must_use]
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = limit;
        self
    }
}

/// Where a connection comes from, which a [`Gateway`](crate::Gateway) that limits rates has to know:
///
/// ```text
/// axum::serve(listener, gateway.router().into_make_service_with_connect_info::<ClientAddress>())
/// ```
///
/// [`Gateway::serve`](crate::Gateway::serve) knows it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(SocketAddr);

impl ClientAddress {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// The address.
    pub fn ip(&self) -> IpAddr {
        self.0.ip()
    }
}

impl Connected<IncomingStream<'_, Listener>> for ClientAddress {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for ClientAddress {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.tcp).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection sends small answers late");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
