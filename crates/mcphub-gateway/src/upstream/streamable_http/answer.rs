//! The answer to one request: a JSON object, or a stream of events that has it somewhere.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::value::RawValue;
use sse_stream::SseByteStream;

use super::message::Incoming;
use crate::upstream::Failure;
use crate::upstream::http::cause;

/// What a server answered to one request.
pub(super) enum Answer {
    /// The member `result`.
    Result(Box<RawValue>),
    /// The member `error`.
    Failure(Failure),
    /// No JSON-RPC answer.
    Status,
}

/// Whether an answer is a stream of events.
pub(super) fn is_events(response: &Response) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.trim_start()
        .to_ascii_lowercase()
        .starts_with("text/event-stream")
}

/// Reads an answer to request `id`, up to `limit` bytes. An error status needs no body.
pub(super) async fn read(response: Response, id: u64, limit: usize) -> Result<Answer> {
    let failed = !response.status().is_success();
    if is_events(&response) {
        return from_events(response, id, limit).await;
    }
    let body = whole(response, limit).await?;
    match parse(&body, id) {
        Ok(Some(answer)) => Ok(answer),
        // An error status with another body says enough by itself.
        _ if failed => Ok(Answer::Status),
        Ok(None) => Err(nonsense("it answers another request")),
        Err(error) => Err(nonsense("it is no JSON-RPC answer").caused_by(error)),
    }
}

pub(super) async fn whole(mut response: Response, limit: usize) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(too_large(limit)),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(broken(&cause(&error.without_url()))),
        }
    }
}

async fn from_events(response: Response, id: u64, limit: usize) -> Result<Answer> {
    let mut events = Events::new(response, limit);
    while let Some(data) = events.next().await? {
        // What else comes on the stream, such as progress, is about this request and not its end.
        if let Some(answer) = parse(data.as_bytes(), id)
            .map_err(|error| nonsense("it is no JSON-RPC message").caused_by(error))?
        {
            return Ok(answer);
        }
    }
    Err(broken("the stream ended before the answer"))
}

/// The answer to request `id`, or `None` for a message of another kind. An error without an id is
/// about this request: no other is on its way here.
fn parse(text: &[u8], id: u64) -> serde_json::Result<Option<Answer>> {
    let message: Incoming<'_> = serde_json::from_slice(text)?;
    let ours = message
        .id
        .is_some_and(|found| found.get() == id.to_string());
    let unnamed = message.id.is_none_or(|found| found.get() == "null");
    Ok(match message {
        Incoming {
            method: Some(_), ..
        } => None,
        Incoming {
            error: Some(failure),
            ..
        } if ours || unnamed => Some(Answer::Failure(failure)),
        Incoming {
            result: Some(result),
            ..
        } if ours => Some(Answer::Result(result.to_owned())),
        _ => None,
    })
}

/// Server-sent events, bounded.
pub(super) struct Events {
    events: SseByteStream<BoxStream<'static, io::Result<Bytes>>>,
    /// Bytes since the counter was last set to zero.
    read: Arc<AtomicUsize>,
    limit: usize,
}

impl Events {
    /// The events of a response, which together may have `limit` bytes.
    pub(super) fn new(response: Response, limit: usize) -> Self {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let bytes = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| io::Error::other(cause(&error.without_url())))?;
            if counter.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len() > limit {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            Ok(chunk)
        });
        Self {
            events: SseByteStream::new(bytes.boxed()),
            read,
            limit,
        }
    }

    /// The data of the next event that has any; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        while let Some(event) = self.events.next().await {
            let event = event.map_err(|error| match &error {
                sse_stream::Error::Body(source)
                    if source
                        .downcast_ref::<io::Error>()
                        .is_some_and(|e| e.kind() == io::ErrorKind::FileTooLarge) =>
                {
                    too_large(self.limit)
                }
                _ => broken(&cause(&error)),
            })?;
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The limit is for what comes from here on: the stream goes on for ever.
    pub(super) fn forget_read(&self) {
        self.read.store(0, Ordering::Relaxed);
    }
}

pub(super) fn nonsense(reason: &str) -> Error {
    Error::new(
        ErrorKind::Upstream,
        "the MCP server's answer makes no sense",
    )
    .with("reason", reason)
}

pub(super) fn broken(reason: &str) -> Error {
    Error::new(ErrorKind::Upstream, "the MCP server's answer broke off").with("reason", reason)
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, "the MCP server's answer is too large")
        .with("limit", limit)
        .set_fault(mcphub_core::Fault::Upstream)
}
