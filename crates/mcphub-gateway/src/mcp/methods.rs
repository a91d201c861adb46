//! The methods of MCP that a server of tools has.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures::stream::{self, StreamExt};
use mcphub_core::call::{Arguments, ToolResult};
use mcphub_core::{Error, ErrorKind};
use rmcp::model::CacheScope;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::RpcError;
use super::message::{Message, Request};
use super::reply::{Outcome, Reply};
use super::revision::Revision;
use crate::federation::{Route, View};
use crate::gateway::Inner;
use crate::members::is_object;
use crate::upstream::{CallResult, Given, Progress};

pub(crate) const INITIALIZE: &str = "initialize";
pub(crate) const LISTEN: &str = "subscriptions/listen";
pub(crate) const TOOLS_CALL: &str = "tools/call";

/// The longest error of an upstream that is told, in characters.
const MAX_ERROR: usize = 2_000;

/// How many requests of one batch run at once.
const BATCH_CONCURRENCY: usize = 8;

/// `serverInfo`, and the `_meta` that has it.
const SERVER_INFO: &str = concat!(
    r#"{"name":"mcphub","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);
const SERVER_META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"mcphub","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}"#
);

/// What a complete result begins with where its server said nothing of the kind.
const COMPLETE: &str = concat!(
    r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"mcphub","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}"#
);

/// The same where it said whose the result is.
const COMPLETE_OF_SERVER: &str = r#"{"resultType":"complete""#;

/// Answers a request, all methods but `subscriptions/listen`, which is a matter of the transport.
/// What comes of it before is told to `progress`.
pub(crate) async fn answer(
    gateway: &Inner,
    view: &Arc<View>,
    request: &Request<'_>,
    revision: Revision,
    progress: Option<&Progress>,
) -> Result<Outcome, RpcError> {
    match (&*request.method, revision.is_modern()) {
        (TOOLS_CALL, _) => call(gateway, view, request, revision, progress).await,
        ("tools/list", _) => list(gateway, view, request, revision),
        // Whoever asks what the gateway speaks may do so in any revision that has `_meta`.
        ("server/discover", _) => Ok(discover(gateway, view)),
        (INITIALIZE, false) => initialize(view, request),
        ("ping", false) => Ok(Outcome(vec![Bytes::from_static(b"{}")])),
        (method, _) => Err(RpcError::method_not_found(method, revision)),
    }
}

/// Answers a batch, which only 2025-03-26 has (2025-03-26, Overview, Batching): one reply for each
/// request in it, in order, each with its own error.
pub(crate) async fn batch(gateway: &Inner, view: &Arc<View>, messages: &[&RawValue]) -> Vec<Reply> {
    // Not begun before they are asked, a few at a time.
    let work: Vec<_> = messages
        .iter()
        .map(|raw| in_batch(gateway, view, raw))
        .collect();
    stream::iter(work)
        .buffered(BATCH_CONCURRENCY)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn in_batch(gateway: &Inner, view: &Arc<View>, raw: &RawValue) -> Option<Reply> {
    let request = match Message::read(raw.get()) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Notification(_) | Message::Response) => return None,
        Err(rejected) => return Some(Reply::error(rejected.id, &rejected.error)),
    };
    let outcome = if request.method == INITIALIZE {
        Err(RpcError::invalid_request(
            "Invalid request: initialize is never part of a batch",
        ))
    } else {
        answer(gateway, view, &request, Revision::V2025_03_26, None).await
    };
    Some(match outcome {
        Ok(outcome) => Reply::result(request.id, outcome),
        Err(error) => Reply::error(Some(request.id), &error),
    })
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
        "capabilities": capabilities(),
        "serverInfo": serde_json::from_str::<Value>(SERVER_INFO).unwrap_or_default(),
        "instructions": view.instructions(),
    });
    Ok((&result).into())
}

fn discover(gateway: &Inner, view: &View) -> Outcome {
    let members = json!({
        "supportedVersions": Revision::ALL.map(Revision::as_str),
        "capabilities": capabilities(),
        "instructions": view.instructions(),
    });
    cacheable(gateway.settings.list_ttl, members.to_string().into())
}

fn capabilities() -> Value {
    json!({"tools": {"listChanged": true}})
}

fn list(
    gateway: &Inner,
    view: &View,
    request: &Request<'_>,
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
    let page = view.page(cursor.as_deref()).ok_or_else(|| {
        RpcError::invalid_params("Invalid cursor: it is not of this list, or the tools have changed; list again from the start")
    })?;
    if revision.is_modern() {
        return Ok(cacheable(gateway.settings.list_ttl, page.result.clone()));
    }
    Ok(Outcome(vec![page.result.clone()]))
}

/// A complete result that may be kept, with these members (2026-07-28, Caching). Lists are the same
/// for everybody.
fn cacheable(ttl: Duration, result: Bytes) -> Outcome {
    let scope = json!(CacheScope::Public);
    let hints = format!(r#""ttlMs":{},"cacheScope":{scope}"#, ttl.as_millis());
    let members = format!(r#"{{"resultType":"complete",{hints},{SERVER_META}"#);
    with_members(members.into(), result)
}

/// A JSON object with more members at its beginning; `members` begins with its brace.
fn with_members(members: Bytes, mut object: Bytes) -> Outcome {
    object.advance(1.min(object.len()));
    let comma: &[u8] = if object.trim_ascii_start().starts_with(b"}") {
        b""
    } else {
        b","
    };
    Outcome(vec![members, Bytes::from_static(comma), object])
}

async fn call(
    gateway: &Inner,
    view: &View,
    request: &Request<'_>,
    revision: Revision,
    progress: Option<&Progress>,
) -> Result<Outcome, RpcError> {
    let name = tool_name(request)?;
    let route = view.route(&name).ok_or_else(|| unknown_tool(&name))?;
    let arguments = arguments(request)?;
    let limit = gateway.settings.call_timeout;
    let start = Instant::now();
    let upstream = &route.upstream;
    let answer = match progress {
        None => upstream.call(&route.tool, &arguments),
        Some(progress) => upstream.call_telling(&route.tool, &arguments, progress),
    };
    let answer = if route.upstream.call_limit().is_some_and(|own| own <= limit) {
        answer.await
    } else {
        let late = || {
            Error::new(ErrorKind::Timeout, "it did not answer in time")
                .with("limit", format!("{limit:?}"))
        };
        // Boxed, because a timer is large and most calls need none.
        let answer = Box::pin(tokio::time::timeout(limit, answer)).await;
        answer.unwrap_or_else(|_| Err(late()))
    };
    tracing::debug!(server = %route.server, tool = &*route.tool, elapsed = ?start.elapsed(), "a call");
    let result = answer.or_else(|error| failure(&name, route, &error))?;
    Ok(if revision.is_modern() {
        complete(result)
    } else {
        Outcome(vec![result.into_bytes()])
    })
}

/// The arguments in a `tools/call`.
fn arguments<'a>(request: &Request<'a>) -> Result<Arguments<'a>, RpcError> {
    match request.params.get("arguments") {
        None => Ok(Arguments::default()),
        Some(raw) if is_object(raw) => Arguments::of(raw).map_err(|error| {
            RpcError::malformed_params(format!("Invalid params: `arguments`: {}", error.report()))
        }),
        Some(raw) if raw.get() == "null" => Ok(Arguments::default()),
        Some(_) => Err(RpcError::malformed_params(
            "Invalid params: `arguments` is not an object",
        )),
    }
}

/// The name in a `tools/call`.
pub(crate) fn tool_name<'a>(request: &Request<'a>) -> Result<Cow<'a, str>, RpcError> {
    let Ok(Some(name)) = request.params.string("name") else {
        return Err(RpcError::malformed_params(
            "Invalid params: `name` is not a string",
        ));
    };
    Ok(name)
}

fn unknown_tool(name: &str) -> RpcError {
    let name: String = name.chars().take(128).collect();
    RpcError::invalid_params(format!("Unknown tool: {name}"))
}

/// What the caller gets of an upstream's error. That a server cannot be reached is something a
/// model can act on, so it is an error of the tool (2026-07-28, Tools, Error Handling).
fn failure(name: &str, route: &Route, error: &Error) -> Result<CallResult, RpcError> {
    tracing::debug!(server = %route.server, tool = &*route.tool, error = %error.report(), "a call failed");
    match error.kind() {
        ErrorKind::NotFound => return Err(unknown_tool(name)),
        ErrorKind::InvalidInput => {
            return Err(RpcError::invalid_params(format!(
                "Invalid params: {}",
                clipped(&error.to_string())
            )));
        }
        ErrorKind::Internal => {
            tracing::error!(server = %route.server, tool = &*route.tool, error = %error.report(), "a call failed");
            return Err(RpcError::internal());
        }
        _ => {}
    }
    let mut text = format!(
        "The server {} did not answer this call: {}",
        route.server,
        clipped(&error.to_string())
    );
    if error.is_retryable() {
        text.push_str(". The same call may succeed later.");
    }
    CallResult::of(&ToolResult::error(text)).map_err(|_| RpcError::internal())
}

fn clipped(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_ERROR) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The result with what the modern era asks of every result, where its server did not give it.
fn complete(result: CallResult) -> Outcome {
    let given = result.given();
    let result = result.into_bytes();
    match given {
        Given {
            result_type: true, ..
        } => Outcome(vec![result]),
        Given { meta: true, .. } => {
            with_members(Bytes::from_static(COMPLETE_OF_SERVER.as_bytes()), result)
        }
        Given { .. } => with_members(Bytes::from_static(COMPLETE.as_bytes()), result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(result: &str) -> String {
        let result = RawValue::from_string(result.to_owned()).unwrap();
        String::from_utf8(complete(result.into()).0.concat()).unwrap()
    }

    #[test]
    fn a_result_of_the_modern_era_says_that_it_is_complete_and_whose_it_is() {
        let bare: Value = serde_json::from_str(&completed(r#"{"content":[]}"#)).unwrap();
        assert_eq!(bare["resultType"], "complete");
        assert_eq!(
            bare["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
            "mcphub"
        );
        assert_eq!(
            serde_json::from_str::<Value>(&completed("{ }")).unwrap()["resultType"],
            "complete"
        );
        let own = r#"{"_meta":{"a":1.0},"content":[]}"#;
        assert_eq!(
            completed(own),
            r#"{"resultType":"complete","_meta":{"a":1.0},"content":[]}"#
        );
        let whole = r#"{"content":[],"resultType":"complete"}"#;
        assert_eq!(completed(whole), whole);
    }
}
