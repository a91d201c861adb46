//! Streams of server-sent events: announcements of the old era and of the modern one.

use std::convert::Infallible;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use mcphub_core::principal::Principal;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use super::headers::{self, Accepts};
use super::load::Kept;
use super::{Refusal, bearer};
use crate::auth::Admission;
use crate::federation::{Scope, View};
use crate::gateway::Inner;
use crate::mcp::conversation::{Conversation, Turn};
use crate::mcp::error::RpcError;
use crate::mcp::listen::{Changes, Subscription};
use crate::mcp::reply::Reply;
use crate::mcp::revision::Revision;
use crate::mcp::session::{SessionId, SessionStream};

/// Tells reverse proxies not to hold events back (2026-07-28, Streamable HTTP, Receiving Messages).
pub(super) const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// GET: the stream of a session (2025-11-25, Transports, Listening for Messages). The modern era
/// has none, and neither has whoever names no revision: 405.
pub(super) async fn open(
    gateway: &Arc<Inner>,
    scope: Scope,
    headers: &HeaderMap,
    who: Option<&Arc<Principal>>,
) -> Response {
    old_stream(gateway, scope, headers, who)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

/// DELETE: ends a session (2025-11-25, Transports, Session Management).
pub(super) async fn end(gateway: &Inner, headers: &HeaderMap, who: Option<&Principal>) -> Response {
    let ended = async {
        let Some(session) = old_session(gateway, headers, who).await? else {
            return Err(RpcError::refused(400, "Mcp-Session-Id is missing").into());
        };
        gateway.end_session(session.key()).await;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    ended
        .await
        .unwrap_or_else(|refusal: Refused| refusal.into_response())
}

/// The answer to a `subscriptions/listen`.
pub(super) fn listen(
    gateway: &Arc<Inner>,
    scope: Scope,
    view: &View,
    admission: Option<Admission>,
    accepts: Accepts,
    subscription: Subscription,
) -> Result<Response, RpcError> {
    if !accepts.events {
        return Err(RpcError::refused(
            406,
            "A subscription is answered with text/event-stream",
        ));
    }
    let permit = permit(gateway)?;
    let watched = subscription.watched();
    let changes = Changes::since(gateway, scope, admission, view.digest(), watched);
    let messages = subscription.messages(changes);
    Ok(events(gateway, Some(permit), messages))
}

/// The answer to a request whose server says something before it.
pub(super) fn talk(
    gateway: &Arc<Inner>,
    first: String,
    conversation: Box<Conversation>,
    id: &RawValue,
) -> Response {
    let begun = (conversation, id.to_owned(), Kept::of(gateway));
    let rest = stream::unfold(Some(begun), |state| async move {
        let (mut conversation, id, kept) = state?;
        match conversation.next().await {
            Turn::Message(message) => Some((message, Some((conversation, id, kept)))),
            Turn::End(Ok(outcome)) => Some((Reply::result(&id, outcome).into_line(), None)),
            Turn::End(Err(error)) => Some((Reply::error(Some(&id), &error).into_line(), None)),
            Turn::Cancelled => None,
        }
    });
    events(gateway, None, stream::iter([first]).chain(rest))
}

async fn old_stream(
    gateway: &Arc<Inner>,
    scope: Scope,
    headers: &HeaderMap,
    who: Option<&Arc<Principal>>,
) -> Result<Response, Refused> {
    let session = old_session(gateway, headers, who.map(Arc::as_ref)).await?;
    if !Accepts::of(headers).events {
        return Err(RpcError::refused(406, "The stream is text/event-stream").into());
    }
    let view = gateway
        .view(&scope, who.map(Arc::as_ref))
        .ok_or_else(Refusal::no_server)?;
    let permit = permit(gateway)?;
    // A session that began with another list, here or before a restart, hears of that at once.
    let seen = session.as_ref().map_or(view.digest(), SessionId::lists);
    let key = session.as_ref().map(SessionId::key);
    let admission = bearer::admission(gateway, headers, who);
    let changes = Changes::of_session(gateway, scope, admission, seen, key);
    let open = session.map(|session| SessionStream::open(&gateway.sessions, session.key()));
    Ok(events(gateway, Some(permit), announcements(changes, open)))
}

fn announcements(
    changes: Changes,
    open: Option<SessionStream>,
) -> impl Stream<Item = String> + Send + 'static {
    stream::unfold((changes, open), |(mut changes, open)| async move {
        loop {
            let ended = async {
                match &open {
                    Some(open) => open.ended().await,
                    None => std::future::pending().await,
                }
            };
            let change = tokio::select! {
                change = changes.next() => change?,
                () = ended => return None,
            };
            if open.as_ref().is_none_or(SessionStream::is_newest) {
                return Some((change.announcement(), (changes, open)));
            }
        }
    })
}

/// The session of a GET or DELETE; `None` where a revision of the old era is named, but no session.
async fn old_session(
    gateway: &Inner,
    headers: &HeaderMap,
    who: Option<&Principal>,
) -> Result<Option<SessionId>, Refused> {
    let stated = headers::version(headers)?;
    let revision = stated.map(|text| {
        text.parse::<Revision>()
            .map_err(|_| RpcError::unsupported_version(text))
    });
    let revision = revision.transpose()?;
    if revision.is_some_and(Revision::is_modern) {
        return Err(Refused::MethodNotAllowed);
    }
    let session = headers::session(gateway, headers, who).await?;
    if session.is_none() && revision.is_none() {
        return Err(Refused::MethodNotAllowed);
    }
    Ok(session)
}

pub(super) fn permit(gateway: &Inner) -> Result<OwnedSemaphorePermit, RpcError> {
    Arc::clone(&gateway.streams)
        .try_acquire_owned()
        .map_err(|_| {
            RpcError::refused(
                503,
                "As many streams are open as there may be; try again later",
            )
        })
}

fn events(
    gateway: &Inner,
    permit: Option<OwnedSemaphorePermit>,
    messages: impl Stream<Item = String> + Send + 'static,
) -> Response {
    let events = messages.map(|message| Ok::<_, Infallible>(Event::default().data(message)));
    response(gateway, permit, events)
}

/// Events, told one by one.
pub(super) fn response(
    gateway: &Inner,
    permit: Option<OwnedSemaphorePermit>,
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Response {
    let events = events.map(move |event| {
        // Held as long as the stream is there.
        let _ = &permit;
        event
    });
    let keep_alive = KeepAlive::new().interval(gateway.settings.keep_alive);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response
        .headers_mut()
        .insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// Why there is no stream.
#[derive(Debug)]
enum Refused {
    MethodNotAllowed,
    Because(Refusal),
}

impl From<RpcError> for Refused {
    fn from(error: RpcError) -> Self {
        Self::Because(error.into())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Because(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
            }
            Self::Because(refusal) => refusal.into_response(),
        }
    }
}
