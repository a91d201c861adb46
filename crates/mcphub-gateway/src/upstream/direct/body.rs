//! The body of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder};
use axum::BoxError;
use axum::http::Response;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::Bytes;
use futures::future::poll_fn;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use hyper::body::{Body as _, Incoming};
use tokio_util::io::{ReaderStream, StreamReader};

use super::idle::Idle;
use super::line::Line;

/// How many pieces are read of a body that nobody wants, where they are here already.
const REST: usize = 4;

/// A body that is read. Its connection is given back at its end.
pub(crate) enum Body {
    AsSent(Sent),
    Decoded(BoxStream<'static, io::Result<Bytes>>),
}

/// A body as it comes.
pub(crate) struct Sent {
    incoming: Incoming,
    /// `None` when the body is at its end, or broke off.
    line: Option<Box<Line>>,
    idle: Arc<Idle>,
}

impl Body {
    pub(super) fn of(
        answer: Response<Incoming>,
        line: Box<Line>,
        idle: &Arc<Idle>,
    ) -> Response<Self> {
        let (mut head, incoming) = answer.into_parts();
        let mut sent = Sent {
            incoming,
            line: Some(line),
            idle: Arc::clone(idle),
        };
        if sent.incoming.is_end_stream() {
            sent.end();
        }
        let Some(encoding) = head.headers.get(CONTENT_ENCODING) else {
            return Response::from_parts(head, Self::AsSent(sent));
        };
        let encoding = encoding.as_bytes().to_ascii_lowercase();
        let body = match encoding.as_slice() {
            b"gzip" => {
                let mut decoder = GzipDecoder::new(reader(sent));
                decoder.multiple_members(true);
                ReaderStream::new(decoder).boxed()
            }
            b"br" => ReaderStream::new(BrotliDecoder::new(reader(sent))).boxed(),
            _ => return Response::from_parts(head, Self::AsSent(sent)),
        };
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(CONTENT_LENGTH);
        Response::from_parts(head, Self::Decoded(body))
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the body breaks off, or cannot be decoded.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BoxError> {
        match self {
            Self::AsSent(sent) => Ok(poll_fn(|cx| sent.poll_chunk(cx)).await?),
            Self::Decoded(stream) => Ok(stream.next().await.transpose()?),
        }
    }

    /// The body piece by piece.
    pub(crate) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::AsSent(sent) => stream_of(sent).boxed(),
            Self::Decoded(stream) => stream,
        }
    }

    /// How many bytes are left, where that is known.
    pub(crate) fn stated(&self) -> Option<u64> {
        match self {
            Self::AsSent(sent) => sent.incoming.size_hint().exact(),
            Self::Decoded(_) => None,
        }
    }
}

impl Sent {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<Option<Bytes>>> {
        loop {
            // Asked for what comes next, the connection reads it: first what is there, because whoever
            // takes what it reads wakes who waits for more.
            let mut read = self.poll_read();
            if read.is_pending()
                && let Some(line) = &mut self.line
            {
                line.read();
                read = self.poll_read();
            }
            if read.is_pending()
                && let Some(line) = &mut self.line
            {
                line.poll(cx);
                read = self.poll_read();
            }
            let frame = ready!(read);
            let Some(frame) = frame.transpose()? else {
                self.end();
                return Poll::Ready(Ok(None));
            };
            if self.incoming.is_end_stream() {
                self.end();
            }
            if let Ok(bytes) = frame.into_data() {
                return Poll::Ready(Ok(Some(bytes)));
            }
        }
    }

    /// What the connection has read. Only it can bring more, so that nobody has to be woken.
    fn poll_read(&mut self) -> Poll<Option<hyper::Result<hyper::body::Frame<Bytes>>>> {
        let cx = &mut Context::from_waker(Waker::noop());
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    /// Gives the connection back: all was read.
    fn end(&mut self) {
        if let Some(line) = self.line.take() {
            self.idle.put(line);
        }
    }
}

impl Drop for Sent {
    /// A stream of events is read up to the answer, and its end comes with that or right after: then
    /// the connection is as good as new.
    fn drop(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..REST {
            if self.line.is_none() || !matches!(self.poll_chunk(cx), Poll::Ready(Ok(Some(_)))) {
                return;
            }
        }
    }
}

fn stream_of(mut sent: Sent) -> impl Stream<Item = io::Result<Bytes>> {
    stream::poll_fn(move |cx| {
        sent.poll_chunk(cx)
            .map(|chunk| chunk.map_err(io::Error::other).transpose())
    })
}

fn reader(sent: Sent) -> StreamReader<impl Stream<Item = io::Result<Bytes>>, Bytes> {
    StreamReader::new(stream_of(sent))
}
