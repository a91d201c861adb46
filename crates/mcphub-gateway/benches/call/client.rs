//! Raw sockets that send bytes which were made before, so that what is measured is the server.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection, and the last answer.
pub struct Client {
    stream: TcpStream,
    pub buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server)
            .await
            .expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        Self {
            stream,
            buffer: Vec::with_capacity(8192),
        }
    }

    /// Sends a request and reads its answer into the buffer.
    pub async fn exchange(&mut self, request: &[u8]) {
        self.stream
            .write_all(request)
            .await
            .expect("the server reads");
        self.buffer.clear();
        while message_end(&self.buffer).is_none() {
            self.read().await;
        }
    }

    /// Sends a request and reads the head of its answer, and what comes with it.
    #[allow(dead_code, reason = "not every bench that has this file has streams")]
    pub async fn begin(&mut self, request: &[u8]) {
        self.stream
            .write_all(request)
            .await
            .expect("the server reads");
        self.buffer.clear();
        while find(&self.buffer, b"\r\n\r\n").is_none() {
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer);
        let read = read.await.expect("the server answers");
        assert!(read > 0, "the server closed the connection");
    }
}

/// Where the first HTTP message ends, if it is there whole: after `content-length` bytes of body,
/// or after the last chunk.
pub fn message_end(buffer: &[u8]) -> Option<usize> {
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let lines = buffer[..head].split(|byte| *byte == b'\n');
    let mut length = 0;
    for line in lines {
        if let Some(value) = value_of(line, b"content-length:") {
            length = value.parse().ok()?;
        } else if value_of(line, b"transfer-encoding:").is_some() {
            return buffer.ends_with(b"0\r\n\r\n").then_some(buffer.len());
        }
    }
    (buffer.len() >= head + length).then_some(head + length)
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let known = line.get(..name.len())?;
    let value = known
        .eq_ignore_ascii_case(name)
        .then(|| &line[name.len()..])?;
    std::str::from_utf8(value).ok().map(str::trim)
}

fn find(buffer: &[u8], what: &[u8]) -> Option<usize> {
    buffer.windows(what.len()).position(|window| window == what)
}
