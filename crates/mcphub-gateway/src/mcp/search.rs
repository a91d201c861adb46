//! The three tools of an endpoint whose tools are found rather than listed.

use std::sync::Arc;

use mcphub_core::call::ToolResult;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::call;
use super::caller::Caller;
use super::error::RpcError;
use super::message::Request;
use super::result;
use super::routing::tool_name;
use crate::federation::{CALL_TOOL, DESCRIBE_TOOL, FIND_TOOLS, NoRoute, Search, Tools, View};
use crate::gateway::Inner;
use crate::members::{Members, is_object};
use crate::upstream::CallResult;

/// The longest query, in bytes.
const MAX_QUERY: usize = 1_000;

/// How many tools are found where nothing else is said, and at most.
const LIMIT: usize = 10;
const MAX_LIMIT: usize = 50;

/// How many tools are named in place of one that is not there.
const MAX_MEANT: usize = 3;

/// One of the three tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    Find,
    Describe,
    Call,
}

impl Ours {
    /// The one of this name, at an endpoint that has them.
    pub(super) fn named<'v>(view: &'v View, name: &str) -> Option<(&'v Search, Self)> {
        let search = view.search()?;
        let ours = match name {
            FIND_TOOLS => Self::Find,
            DESCRIBE_TOOL => Self::Describe,
            CALL_TOOL => Self::Call,
            _ => return None,
        };
        Some((search, ours))
    }
}

/// Answers a call of one of the three. What is wrong with its arguments is an error of the tool,
/// which a model can act on.
pub(super) async fn answer(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    (search, ours): (&Search, Ours),
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Answer, RpcError> {
    let result = match ours {
        Ours::Find => find(search, request).await,
        Ours::Describe => describe(search, request).await,
        Ours::Call => match called(request) {
            Ok(inner) => {
                let name = tool_name(&inner)?;
                if !matches!(view.route(&name), Err(NoRoute::Unknown)) {
                    // Whoever was not told of a tool knows nothing of headers for its arguments.
                    let caller = Caller {
                        headers: None,
                        ..*caller
                    };
                    return Box::pin(call::call(gateway, view, &inner, &caller)).await;
                }
                let tools = search.tools().await;
                Err(unknown(&tools, &name))
            }
            Err(why) => Err(why),
        },
    };
    let result = result.map_or_else(ToolResult::error, ToolResult::text);
    let result = CallResult::of(&result).map_err(|_| RpcError::internal())?;
    let modern = caller.revision.is_modern();
    Ok(Answer::Whole(result::finished(result, modern)))
}

/// The call that a `call_tool` asks for, where it asks for one.
pub(super) fn inner<'a>(view: &View, request: &Request<'a>) -> Option<Request<'a>> {
    let name = tool_name(request).ok()?;
    match Ours::named(view, &name) {
        Some((_, Ours::Call)) => called(request).ok(),
        _ => None,
    }
}

fn called<'a>(request: &Request<'a>) -> Result<Request<'a>, String> {
    let arguments = arguments(request)?;
    let name = arguments.get("name").filter(|_| {
        let name = arguments.string("name").ok().flatten();
        // The three are no tools of a server.
        name.is_some_and(|name| ![FIND_TOOLS, DESCRIBE_TOOL, CALL_TOOL].contains(&&*name))
    });
    let name = name.ok_or("name: has to be the name of a tool that find_tools named")?;
    let inner = arguments.get("arguments");
    if inner.is_some_and(|raw| !is_object(raw) && raw.get() != "null") {
        return Err("arguments: has to be an object".to_owned());
    }
    let params = request.params.with("name", Some(name));
    let params = params.with("arguments", inner);
    Ok(Request::new(request.id, request.method.clone(), params))
}

async fn find(search: &Search, request: &Request<'_>) -> Result<String, String> {
    let arguments = arguments(request)?;
    let query = arguments.string("query").ok().flatten();
    let query = query
        .filter(|query| query.len() <= MAX_QUERY)
        .ok_or_else(|| format!("query: has to be a text of at most {MAX_QUERY} bytes"))?;
    let limit = match arguments.get("limit").map(RawValue::get) {
        None | Some("null") => Some(LIMIT),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit)),
    };
    let limit = limit.ok_or_else(|| format!("limit: has to be a number from 1 to {MAX_LIMIT}"))?;
    let tools = search.tools().await;
    let (found, all) = tools.find(&query, limit);
    if found.is_empty() {
        let count = tools.len();
        return Ok(format!(
            "None of the {count} tools fits these words. Try others: what is acted on, and how."
        ));
    }
    let more = all - found.len();
    Ok(match more {
        0 => json!({"tools": found}),
        more => json!({"tools": found, "more": more}),
    }
    .to_string())
}

async fn describe(search: &Search, request: &Request<'_>) -> Result<String, String> {
    let arguments = arguments(request)?;
    let name = arguments.string("name").ok().flatten();
    let name = name.ok_or("name: has to be the name of a tool")?;
    let tools = search.tools().await;
    let definition = tools.describe(&name).map(str::to_owned);
    definition.ok_or_else(|| unknown(&tools, &name))
}

fn arguments<'a>(request: &Request<'a>) -> Result<Members<'a>, String> {
    let raw = request.params.get("arguments").map(RawValue::get);
    Members::read(raw.unwrap_or("{}"))
        .map_err(|error| format!("The arguments cannot be read: {error}"))
}

/// A tool that is not there, with those that may be meant.
fn unknown(tools: &Tools, name: &str) -> String {
    let (meant, _) = tools.find(name, MAX_MEANT);
    let meant: Vec<_> = meant.into_iter().map(|tool| tool.name).collect();
    let name: String = name.chars().take(128).collect();
    match meant.is_empty() {
        true => format!("Unknown tool: {name}. find_tools finds those that there are."),
        false => format!("Unknown tool: {name}. Did you mean {}?", meant.join(", ")),
    }
}
