//! The methods of MCP that a server of tools has.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::{Answer, talk};
use super::call::call;
use super::caller::Caller;
use super::error::RpcError;
use super::memory::MAX_WATCHED;
use super::message::Request;
use super::reply::Outcome;
use super::result::cacheable;
use super::revision::Revision;
use super::routing::{self, TOOLS_CALL};
use crate::federation::{Kind, View};
use crate::gateway::Inner;

pub(crate) const INITIALIZE: &str = "initialize";
pub(crate) const LISTEN: &str = "subscriptions/listen";

/// `serverInfo`.
const SERVER_INFO: &str = concat!(
    r#"{"name":"mcphub","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);

/// Answers a request, all methods but `subscriptions/listen`, which is a matter of the transport.
pub(crate) async fn answer(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Answer, RpcError> {
    let revision = caller.revision;
    let outcome = match (&*request.method, revision.is_modern()) {
        (TOOLS_CALL, _) => return call(gateway, view, request, caller).await,
        // Whoever asks what the gateway speaks may do so in any revision that has `_meta`.
        ("server/discover", _) => discover(gateway, view),
        (INITIALIZE, false) => initialize(view, request)?,
        ("logging/setLevel", false) if view.about().logging => set_level(gateway, request, caller)?,
        ("resources/subscribe" | "resources/unsubscribe", false) if view.about().resources => {
            watch(gateway, view, request, caller)?
        }
        ("ping", false) => Outcome(vec![Bytes::from_static(b"{}")]),
        (method, modern) => match kind(view, method) {
            Some(kind) => list(gateway, view, request, kind, revision)?,
            None => {
                let routed = routing::route(view, request, caller, &gateway.marks)?
                    .filter(|routed| routed.route.upstream.relay().is_some())
                    .ok_or_else(|| RpcError::method_not_found(method, modern))?;
                return talk(gateway, view, request, caller, routed);
            }
        },
    };
    Ok(Answer::Whole(outcome))
}

/// What a method lists, where the endpoint has any of it.
fn kind(view: &View, method: &str) -> Option<Kind> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.method() == method)?;
    let offered = match kind {
        Kind::Tools => true,
        Kind::Prompts => view.about().prompts,
        Kind::Resources | Kind::ResourceTemplates => view.about().resources,
    };
    offered.then_some(kind)
}

/// `logging/setLevel`, which holds for the session (2025-11-25, Logging).
fn set_level(
    gateway: &Inner,
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Outcome, RpcError> {
    let level = request.params.string("level").ok().flatten();
    let level = level
        .and_then(|level| level.parse().ok())
        .ok_or_else(|| RpcError::invalid_params("Invalid params: `level` is not a log level"))?;
    if let Some(session) = caller.session {
        gateway.memories.of(session).set_level(level);
    }
    Ok(Outcome(vec![Bytes::from_static(b"{}")]))
}

/// `resources/subscribe` and `resources/unsubscribe`; updates come on the session's stream
/// (2025-11-25, Resources, Subscriptions).
fn watch(
    gateway: &Inner,
    view: &View,
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Outcome, RpcError> {
    let uri = routing::resource_uri(request)?;
    routing::resource(view, &uri)?;
    let session = caller.session.ok_or_else(|| {
        RpcError::invalid_request("Invalid request: updates of a resource need a session")
    })?;
    let memory = gateway.memories.of(session);
    if request.method == "resources/unsubscribe" {
        memory.unwatch(&uri);
    } else if !memory.watch(&uri) {
        return Err(RpcError::invalid_params(format!(
            "A session watches at most {MAX_WATCHED} resources"
        )));
    }
    Ok(Outcome(vec![Bytes::from_static(b"{}")]))
}

/// The revision that `initialize` settles on (2025-11-25, Lifecycle, Version Negotiation).
pub(crate) fn negotiate(request: &Request<'_>) -> Result<Revision, RpcError> {
    let Ok(Some(requested)) = request.params.string("protocolVersion") else {
        return Err(RpcError::invalid_params(
            "Invalid params: `protocolVersion` is not a string",
        ));
    };
    let known = requested
        .parse::<Revision>()
        .ok()
        .filter(|revision| !revision.is_modern());
    Ok(known.unwrap_or(Revision::NEWEST_WITH_INITIALIZE))
}

fn initialize(view: &View, request: &Request<'_>) -> Result<Outcome, RpcError> {
    let result = json!({
        "protocolVersion": negotiate(request)?.as_str(),
        "capabilities": view.capabilities(),
        "serverInfo": serde_json::from_str::<Value>(SERVER_INFO).unwrap_or_default(),
        "instructions": view.instructions(),
    });
    Ok((&result).into())
}

fn discover(gateway: &Inner, view: &View) -> Outcome {
    let members = json!({
        "supportedVersions": Revision::ALL.map(Revision::as_str),
        "capabilities": view.capabilities(),
        "instructions": view.instructions(),
    });
    cacheable(gateway, members.to_string().into())
}

fn list(
    gateway: &Inner,
    view: &View,
    request: &Request<'_>,
    kind: Kind,
    revision: Revision,
) -> Result<Outcome, RpcError> {
    let cursor = match request.params.get("cursor").map(RawValue::get) {
        None | Some("null") => None,
        Some(_) => {
            let cursor = request.params.string("cursor");
            Some(
                cursor
                    .map_err(|_| {
                        RpcError::invalid_params("Invalid params: `cursor` is not a string")
                    })?
                    .unwrap_or_default(),
            )
        }
    };
    let page = view.page(kind, cursor.as_deref()).ok_or_else(|| {
        RpcError::invalid_params("Invalid cursor: it is not of this list, or the list has changed; list again from the start")
    })?;
    if revision.is_modern() {
        return Ok(cacheable(gateway, page.result.clone()));
    }
    Ok(Outcome(vec![page.result.clone()]))
}
