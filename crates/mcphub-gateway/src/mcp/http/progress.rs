//! Calls that tell of themselves before their result is there: an event stream from the first
//! message on, and JSON as ever where there is none (2026-07-28, Streamable HTTP; 2025-11-25 alike).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, Stream};
use mcphub_core::principal::Principal;
use mcphub_core::shared::SessionKey;
use rmcp::transport::common::http_header::EVENT_STREAM_MIME_TYPE;
use serde_json::value::RawValue;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::headers::Accepts;
use super::load::Kept;
use super::post::deliver;
use super::status;
use super::stream::NO_BUFFERING;
use crate::federation::View;
use crate::gateway::Inner;
use crate::mcp::caller::Caller;
use crate::mcp::error::RpcError;
use crate::mcp::message::{Message, Payload};
use crate::mcp::methods;
use crate::mcp::reply::Reply;
use crate::mcp::revision::Revision;
use crate::upstream::Progress;

type Replying = Pin<Box<dyn Future<Output = (StatusCode, Reply)> + Send>>;

/// What a call says besides its message, as far as it has to be kept.
pub(super) struct Said {
    pub(super) revision: Revision,
    pub(super) session: Option<SessionKey>,
    /// The headers about its trace.
    pub(super) trace: HeaderMap,
}

/// Answers a `tools/call` whose client wants to hear of its progress. A client that goes away ends
/// the call.
pub(super) async fn call(
    gateway: Arc<Inner>,
    view: Arc<View>,
    bytes: Bytes,
    who: Option<Arc<Principal>>,
    said: Said,
    accepts: Accepts,
    token: &RawValue,
) -> Result<Response, RpcError> {
    let (progress, mut messages) = Progress::channel(token);
    let keep_alive = gateway.settings.keep_alive;
    let kept = Kept::of(&gateway);
    let mut replying: Replying = Box::pin(async move {
        let who = who.as_ref();
        reply(&gateway, &view, &bytes, who, &said, &progress).await
    });
    let (message, over) = tokio::select! {
        biased;
        Some(message) = messages.recv() => (message, None),
        (status, reply) = &mut replying => match messages.try_recv() {
            // It told of itself and ended at once.
            Ok(message) => (message, Some(reply)),
            Err(_) => return Ok(deliver(accepts, status, reply)),
        }
    };
    let mut call = Call {
        ready: VecDeque::from(event(Reply::text(message))),
        messages,
        replying: Some(replying),
        _kept: kept,
        keep_alive,
    };
    if let Some(reply) = over {
        call.end(reply);
    }
    Ok(events(call.stream()))
}

async fn reply(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    bytes: &[u8],
    who: Option<&Arc<Principal>>,
    said: &Said,
    progress: &Progress,
) -> (StatusCode, Reply) {
    // Read again, because what outlives the request cannot borrow from it.
    let Ok(Payload::One(Message::Request(request))) = Payload::read(bytes, 1) else {
        let error = RpcError::internal();
        return (status(error.status), Reply::error(None, &error));
    };
    let caller = Caller {
        revision: said.revision,
        session: said.session,
        who,
        abilities: 0,
        streams: false,
        headers: None,
        trace: Some(&said.trace),
        progress: Some(progress),
    };
    let outcome = match methods::answer(gateway, view, &request, &caller).await {
        Ok(answer) => answer.end().await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(outcome) => (StatusCode::OK, Reply::result(request.id, outcome)),
        Err(error) => (status(error.status), Reply::error(Some(request.id), &error)),
    }
}

/// A call that has begun to tell.
struct Call {
    /// What is to be sent next.
    ready: VecDeque<Bytes>,
    messages: Receiver<String>,
    /// None once it is over.
    replying: Option<Replying>,
    _kept: Kept,
    keep_alive: Duration,
}

impl Call {
    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold(self, |mut call| async move {
            let piece = call.next().await?;
            Some((Ok(piece), call))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.ready.pop_front() {
            return Some(piece);
        }
        let replying = self.replying.as_mut()?;
        let next = async {
            tokio::select! {
                biased;
                Some(message) = self.messages.recv() => (Some(message), None),
                (_, reply) = replying => (None, Some(reply)),
            }
        };
        let Ok((message, reply)) = timeout(self.keep_alive, next).await else {
            return Some(Bytes::from_static(b":\n\n"));
        };
        self.ready.extend(
            message
                .into_iter()
                .flat_map(|message| event(Reply::text(message))),
        );
        if let Some(reply) = reply {
            self.end(reply);
        }
        self.ready.pop_front()
    }

    /// What it told last, and the reply.
    fn end(&mut self, reply: Reply) {
        while let Ok(message) = self.messages.try_recv() {
            self.ready.extend(event(Reply::text(message)));
        }
        self.ready.extend(event(reply));
        self.replying = None;
    }
}

fn event(reply: Reply) -> Vec<Bytes> {
    reply.into_event().into_pieces()
}

fn events(stream: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(EVENT_STREAM_MIME_TYPE),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}
