//! HTTP+SSE (2024-11-05, Transports), for clients from before streamable HTTP: `GET /sse` opens a
//! stream, whose first event says where messages are posted; all answers come on the stream.
//!
//! A client's stream and its messages have to reach the same node.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::select;
use futures::stream::{self, StreamExt};
use mcphub_core::principal::Principal;
use mcphub_core::tenant::Actor;
use tokio::sync::{mpsc, watch};

use super::headers::{self, Accepts};
use super::{Refusal, post, stream as streams};
use crate::auth::Admission;
use crate::federation::Scope;
use crate::gateway::Inner;
use crate::mcp::connection;
use crate::mcp::error::RpcError;
use crate::roster::Signal;

/// What names a stream in the query of an address.
const SESSION: &str = "session_id";

/// How many messages of one client wait to be read; then its posts wait.
const WAITING: usize = 16;

/// Where the messages of open streams go, by the id in the address that each was told.
#[derive(Debug, Default)]
pub(crate) struct Letterboxes(Mutex<HashMap<String, Slot>>);

/// Where the messages of one stream go, and who opened it.
#[derive(Debug, Clone)]
struct Slot {
    owner: Option<Actor>,
    messages: mpsc::Sender<Bytes>,
}

/// The letterbox of one stream, which is there as long as this is.
struct Letterbox {
    all: Arc<Letterboxes>,
    id: String,
}

/// GET: opens a stream.
pub(super) fn open(
    gateway: &Arc<Inner>,
    scope: Scope,
    admission: Option<Admission>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    if !Accepts::of(headers).events {
        return Err(RpcError::refused(406, "The stream is text/event-stream").into());
    }
    let who = admission.as_ref().map(Admission::principal);
    let known = gateway.view(&scope, who.map(Arc::as_ref)).is_some();
    known.then_some(()).ok_or_else(Refusal::no_server)?;
    let permit = streams::permit(gateway)?;
    let id = connection::random().map_err(|error| {
        tracing::error!(%error, "no stream can be opened");
        RpcError::internal()
    })?;
    // Relative, so that it holds behind a proxy that adds to the path.
    let up = if scope == Scope::All { "" } else { "../" };
    let address = format!("{up}messages?{SESSION}={id}");
    let (letterbox, messages) = Letterbox::new(&gateway.letterboxes, id, who.map(Arc::as_ref));
    let (output, lines) = mpsc::channel(connection::OUTPUT_QUEUE);
    let admitted = admission.clone();
    let serving = connection::serve(Arc::clone(gateway), scope, admitted, messages, output);
    tokio::spawn(serving.map_err(|error| {
        tracing::error!(%error, "no stream can be opened");
        RpcError::internal()
    })?);
    let told = stream::once(async { Event::default().event("endpoint").data(address) });
    let lines = stream::unfold((lines, letterbox), |(mut lines, letterbox)| async {
        let line = lines.recv().await?;
        Some((
            Event::default().event("message").data(line),
            (lines, letterbox),
        ))
    });
    let closed = closed(gateway.roster.signals());
    let ended = async {
        match admission {
            Some(mut admission) => admission.ended().await,
            None => std::future::pending().await,
        }
    };
    let over = select(Box::pin(closed), Box::pin(ended));
    let events = told.chain(lines).take_until(over).map(Ok::<_, Infallible>);
    Ok(streams::response(gateway, Some(permit), events))
}

/// POST: takes a message of a client whose stream is open, and who opened it. What it is answered
/// comes there.
pub(super) async fn take(
    gateway: &Arc<Inner>,
    who: Option<&Principal>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    if !headers::has_json(&parts.headers) {
        return Err(RpcError::refused(415, "The body has to be application/json").into());
    }
    let gone = || RpcError::refused(404, "No stream is open for this address; open one anew");
    let letterbox = gateway.letterboxes.of(parts.uri.query(), who);
    let letterbox = letterbox.ok_or_else(gone)?;
    let message = post::read(gateway, &parts.headers, body).await?;
    let limit = gateway.settings.body_timeout;
    match tokio::time::timeout(limit, letterbox.send(message)).await {
        Ok(Ok(())) => Ok(StatusCode::ACCEPTED.into_response()),
        Ok(Err(_)) => Err(gone().into()),
        Err(_) => Err(RpcError::refused(503, "Too many messages wait already").into()),
    }
}

/// Waits until the gateway ends its streams.
async fn closed(mut signals: watch::Receiver<Signal>) {
    // Fails when the gateway has gone.
    let _ = signals.wait_for(|signal| *signal == Signal::Closed).await;
}

impl Letterboxes {
    /// The one that the query of an address names, if they opened its stream.
    fn of(&self, query: Option<&str>, who: Option<&Principal>) -> Option<mpsc::Sender<Bytes>> {
        let mut named = url::form_urlencoded::parse(query?.as_bytes());
        let (_, id) = named.find(|(name, _)| name == SESSION)?;
        let slot = self.all().get(&*id).cloned()?;
        let theirs = slot.owner.as_ref() == who.map(|who| &who.id);
        theirs.then_some(slot.messages)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // Each change is made whole before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Letterbox {
    fn new(
        all: &Arc<Letterboxes>,
        id: String,
        who: Option<&Principal>,
    ) -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, messages) = mpsc::channel(WAITING);
        let slot = Slot {
            owner: who.map(|who| who.id.clone()),
            messages: sender,
        };
        all.all().insert(id.clone(), slot);
        let all = Arc::clone(all);
        (Self { all, id }, messages)
    }
}

impl Drop for Letterbox {
    /// Its messages end, and with them what serves them.
    fn drop(&mut self) {
        self.all.all().remove(&self.id);
    }
}
