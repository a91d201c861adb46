//! A server that speaks the protocol of Redis and answers what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server on a port of its own, for as long as the test runs.
pub struct Double {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Double {
    /// It has all slots, and answers `EXISTS` as it is told: given whether `ASKING` came just before on
    /// the same connection, and its own address.
    pub async fn start(
        exists: impl Fn(bool, SocketAddr) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, exists) = (connections.clone(), Arc::new(exists));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (count, exists) = (count.clone(), exists.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, |name, asked, argument| match name {
                        "EXISTS" => {
                            count.fetch_add(usize::from(!asked.1), Ordering::Relaxed);
                            exists(asked.0, address)
                        }
                        "CLUSTER" => {
                            let port = address.port();
                            format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:{port}\r\n")
                        }
                        "SUBSCRIBE" => {
                            let length = argument.len();
                            format!("*3\r\n$9\r\nsubscribe\r\n${length}\r\n{argument}\r\n:1\r\n")
                        }
                        _ => "+OK\r\n".to_owned(),
                    })
                    .await;
                });
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// How many connections asked for a key.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Answers each command with its name, whether it comes after `ASKING` and after another `EXISTS`, and its
/// first argument.
async fn serve(
    stream: TcpStream,
    answer: impl Fn(&str, (bool, bool), &str) -> String,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut before = (false, false);
    loop {
        let mut words = Vec::new();
        for _ in 0..number(&mut read).await? {
            let mut word = vec![0; number(&mut read).await? + 2];
            read.read_exact(&mut word).await?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
        }
        let argument = words.get(1).map_or("", String::as_str);
        write
            .write_all(answer(&words[0], before, argument).as_bytes())
            .await?;
        before = (words[0] == "ASKING", before.1 || words[0] == "EXISTS");
    }
}

/// Of `*N` and `$N`.
async fn number(read: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<usize> {
    let mut line = String::new();
    read.read_line(&mut line).await?;
    let number = line.trim_end().get(1..).and_then(|n| n.parse().ok());
    number.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}
