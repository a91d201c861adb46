//! Server-sent events of a server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::header::CONTENT_TYPE;
use sse_stream::SseByteStream;

use super::http::cause;
use super::response::HttpResponse;

/// Whether an answer is a stream of events.
pub(super) fn is_events(response: &HttpResponse) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.trim_start()
        .to_ascii_lowercase()
        .starts_with("text/event-stream")
}

/// Server-sent events, bounded.
pub(super) struct Events {
    events: SseByteStream<BoxStream<'static, io::Result<Bytes>>>,
    /// Bytes since the counter was last set to zero.
    read: Arc<AtomicUsize>,
    limit: usize,
    /// The id of the last event that had one, and the pause that was asked for before the stream is
    /// opened again.
    pub(super) last_id: Option<String>,
    pub(super) retry: Option<Duration>,
}

impl Events {
    /// The events of a response, which together may have `limit` bytes.
    pub(super) fn new(response: HttpResponse, limit: usize) -> Self {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let bytes = response.into_stream().map(move |chunk| {
            let chunk = chunk?;
            if counter.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len() > limit {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            Ok(chunk)
        });
        Self {
            events: SseByteStream::new(bytes.boxed()),
            read,
            limit,
            last_id: None,
            retry: None,
        }
    }

    /// The data of the next event that has any; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        Ok(self.next_named().await?.map(|(_, data)| data))
    }

    /// The same with the name of the event, where it has one.
    pub(super) async fn next_named(&mut self) -> Result<Option<(Option<String>, String)>> {
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
            if event.id.is_some() {
                self.last_id = event.id;
            }
            if let Some(pause) = event.retry {
                self.retry = Some(Duration::from_millis(pause));
            }
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Ok(Some((event.event, data)));
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

pub(super) fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, "the MCP server's answer is too large")
        .with("limit", limit)
        .set_fault(mcphub_core::Fault::Upstream)
}
