//! A network between a store and its server, which a test can cut.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// They arrive.
    Whole,
    /// They are lost, and nobody is told: connections look as if the other side were silent.
    Silent,
    /// Connections are ended, and new ones are not made.
    Cut,
}

/// Passes bytes on between a port of its own and a server's.
pub struct Relay {
    pub address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Relay {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, state) = watch::channel(Network::Whole);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server.clone(), state.clone()));
            }
        });
        Self { address, network }
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn relay(client: TcpStream, server: String, mut state: watch::Receiver<Network>) {
    let mut ended = state.clone();
    let cut = async {
        // The sender is gone with the test.
        let _ = ended.wait_for(|now| *now == Network::Cut).await;
    };
    let pass = async move {
        let _ = state.wait_for(|now| *now == Network::Whole).await;
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        tokio::select! {
            () = pump(client_read, server_write, state.clone()) => {}
            () = pump(server_read, client_write, state) => {}
        }
    };
    tokio::select! {
        () = cut => {}
        () = pass => {}
    }
}

/// What is lost in a silent network is lost for good, so that its connections are of no use
/// afterwards, as when a firewall forgot them.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    state: watch::Receiver<Network>,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut bytes).await {
        if read == 0 {
            return;
        }
        let now = *state.borrow();
        let part = bytes.get(..read).unwrap_or_default();
        if now == Network::Whole && to.write_all(part).await.is_err() {
            return;
        }
    }
}
