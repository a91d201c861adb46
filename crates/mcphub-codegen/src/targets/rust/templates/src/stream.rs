//! Streams of the API: server-sent events and lines of JSON.
//!
//! They may go on for longer than a call. Who asks for progress hears of each event or line while it
//! comes; the result has all that came in time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::api::{TIMEOUT, cause};

/// How long before the end of the call reading ends, so that what came is still given.
const MARGIN: Duration = Duration::from_millis(200);
/// As much of a line or an event as is told, in bytes.
pub const MAX_TOLD: usize = 4 * 1024;

/// Tells somebody what came.
pub type Tell = Arc<dyn Fn(String) -> Telling + Send + Sync>;

/// Something that is being told.
pub type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Server-sent events (HTML, 9.2).
    Events,
    /// Lines that stand for themselves.
    Lines,
}

impl Kind {
    /// That of a media type; nothing for what is no stream.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/event-stream" => Some(Self::Events),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/json-seq" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// The bytes of an answer as they come. A stream ends early where it would be too late.
pub(crate) struct Chunks<'a> {
    response: Response,
    stream: Option<Stream<'a>>,
}

struct Stream<'a> {
    told: Told,
    tell: Option<&'a Tell>,
    end: Instant,
    /// Why it ended early.
    why: Option<String>,
}

impl<'a> Chunks<'a> {
    /// Those of an answer that is read whole.
    pub(crate) fn whole(response: Response) -> Self {
        let stream = None;
        Self { response, stream }
    }

    /// Those of a stream, in a call that ends at this time.
    pub(crate) fn of(response: Response, kind: Kind, tell: Option<&'a Tell>, end: Instant) -> Self {
        let stream = Some(Stream {
            told: Told::new(kind),
            tell,
            end: end.checked_sub(MARGIN).unwrap_or(end),
            why: None,
        });
        Self { response, stream }
    }

    /// How many bytes the API says that there are, where nothing was compressed.
    pub(crate) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next ones; nothing at the end.
    pub(crate) async fn next(&mut self) -> reqwest::Result<Option<Bytes>> {
        let Some(stream) = &mut self.stream else {
            return self.response.chunk().await;
        };
        match timeout_at(stream.end, self.response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let told = stream.tell.map(|tell| (tell, stream.told.take(&chunk)));
                let telling = async {
                    if let Some((tell, messages)) = told {
                        for message in messages {
                            tell(message).await;
                        }
                    }
                };
                // A client that takes nothing misses some.
                let _ = timeout_at(stream.end, telling).await;
                return Ok(Some(chunk));
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => stream.why = Some(format!("broke off: {}", cause(&error))),
            Err(_) => stream.why = Some(format!("went on after {} s", TIMEOUT.as_secs())),
        }
        Ok(None)
    }

    /// Says why a stream is read no more. Whether this is one.
    pub(crate) fn end(&mut self, why: String) -> bool {
        if let Some(stream) = &mut self.stream {
            stream.why = Some(why);
        }
        self.stream.is_some()
    }

    /// Leaves the whole lines of a stream that ended early; gives a line for the model that says so.
    pub(crate) fn cut(&self, body: &mut Vec<u8>) -> Option<String> {
        let why = self.stream.as_ref()?.why.as_ref()?;
        let lines = body.iter().rposition(|byte| *byte == b'\n');
        body.truncate(lines.map_or(0, |at| at + 1));
        let given = body.len();
        Some(format!(
            "[cut: the stream {why}; {given} bytes of it are given]"
        ))
    }
}

/// What was told of a stream.
struct Told {
    kind: Kind,
    /// The line that has not ended yet, and the event.
    line: Vec<u8>,
    event: String,
}

impl Told {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            line: Vec::new(),
            event: String::new(),
        }
    }

    /// What ended with these bytes.
    fn take(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        let mut parts = chunk.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            // A little more than is told, which shows that it was cut.
            let room = (MAX_TOLD + 64).saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room));
            if parts.peek().is_some() {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                let message = self.message(line.strip_suffix('\r').unwrap_or(&line));
                told.extend(message.filter(|message| !message.is_empty()).map(short));
            }
        }
        told
    }

    /// What ends with a line.
    fn message(&mut self, line: &str) -> Option<String> {
        if self.kind == Kind::Lines {
            // RFC 7464, 2.2: a text sequence has a separator before each text.
            return Some(line.trim_start_matches('\u{1e}').to_owned());
        }
        if line.is_empty() {
            return Some(std::mem::take(&mut self.event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" && self.event.len() <= MAX_TOLD {
            if !self.event.is_empty() {
                self.event.push('\n');
            }
            self.event
                .push_str(value.strip_prefix(' ').unwrap_or(value));
        }
        None
    }
}

fn short(mut message: String) -> String {
    if message.len() > MAX_TOLD {
        message.truncate(message.floor_char_boundary(MAX_TOLD));
        message.push('…');
    }
    message
}
