//! The methods of MCP that a server of tools has.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::stream::{self, StreamExt};
use mcphub_core::call::{Arguments, ToolResult};
use mcphub_core::principal::Principal;
use mcphub_core::{Error, ErrorKind};
use rmcp::model::CacheScope;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::caller::Caller;
use super::conversation::Conversation;
use super::error::RpcError;
use super::memory::MAX_WATCHED;
use super::message::{Message, Request};
use super::reply::{Outcome, Reply};
use super::revision::Revision;
use super::routing::{self, PROMPTS_GET, RESOURCES_READ, Routed};
use super::{search, trace};
use crate::call_log::NoRoom;
use crate::federation::{Kind, NoRoute, Preset, Route, View};
use crate::gateway::Inner;
use crate::guard::{Guard, Refused};
use crate::members::is_object;
use crate::metrics::{CallKind, Counted, Ended};
use crate::upstream::{CallContext, CallResult, Given};

pub(crate) const INITIALIZE: &str = "initialize";
pub(crate) const LISTEN: &str = "subscriptions/listen";
pub(crate) const TOOLS_CALL: &str = "tools/call";

/// In how many seconds a call that was refused may be made again, among what is said of an answer.
pub(super) const RETRY_AFTER: &str = "mcphub/retryAfterSeconds";

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

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// At once.
    Whole(Outcome),
    /// By a server, which may say more before.
    Talk(Box<Conversation>),
}

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

impl Answer {
    /// The outcome, whatever a server says before it.
    pub(crate) async fn end(self) -> Result<Outcome, RpcError> {
        match self {
            Self::Whole(outcome) => Ok(outcome),
            Self::Talk(mut conversation) => conversation.end().await,
        }
    }
}

/// Whether a call goes to a server that speaks for itself.
///
/// # Errors
/// When it goes nowhere.
pub(crate) fn is_relayed(view: &View, request: &Request<'_>) -> Result<bool, RpcError> {
    if view.search().is_some() {
        let inner = search::inner(view, request);
        let route = route(view, inner.as_ref().unwrap_or(request)).ok();
        // Whatever is wrong is said when it is called.
        return Ok(route.is_some_and(|(_, route)| route.upstream.relay().is_some()));
    }
    Ok(route(view, request)?.1.upstream.relay().is_some())
}

fn talk(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    request: &Request<'_>,
    caller: &Caller<'_>,
    routed: Routed,
) -> Result<Answer, RpcError> {
    let conversation = Conversation::new(gateway, view, request, caller, routed)?;
    Ok(Answer::Talk(Box::new(conversation)))
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

/// Answers a batch, which only 2025-03-26 has (2025-03-26, Overview, Batching): one reply for each
/// request in it, in order, each with its own error.
pub(crate) async fn batch(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    who: Option<&Arc<Principal>>,
    messages: &[&RawValue],
) -> Vec<Reply> {
    // Not begun before they are asked, a few at a time.
    let work: Vec<_> = messages
        .iter()
        .map(|raw| in_batch(gateway, view, who, raw))
        .collect();
    stream::iter(work)
        .buffered(BATCH_CONCURRENCY)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn in_batch(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    who: Option<&Arc<Principal>>,
    raw: &RawValue,
) -> Option<Reply> {
    let request = match Message::read(raw.get()) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Notification(_) | Message::Response(_)) => return None,
        Err(rejected) => return Some(Reply::error(rejected.id, &rejected.error)),
    };
    let outcome = if request.method == INITIALIZE {
        Err(RpcError::invalid_request(
            "Invalid request: initialize is never part of a batch",
        ))
    } else {
        let caller = Caller {
            revision: Revision::V2025_03_26,
            session: None,
            who,
            abilities: 0,
            streams: false,
            headers: None,
            trace: None,
            progress: None,
        };
        match answer(gateway, view, &request, &caller).await {
            Ok(answer) => answer.end().await,
            Err(error) => Err(error),
        }
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

/// A complete result that may be kept, with these members (2026-07-28, Caching). Lists are the same
/// for everybody, unless everybody is asked who they are.
fn cacheable(gateway: &Inner, result: Bytes) -> Outcome {
    let scope = json!(match gateway.gate {
        None => CacheScope::Public,
        Some(_) => CacheScope::Private,
    });
    let ttl = gateway.settings.list_ttl.as_millis();
    let hints = format!(r#""ttlMs":{ttl},"cacheScope":{scope}"#);
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

pub(super) async fn call(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Answer, RpcError> {
    if view.search().is_some()
        && let Some(ours) = search::Ours::named(view, &tool_name(request)?)
    {
        // Boxed, because calls of listed tools need none of it.
        return Box::pin(search::answer(gateway, view, ours, request, caller)).await;
    }
    let (name, route) =
        route(view, request).inspect_err(|_| denied(gateway, view, request, caller))?;
    if let Some(preset) = &route.preset {
        let calling = preset_call(gateway, view, (&name, route, preset), request, caller);
        return Box::pin(calling).await;
    }
    routed_call(gateway, view, (&name, route), request, caller).await
}

/// Calls a tool with arguments that are not the caller's.
async fn preset_call(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    (name, route, preset): (&str, &Route, &Preset),
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Answer, RpcError> {
    let arguments = match preset.apply(request.params.get("arguments")) {
        Ok(arguments) => arguments,
        Err("") => {
            return Err(RpcError::malformed_params(
                "Invalid params: `arguments` is not an object",
            ));
        }
        Err(argument) => {
            let text = format!(
                "Invalid arguments for {name}:\n- {argument}: is not an argument of this tool"
            );
            let result = CallResult::of(&ToolResult::error(text));
            let result = result.map_err(|_| RpcError::internal())?;
            return Ok(Answer::Whole(finished(result, caller.revision.is_modern())));
        }
    };
    let params = request.params.with("arguments", Some(&arguments));
    let request = Request::new(request.id, request.method.clone(), params);
    // Whoever was not told of an argument knows nothing of a header for it.
    let caller = Caller {
        headers: None,
        ..*caller
    };
    routed_call(gateway, view, (name, route), &request, &caller).await
}

async fn routed_call(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    (name, route): (&str, &Route),
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Answer, RpcError> {
    // Of a server that speaks for itself, too: what has a member twice is not forwarded.
    let arguments = arguments(request)?;
    if route.upstream.relay().is_some() {
        let routed = Routed::named(route.clone(), "name");
        return talk(gateway, view, request, caller, routed);
    }
    let limit = gateway.settings.call_timeout;
    let mut counted = Counted::begin(
        route.upstream.meter().map(|meter| &**meter),
        CallKind::of_tool(route.reads),
    );
    if let Some(calls) = &gateway.calls {
        // Boxed, because most gateways note nothing.
        let note = Box::pin(calls.begin(counted.kind(), TOOLS_CALL, caller.who, route)).await;
        match note {
            Ok(note) => counted.noted(note),
            Err(NoRoom) => {
                counted.ended(Ended::Refused);
                return Err(not_noted());
            }
        }
    }
    let guard = route.upstream.guard();
    let mut permit = match guard.map(|guard| Guard::admit(&**guard)).transpose() {
        Ok(permit) => permit,
        Err(refused) => {
            counted.ended(Ended::Refused);
            return not_called(name, route, &refused, caller.revision);
        }
    };
    let upstream = &route.upstream;
    let trace = trace::context(request, caller.trace);
    let context = CallContext {
        who: caller.who.map(|who| &**who),
        progress: caller.progress,
        trace: Some(&trace),
    };
    let answer = upstream.call_in(&route.own, &arguments, context);
    let answering = async {
        if route.upstream.call_limit().is_some_and(|own| own <= limit) {
            return answer.await;
        }
        let late = || {
            Error::new(ErrorKind::Timeout, "it did not answer in time")
                .with("limit", format!("{limit:?}"))
        };
        // Boxed, because a timer is large and most calls need none.
        let answer = Box::pin(tokio::time::timeout(limit, answer)).await;
        answer.unwrap_or_else(|_| Err(late()))
    };
    let answer = match caller.session {
        None => answering.await,
        // Of the old era, whose clients say that a call is not needed any more.
        Some(session) => {
            let cancellation = gateway.running.begin(session, request.id.get());
            tokio::select! {
                biased;
                () = cancellation.cancelled() => return Err(RpcError::cancelled()),
                answer = answering => answer,
            }
        }
    };
    tracing::debug!(server = %route.server, tool = &*route.own, elapsed = ?counted.elapsed(), "a call");
    counted.ended(ended(&answer));
    if let Some(permit) = &mut permit {
        permit.note(&answer);
    }
    let result = answer.or_else(|error| failure(name, route, &error))?;
    Ok(Answer::Whole(finished(result, caller.revision.is_modern())))
}

/// How a call ended.
fn ended(answer: &mcphub_core::Result<CallResult>) -> Ended {
    match answer {
        Ok(result) if result.trouble().is_some() => Ended::Unanswered,
        Ok(result) if result.given().error => Ended::ToolError,
        Ok(_) => Ended::Ok,
        Err(error) => ended_by(error),
    }
}

/// How a request ended that was not answered.
pub(super) fn ended_by(error: &Error) -> Ended {
    match error.kind() {
        ErrorKind::Timeout => Ended::Late,
        ErrorKind::NotFound | ErrorKind::InvalidInput => Ended::Error,
        _ => Ended::Unanswered,
    }
}

/// The answer to a call of a server that is not called now.
#[cold]
fn not_called(
    name: &str,
    route: &Route,
    refused: &Refused,
    revision: Revision,
) -> Result<Answer, RpcError> {
    let result = refusal(name, route, refused)?;
    Ok(Answer::Whole(finished(result, revision.is_modern())))
}

/// The result of a tool as the client gets it.
pub(super) fn finished(result: CallResult, modern: bool) -> Outcome {
    let given = result.given();
    let text = result.into_bytes();
    if modern {
        complete(text, given, false)
    } else {
        Outcome(vec![text])
    }
}

/// What the caller of a tool gets where the server is not called now: the error of the tool, and
/// when to come again in `_meta`, for programs.
pub(super) fn refusal(
    name: &str,
    route: &Route,
    refused: &Refused,
) -> Result<CallResult, RpcError> {
    let result = failure(name, route, &refused.error())?.into_bytes();
    let seconds = refused.seconds();
    let head = format!(r#"{{"_meta":{{"{RETRY_AFTER}":{seconds}}}"#);
    let text = with_members(head.into(), result).0.concat();
    let text = String::from_utf8(text).ok();
    let raw = text.and_then(|text| RawValue::from_string(text).ok());
    raw.map(CallResult::from).ok_or_else(RpcError::internal)
}

/// The tool of a `tools/call` and where it goes.
fn route<'a, 'v>(
    view: &'v View,
    request: &Request<'a>,
) -> Result<(Cow<'a, str>, &'v Route), RpcError> {
    let name = tool_name(request)?;
    match view.route(&name) {
        Ok(route) => Ok((name, route)),
        Err(NoRoute::Unknown) => Err(unknown_tool(&name)),
        Err(denied) => Err(routing::nowhere("tool", &name, denied)),
    }
}

/// Notes that a caller may not call a tool, if that is why it goes nowhere.
#[cold]
fn denied(gateway: &Inner, view: &View, request: &Request<'_>, caller: &Caller<'_>) {
    let Some(calls) = &gateway.calls else { return };
    let Ok(name) = tool_name(request) else { return };
    if let Err(NoRoute::Denied {
        server,
        tool: Some(tool),
        ..
    }) = view.route(&name)
    {
        calls.denied(caller.who.map(Arc::as_ref), server.as_str(), &tool);
    }
}

/// The error where calls are only made that are noted.
pub(super) fn not_noted() -> RpcError {
    RpcError::unanswered("The call cannot be noted in the audit log now; try again later")
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

/// What `Mcp-Name` has to repeat (2026-07-28, Streamable HTTP, Standard Headers).
pub(crate) fn mirrored<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, str>>, RpcError> {
    match &*request.method {
        TOOLS_CALL | PROMPTS_GET => tool_name(request).map(Some),
        RESOURCES_READ => routing::resource_uri(request).map(Some),
        method if method.starts_with(routing::TASKS) => request
            .params
            .string("taskId")
            .map_err(|_| RpcError::malformed_params("Invalid params: `taskId` is not a string")),
        _ => Ok(None),
    }
}

/// The name in a `tools/call` or `prompts/get`.
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
pub(super) fn failure(name: &str, route: &Route, error: &Error) -> Result<CallResult, RpcError> {
    tracing::debug!(server = %route.server, tool = &*route.own, error = %error.report(), "a call failed");
    match error.kind() {
        ErrorKind::NotFound => return Err(unknown_tool(name)),
        ErrorKind::InvalidInput => {
            return Err(RpcError::invalid_params(format!(
                "Invalid params: {}",
                clipped(&error.to_string())
            )));
        }
        ErrorKind::Internal => {
            tracing::error!(server = %route.server, tool = &*route.own, error = %error.report(), "a call failed");
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

pub(super) fn clipped(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_ERROR) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The result with what the modern era asks of every result, where its server did not give it. One
/// that clients may keep, and whose server does not say for how long, is not to be kept.
pub(super) fn complete(result: Bytes, given: Given, cacheable: bool) -> Outcome {
    if cacheable && !given.ttl {
        let scope = json!(CacheScope::Private);
        let hints = format!(r#"{{"ttlMs":0,"cacheScope":{scope}"#);
        let kept = with_members(hints.into(), result).0.concat();
        return complete(kept.into(), given, false);
    }
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
        let result = CallResult::from(result);
        let given = result.given();
        String::from_utf8(complete(result.into_bytes(), given, false).0.concat()).unwrap()
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
