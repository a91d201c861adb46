//! An HTTP server on loopback that writes down what it is asked, and answers as told: also in ways
//! that no HTTP library would.

#![allow(dead_code, missing_docs)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use url::Url;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Recorded {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What to answer.
pub enum Reply {
    /// A whole answer: status, content type, body.
    Whole(u16, &'static str, Vec<u8>),
    /// These bytes, as they are; the connection is closed after them.
    Raw(Vec<u8>),
    /// These bytes, as they are; the connection stays for the next request.
    Kept(Vec<u8>),
    /// Nothing for so long.
    Silence(Duration),
    /// These bytes, and no more; the connection stays open.
    Stalled(Vec<u8>),
    /// The first bytes, and the others once the gate is opened; then the connection is closed.
    Gated(Vec<u8>, Arc<Notify>, Vec<u8>),
    /// A head and then chunks for ever.
    Endless,
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        Self::Whole(200, "application/json", body.into().into_bytes())
    }

    /// A redirect to a URL.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Raw(
            format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
                .into_bytes(),
        )
    }
}

/// The server. It ends with its runtime.
pub struct RecordingApi {
    pub url: Url,
    requests: Arc<Mutex<Vec<Recorded>>>,
    sent: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl RecordingApi {
    pub async fn start(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), answer).await
    }

    pub async fn start_at(
        address: SocketAddr,
        answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (requests, sent) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let open = Arc::new(AtomicUsize::new(0));
        let made = Arc::new(AtomicUsize::new(0));
        let api = Self {
            url,
            requests: Arc::clone(&requests),
            sent: Arc::clone(&sent),
            open: Arc::clone(&open),
            made: Arc::clone(&made),
        };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, requests, sent, open) = (
                    Arc::clone(&answer),
                    Arc::clone(&requests),
                    Arc::clone(&sent),
                    Arc::clone(&open),
                );
                open.fetch_add(1, Ordering::SeqCst);
                made.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // A client may go away at any time.
                    let _ = serve(stream, &*answer, &requests, &sent).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        api
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request that was made.
    pub fn request(&self) -> Recorded {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests[0].clone()
    }

    /// How many bytes of bodies the clients took.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many connections there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// How many connections there were.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// Host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.url.port().unwrap())
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Recorded) -> Reply + Send + Sync),
    requests: &Mutex<Vec<Recorded>>,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        requests.lock().unwrap().push(request.clone());
        match answer(&request) {
            Reply::Whole(status, kind, body) => {
                let kind = if kind.is_empty() {
                    String::new()
                } else {
                    format!("content-type: {kind}\r\n")
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\n{kind}content-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
                sent.fetch_add(body.len(), Ordering::SeqCst);
            }
            Reply::Raw(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::Kept(bytes) => stream.write_all(&bytes).await?,
            Reply::Stalled(bytes) => {
                stream.write_all(&bytes).await?;
                std::future::pending::<()>().await;
            }
            Reply::Gated(first, gate, then) => {
                stream.write_all(&first).await?;
                tokio::select! {
                    () = gate.notified() => stream.write_all(&then).await?,
                    // Nobody waits for them any more.
                    read = stream.read_buf(&mut buffer) => drop(read?),
                }
                return stream.shutdown().await;
            }
            Reply::Silence(time) => tokio::time::sleep(time).await,
            Reply::Endless => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                let chunk = [b"10000\r\n".as_slice(), &[b'1'; 0x1_0000], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk).await?;
                    sent.fetch_add(chunk.len(), Ordering::SeqCst);
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Recorded>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse::<usize>().ok())
        .unwrap_or_default();
    while buffer.len() < end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8_lossy(&buffer[end..end + length]).into_owned();
    buffer.drain(..end + length);
    let (method, target) = (
        first.next().unwrap_or_default(),
        first.next().unwrap_or_default(),
    );
    Ok(Some(Recorded {
        method,
        target,
        headers,
        body,
    }))
}
