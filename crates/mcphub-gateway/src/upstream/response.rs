//! The answer of an MCP server over HTTP, on whichever way it came.

use std::io;

use axum::http::Response;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::direct;
use super::http::cause;

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
        match self {
            Self::Direct(response) => {
                let chunk = response.body_mut().chunk().await;
                chunk.map_err(|error| cause(&*error))
            }
            Self::Client(response) => {
                let chunk = response.chunk().await;
                chunk.map_err(|error| cause(&error.without_url()))
            }
        }
    }

    /// The body piece by piece. An error says what broke it, in a few words.
    pub(super) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Direct(response) => response
                .into_body()
                .into_stream()
                .map(|chunk| chunk.map_err(|error| io::Error::other(cause(&error))))
                .boxed(),
            Self::Client(response) => response
                .bytes_stream()
                .map(|chunk| chunk.map_err(|error| io::Error::other(cause(&error.without_url()))))
                .boxed(),
        }
    }
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
