//! The bytes of a connection.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;

use super::watched::Activity;
use crate::listener::Connection;

/// What a client that speaks HTTP/2 begins with (RFC 9113, 3.4). No other request begins with the first
/// three bytes.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TELLING: usize = 3;

/// A connection of a client.
pub(super) struct Io {
    /// What was read already.
    read: Bytes,
    stream: TokioIo<Connection>,
    activity: Arc<Activity>,
}

/// What a client begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    Http1,
    Http2,
    /// It closes.
    Nothing,
}

impl Io {
    pub(super) fn new(stream: Connection) -> Self {
        Self {
            read: Bytes::new(),
            stream: TokioIo::new(stream),
            activity: Arc::default(),
        }
    }

    /// Waits for the first byte, which is read later on. A client of HTTP/2 sends what tells it apart in
    /// one piece.
    pub(super) async fn first(&self) -> Result<First> {
        if !self.read.is_empty() {
            return Ok(First::Http1);
        }
        let mut first = [0; PREFACE.len()];
        let stream = self.stream.inner().as_ref().get_ref().get_ref();
        let length = stream.peek(&mut first).await?;
        let first = first.get(..length).unwrap_or_default();
        Ok(if first.is_empty() {
            First::Nothing
        } else if first.len() >= TELLING && PREFACE.starts_with(first) {
            First::Http2
        } else {
            First::Http1
        })
    }

    /// The same, which notes here whether its client takes what it is sent.
    pub(super) fn noting(self, activity: &Arc<Activity>) -> Self {
        let activity = Arc::clone(activity);
        Self { activity, ..self }
    }

    /// The same before these bytes of it were read.
    pub(super) fn before(self, read: Bytes) -> Self {
        let read = match self.read.is_empty() {
            true => read,
            false => [read, self.read].concat().into(),
        };
        Self { read, ..self }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TokioIo<Connection>> {
        Pin::new(&mut self.get_mut().stream)
    }

    fn written(&self, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        self.activity.waits_for_client(written.is_pending());
        written
    }
}

impl Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let length = this.read.len().min(buffer.remaining());
        buffer.put_slice(this.read.get(..length).unwrap_or_default());
        this.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = self.as_mut().stream().poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = self.as_mut().stream().poll_write_vectored(cx, pieces);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
