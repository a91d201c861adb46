//! POST: messages and their answers.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::BoxError;
use axum::body::{Body, HttpBody};
use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::poll;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mcphub_core::principal::Principal;
use mcphub_core::shared::SessionKey;
use rmcp::transport::common::http_header::HEADER_SESSION_ID;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::headers::{self, Accepts};
use super::{Refusal, bearer, event, json, progress, status};
use crate::federation::{Scope, View};
use crate::gateway::Inner;
use crate::mcp::answer::Answer;
use crate::mcp::batch;
use crate::mcp::call::is_relayed;
use crate::mcp::caller::{Caller, owner};
use crate::mcp::conversation::Turn;
use crate::mcp::error::RpcError;
use crate::mcp::listen::Subscription;
use crate::mcp::message::{Message, Notification, Payload, Request};
use crate::mcp::methods::{self, INITIALIZE, LISTEN};
use crate::mcp::reply::Reply;
use crate::mcp::revision::Revision;
use crate::mcp::roots;
use crate::mcp::routing::TOOLS_CALL;
use crate::mcp::session::SessionId;
use crate::mcp::trace;
use crate::upstream::ClientAbilities;

/// Who asks, and in which form they take answers.
#[derive(Clone, Copy)]
struct Asker<'a> {
    /// `None` where nobody is asked who they are.
    who: Option<&'a Arc<Principal>>,
    headers: &'a HeaderMap,
    accepts: Accepts,
}

/// Answers a POST.
pub(super) async fn answer(
    gateway: &Arc<Inner>,
    scope: Scope,
    who: Option<&Arc<Principal>>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    exchange(gateway, scope, who, &parts.headers, body)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn exchange(
    gateway: &Arc<Inner>,
    scope: Scope,
    who: Option<&Arc<Principal>>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    if !headers::has_json(headers) {
        return Err(RpcError::refused(415, "The body has to be application/json").into());
    }
    let accepts = Accepts::of(headers);
    if !accepts.json && !accepts.events {
        return Err(
            RpcError::refused(406, "Answers are application/json or text/event-stream").into(),
        );
    }
    let asker = Asker {
        who,
        headers,
        accepts,
    };
    let view = gateway
        .view(&scope, who.map(Arc::as_ref))
        .ok_or_else(Refusal::no_server)?;
    let bytes = read(gateway, headers, body).await?;
    let message = match Payload::read(&bytes, gateway.settings.max_batch)? {
        Payload::One(message) => message,
        Payload::Batch(messages) => {
            return batch(gateway, &view, asker, &messages).await;
        }
    };
    match message {
        Message::Request(request) => {
            let result = one(gateway, scope, &view, asker, &request, &bytes).await;
            Ok(result.unwrap_or_else(|error| refused(accepts, request.id, &error)))
        }
        Message::Notification(notification) => notified(gateway, asker, &notification).await,
        Message::Response(response) => {
            let session = speaks(gateway, asker).await?.1;
            if let Some((id, answer)) = response.answer() {
                let owner = owner(session, who);
                gateway.questions.answered(owner, id, answer);
            }
            Ok(StatusCode::ACCEPTED.into_response())
        }
    }
}

/// Reads the body within its bounds.
pub(super) async fn read(
    gateway: &Inner,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Refusal> {
    let limit = gateway.settings.body_limit;
    let too_large = || RpcError::refused(413, format!("A message has at most {limit} bytes"));
    let stated = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > limit as u64) {
        return Err(too_large().into());
    }
    let mut whole = pin!(whole(Limited::new(body, limit)));
    let read = match poll!(whole.as_mut()) {
        Poll::Ready(read) => Ok(read),
        // Most bodies come with their headers. A timer is large, so it is boxed.
        Poll::Pending => Box::pin(timeout(gateway.settings.body_timeout, whole)).await,
    };
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large().into()),
        Ok(Err(_)) => Err(RpcError::parse("Parse error: the body broke off").into()),
        Err(_) => Err(RpcError::refused(408, "The body did not come in time").into()),
    }
}

/// All of a body. One that comes in one piece, as most do, is not copied.
async fn whole(mut body: Limited<Body>) -> Result<Bytes, BoxError> {
    let Some(first) = body.frame().await else {
        return Ok(Bytes::new());
    };
    let first = first?.into_data().unwrap_or_default();
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = body.collect().await?.to_bytes();
    Ok([first, rest].concat().into())
}

/// Answers one request.
async fn one(
    gateway: &Arc<Inner>,
    scope: Scope,
    view: &Arc<View>,
    asker: Asker<'_>,
    request: &Request<'_>,
    bytes: &Bytes,
) -> Result<Response, RpcError> {
    let Asker {
        who,
        headers,
        accepts,
    } = asker;
    let mut revision = headers::revision(request, headers)?;
    let mut session = None;
    if !revision.is_modern() && request.method != INITIALIZE {
        session = headers::session(gateway, headers, who.map(Arc::as_ref)).await?;
        // What was settled on counts where nothing else is said.
        if let Some(session) = &session
            && headers::version(headers)?.is_none()
        {
            revision = session.revision();
        }
    }
    let caller = Caller {
        revision,
        session: session.as_ref().map(SessionId::key),
        who,
        abilities: session.as_ref().map_or(0, SessionId::abilities),
        streams: accepts.events,
        headers: Some(headers),
        trace: Some(headers),
        progress: None,
    };
    if revision.is_modern() && request.method == LISTEN {
        let subscription = Subscription::read(request, view)?;
        let admission = bearer::admission(gateway, headers, who);
        return super::stream::listen(gateway, scope, view, admission, accepts, subscription);
    }
    if accepts.events
        && request.method == TOOLS_CALL
        && let Some(token) = request.meta()?.progress
        && !is_relayed(view, request)?
    {
        let (gateway, view, bytes) = (Arc::clone(gateway), Arc::clone(view), bytes.clone());
        let who = who.cloned();
        let said = progress::Said {
            revision,
            session: caller.session,
            trace: trace::kept(headers),
        };
        return progress::call(gateway, view, bytes, who, said, accepts, token).await;
    }
    let outcome = match methods::answer(gateway, view, request, &caller).await? {
        Answer::Whole(outcome) => outcome,
        Answer::Talk(mut conversation) => match conversation.next().await {
            Turn::End(end) => end?,
            Turn::Cancelled => return Err(RpcError::cancelled()),
            Turn::Message(first) => {
                return Ok(super::stream::talk(
                    gateway,
                    first,
                    conversation,
                    request.id,
                ));
            }
        },
    };
    let mut response = deliver(accepts, StatusCode::OK, Reply::result(request.id, outcome));
    if request.method == INITIALIZE {
        let session = SessionId::new(
            methods::negotiate(request)?,
            view.digest(),
            abilities(request),
            who.map(Arc::as_ref),
        )
        .map_err(|error| {
            tracing::error!(error = %error.report(), "no session can be made");
            RpcError::internal()
        })?;
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(HEADER_SESSION_ID.as_bytes()),
            HeaderValue::from_str(session.as_str()),
        ) {
            response.headers_mut().insert(name, value);
            gateway.metrics.session_begun();
        }
    }
    Ok(response)
}

/// What the client that begins a session can be asked.
fn abilities(request: &Request<'_>) -> u8 {
    let capabilities = request.params.get("capabilities");
    capabilities.map_or(0, |raw| ClientAbilities::read(raw).bits())
}

/// Takes a notification. In the modern era a client cancels by going away; before, it says so. Then it
/// also tells how far its answer to a request of a server is, and that its roots changed.
async fn notified(
    gateway: &Inner,
    asker: Asker<'_>,
    notification: &Notification<'_>,
) -> Result<Response, Refusal> {
    let session = speaks(gateway, asker).await?.1;
    match (&*notification.method, session) {
        ("notifications/cancelled", Some(session)) => {
            if let Some(id) = notification.params.get("requestId") {
                gateway.running.cancel(session, id.get());
            }
        }
        ("notifications/progress", session) => {
            let owner = owner(session, asker.who);
            gateway.questions.progress(owner, &notification.params);
        }
        (roots::CHANGED, Some(session)) => gateway.roots.changed(session),
        _ => {}
    }
    tracing::trace!(method = &*notification.method, "a client told something");
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The revision and the session that headers alone tell.
async fn speaks(
    gateway: &Inner,
    asker: Asker<'_>,
) -> Result<(Revision, Option<SessionKey>), RpcError> {
    let stated = headers::version(asker.headers)?;
    let stated = stated
        .map(|text| {
            text.parse()
                .map_err(|_| RpcError::unsupported_version(text))
        })
        .transpose()?;
    if stated.is_some_and(Revision::is_modern) {
        return Ok((Revision::V2026_07_28, None));
    }
    let who = asker.who.map(Arc::as_ref);
    let session = headers::session(gateway, asker.headers, who).await?;
    let settled = session.as_ref().map(SessionId::revision);
    let revision = stated.or(settled).unwrap_or(Revision::UNSTATED);
    Ok((revision, session.as_ref().map(SessionId::key)))
}

/// Answers a batch, which only 2025-03-26 has (2025-03-26, Overview, Batching).
async fn batch(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    asker: Asker<'_>,
    messages: &[&RawValue],
) -> Result<Response, Refusal> {
    let (revision, _) = speaks(gateway, asker).await?;
    if revision != Revision::V2025_03_26 {
        return Err(RpcError::invalid_request(
            "Invalid request: only revision 2025-03-26 has batches",
        )
        .into());
    }
    let replies = batch::answers(gateway, view, asker.who, messages).await;
    if replies.is_empty() {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    Ok(deliver(
        asker.accepts,
        StatusCode::OK,
        Reply::batch(replies),
    ))
}

/// The error of a request. Who may not do what it asks for is told what would be enough.
fn refused(accepts: Accepts, id: &RawValue, error: &RpcError) -> Response {
    let reply = Reply::error(Some(id), error);
    let mut response = deliver(accepts, status(error.status), reply);
    if let Some(challenge) = error.scope().as_deref().and_then(bearer::insufficient) {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A message in the form that the client takes.
pub(super) fn deliver(accepts: Accepts, status: StatusCode, reply: Reply) -> Response {
    if accepts.json || status != StatusCode::OK {
        return json(status, reply);
    }
    event(reply)
}
