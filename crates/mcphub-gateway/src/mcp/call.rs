//! `tools/call`: to a native API here, to a server that speaks for itself in a conversation.

use std::borrow::Cow;
use std::sync::Arc;

use mcphub_core::call::{Arguments, ToolResult};
use mcphub_core::{Error, ErrorKind};

use super::answer::{Answer, talk};
use super::caller::Caller;
use super::error::RpcError;
use super::message::Request;
use super::result::{ended_by, failure, finished, not_noted, refusal, unknown_tool};
use super::revision::Revision;
use super::routing::{self, Routed, TOOLS_CALL, tool_name};
use super::{search, trace};
use crate::call_log::NoRoom;
use crate::federation::{NoRoute, Preset, Route, View};
use crate::gateway::Inner;
use crate::guard::{Guard, Refused};
use crate::members::is_object;
use crate::metrics::{CallKind, Counted, Ended};
use crate::upstream::{CallContext, CallResult};

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
