//! The answer of an MCP server over HTTP, on whichever way it came.

use std::io;

use axum::http::Response;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::direct;
use super::http::cause;
use super::turn;

/// An answer whose body is still to be read.
pub(super) enum HttpResponse {
    Direct(Response<direct::Body>),
    Client(reqwest::Response),
}

impl HttpResponse {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Direct(response) => response.status(),
            Self::Client(response) => response.status(),
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        match self {
            Self::Direct(response) => response.headers(),
            Self::Client(response) => response.headers(),
        }
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// What broke it, in a few words.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        let chunk = match self {
            Self::Direct(response) => {
                let chunk = response.body_mut().chunk().await;
                chunk.map_err(|error| cause(&*error))
            }
            Self::Client(response) => {
                let chunk = response.chunk().await;
                chunk.map_err(|error| cause(&error.without_url()))
            }
        }?;
        turn::took(chunk.as_ref().map_or(0, Bytes::len)).await;
        Ok(chunk)
    }

    /// The body piece by piece. An error says what broke it, in a few words.
    pub(super) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Direct(response) => response
                .into_body()
                .into_stream()
                .map(|chunk| chunk.map_err(|error| io::Error::other(cause(&error))))
                .then(taken)
                .boxed(),
            Self::Client(response) => response
                .bytes_stream()
                .map(|chunk| chunk.map_err(|error| io::Error::other(cause(&error.without_url()))))
                .then(taken)
                .boxed(),
        }
    }
}

async fn taken(chunk: io::Result<Bytes>) -> io::Result<Bytes> {
    turn::took(chunk.as_ref().map_or(0, Bytes::len)).await;
    chunk
}

impl From<Response<direct::Body>> for HttpResponse {
    fn from(response: Response<direct::Body>) -> Self {
        Self::Direct(response)
    }
}

impl From<reqwest::Response> for HttpResponse {
    fn from(response: reqwest::Response) -> Self {
        Self::Client(response)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;

    use super::*;

    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 256;

    /// An answer that is there at once, all of its 16 MiB.
    fn large() -> HttpResponse {
        let piece = Bytes::from(vec![b'x'; PIECE]);
        let pieces = stream::iter((0..PIECES).map(move |_| Ok::<_, io::Error>(piece.clone())));
        let body = reqwest::Body::wrap_stream(pieces);
        reqwest::Response::from(Response::new(body)).into()
    }

    /// How many turns another task has while one reads.
    async fn turns_during(reading: impl Future<Output = usize>) -> usize {
        let turns = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(reading.await, PIECE * PIECES);
        other.abort();
        turns.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn a_long_answer_leaves_others_their_turn() {
        let turns = turns_during(async {
            let (mut response, mut read) = (large(), 0);
            while let Some(chunk) = response.chunk().await.unwrap() {
                read += chunk.len();
            }
            read
        });
        assert!(turns.await >= 16);
        let turns = turns_during(async {
            let chunks = large().into_stream();
            chunks
                .fold(0, async |read, chunk| read + chunk.unwrap().len())
                .await
        });
        assert!(turns.await >= 16);
    }
}
