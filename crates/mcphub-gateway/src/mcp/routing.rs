//! Which server a request is for, and what is sent there.

use std::borrow::Cow;

use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;

use super::caller::{Caller, parameters};
use super::error::RpcError;
use super::login;
use super::mark::{Marked, Marks};
use super::message::{Request, members};
use super::questions::WAITING;
use super::trace;
use super::wording::{self, STATE};
use crate::federation::{HeaderParameter, NoRoute, Route, View};
use crate::members::{Members, quoted, string};
use crate::upstream::{ClientAbilities, Forward, encoded};

pub(crate) const TOOLS_CALL: &str = "tools/call";
pub(crate) const PROMPTS_GET: &str = "prompts/get";
pub(crate) const RESOURCES_READ: &str = "resources/read";
pub(super) const COMPLETE: &str = "completion/complete";
pub(crate) const TASKS: &str = "tasks/";

/// What is about the connection between a client and the gateway, and never goes further.
const OF_A_CONNECTION: [&str; 7] = [
    "initialize",
    "logging/setLevel",
    "ping",
    "resources/subscribe",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
];

/// Where a request goes, and the values in its `params` that are others there.
pub(super) struct Routed {
    pub(super) route: Route,
    /// What `Mcp-Name` says at the server.
    name: Option<String>,
    /// A member of `params`, and its JSON text for the server.
    edit: Option<(&'static str, String)>,
}

/// Where a request goes. `None` for a method that no server of the endpoint is known to have.
pub(super) fn route(
    view: &View,
    request: &Request<'_>,
    caller: &Caller<'_>,
    marks: &Marks,
) -> Result<Option<Routed>, RpcError> {
    let about = view.about();
    // Whoever may not use it is told the rule, rather than that there is no such method.
    let restricted = view.is_restricted();
    match &*request.method {
        PROMPTS_GET if about.prompts || restricted => {
            let name = tool_name(request)?;
            let route = view
                .prompt(&name)
                .map_err(|why| nowhere("prompt", &name, why))?;
            Ok(Some(Routed::named(route.clone(), "name")))
        }
        RESOURCES_READ if about.resources || restricted => {
            let uri = resource_uri(request)?;
            let route = resource(view, &uri)?;
            Ok(Some(Routed::named(route, "uri")))
        }
        COMPLETE if about.completions || restricted => completion(view, request).map(Some),
        method if method.starts_with(TASKS) && request.params.get("taskId").is_some() => {
            task(view, request, caller, marks)
        }
        method if OF_A_CONNECTION.contains(&method) => Ok(None),
        // What an extension of the only server has; of several, nobody knows which is meant.
        method => {
            let Some((server, upstream)) = view.alone() else {
                return Ok(None);
            };
            // Whether it changes something, nobody knows either.
            let allowed = view.may_use(server, false);
            allowed.map_err(|why| nowhere("method", method, why))?;
            Ok(Some(Routed {
                route: Route::new(server, method, upstream),
                name: None,
                edit: None,
            }))
        }
    }
}

impl Routed {
    /// A request whose member `member` names what it is about.
    pub(super) fn named(route: Route, member: &'static str) -> Self {
        let own = route.own.to_string();
        Self {
            edit: Some((member, quoted(&own))),
            name: Some(own),
            route,
        }
    }

    /// The request for the server, of the one who is asked for.
    pub(super) fn forward(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        principal: Option<SessionKey>,
        marks: &Marks,
    ) -> Result<Forward, RpcError> {
        let meta = request.meta()?;
        let modern = caller.revision.is_modern();
        let marker = marks.of(&self.route.server, principal);
        let state = match request.params.get(STATE).filter(|raw| raw.get() != "null") {
            None => None,
            Some(raw) => {
                let state = string(raw).ok_or_else(unknown_state)?;
                // The gateway's own leads to a call that waits here.
                let ours = modern && state.starts_with(WAITING);
                let own = || {
                    let own = marker.own(Marked::State, &state).map(quoted);
                    own.ok_or_else(unknown_state)
                };
                (!ours).then(own).transpose()?
            }
        };
        let edited = |name: &str| match &self.edit {
            Some((member, value)) if *member == name => Some(&**value),
            _ if name == STATE => state.as_deref(),
            _ => None,
        };
        let own_task = |kind: Marked, public: &str| {
            let (server, marked) = public.split_once('/').unwrap_or(("", public));
            let of_many = (server == self.route.server.as_str()).then_some(marked);
            let found = [Some(public), of_many].into_iter().flatten();
            let mut found = found.filter_map(|public| marker.own(kind, public));
            found.next().map(str::to_owned)
        };
        let own_meta = meta.own();
        let own_meta = wording::related(&own_meta, &own_task).unwrap_or(own_meta);
        let mut abilities = match meta.capabilities.filter(|_| modern) {
            Some(capabilities) => ClientAbilities::read_whole(capabilities),
            None => caller.session_abilities(),
        };
        if !caller.streams && !modern {
            // No question could reach the client.
            abilities = ClientAbilities::default();
        }
        // What the gateway itself has asked for is no business of the server.
        let ours = modern && login::accepted(request).is_some();
        let left_out = |name: &str| name == "_meta" || (ours && name == "inputResponses");
        Ok(Forward {
            method: request.method.to_string(),
            name: self.name.clone(),
            params: joined(&request.params, edited, left_out),
            meta: match caller.trace {
                Some(headers) => trace::added(own_meta, headers),
                None => own_meta,
            },
            progress: caller.streams && meta.progress.is_some(),
            abilities,
            session: caller.session.filter(|_| !modern),
            principal,
            repeatable: match &*request.method {
                TOOLS_CALL => self.route.repeatable,
                PROMPTS_GET | RESOURCES_READ | COMPLETE | "tasks/get" => true,
                _ => false,
            },
            who: caller.who.cloned(),
            headers: match caller.headers.filter(|_| modern) {
                Some(headers) => parameters(headers),
                // A client that does not know of them, or has no headers.
                None => self.parameters(request),
            },
            ..Forward::default()
        })
    }

    /// The arguments that the server wants to have as headers too.
    fn parameters(&self, request: &Request<'_>) -> Vec<(String, String)> {
        let Some(arguments) = request.params.get("arguments") else {
            return Vec::new();
        };
        let header = |parameter: &HeaderParameter| {
            let value = parameter.value(arguments)?;
            Some((parameter.header().to_owned(), encoded(&value).into_owned()))
        };
        self.route.parameters.iter().filter_map(header).collect()
    }
}

/// The members of an object but some, on one line and without the braces.
pub(super) fn joined<'e>(
    members: &Members<'_>,
    edited: impl Fn(&str) -> Option<&'e str>,
    left_out: impl Fn(&str) -> bool,
) -> String {
    let mut text = String::new();
    for (name, value) in members.iter().filter(|(name, _)| !left_out(name)) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&quoted(name));
        text.push(':');
        match edited(name) {
            Some(edited) => text.push_str(edited),
            None => text.push_str(&on_one_line(value)),
        }
    }
    text
}

fn on_one_line(value: &RawValue) -> Cow<'_, str> {
    // Looked for one after the other, which reads many bytes at once.
    let bytes = value.get().as_bytes();
    if bytes.contains(&b'\n') || bytes.contains(&b'\r') {
        Cow::Owned(value.get().replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(value.get())
    }
}

/// The URI in a request about a resource.
pub(super) fn resource_uri<'a>(request: &Request<'a>) -> Result<Cow<'a, str>, RpcError> {
    let Ok(Some(uri)) = request.params.string("uri") else {
        return Err(RpcError::malformed_params(
            "Invalid params: `uri` is not a string",
        ));
    };
    Ok(uri)
}

pub(super) fn resource(view: &View, uri: &str) -> Result<Route, RpcError> {
    view.resource(uri).map_err(|why| {
        let known = why != NoRoute::Unknown;
        let mut error = nowhere("resource", uri, why);
        if !known {
            error.data =
                serde_json::value::to_raw_value(&serde_json::json!({"uri": clipped(uri)})).ok();
        }
        error
    })
}

/// `completion/complete`: what is completed names a prompt or a template (2026-07-28, Completion).
fn completion(view: &View, request: &Request<'_>) -> Result<Routed, RpcError> {
    let wrong = || {
        RpcError::malformed_params("Invalid params: `ref` names no prompt and no resource template")
    };
    let raw = request.params.get("ref").ok_or_else(wrong)?;
    let of = members("ref", raw)?;
    let named = |member: &str| of.string(member).ok().flatten().ok_or_else(wrong);
    let (member, route) = match named("type")?.as_ref() {
        "ref/prompt" => {
            let name = named("name")?;
            let route = view.prompt(&name);
            let route = route.map_err(|why| nowhere("prompt", &name, why))?;
            ("name", route.clone())
        }
        "ref/resource" => ("uri", resource(view, &named("uri")?)?),
        _ => return Err(wrong()),
    };
    let own = quoted(&route.own);
    let edited = joined(&of, |name| (name == member).then_some(&*own), |_| false);
    Ok(Routed {
        route,
        name: None,
        edit: Some(("ref", format!("{{{edited}}}"))),
    })
}

/// A request about a task: at an endpoint of many servers its id begins with the server's name, and
/// then it has the mark of whom it was given to.
fn task(
    view: &View,
    request: &Request<'_>,
    caller: &Caller<'_>,
    marks: &Marks,
) -> Result<Option<Routed>, RpcError> {
    let Ok(Some(public)) = request.params.string("taskId") else {
        return Err(RpcError::malformed_params(
            "Invalid params: `taskId` is not a string",
        ));
    };
    let found = match view.alone() {
        Some(alone) => Some((alone, &*public)),
        None => public
            .split_once('/')
            .and_then(|(server, own)| Some((view.server(server)?, own))),
    };
    let unknown = || nowhere("task", &public, NoRoute::Unknown);
    let ((server, upstream), marked) = found.ok_or_else(unknown)?;
    let own = marks
        .of(server, caller.owner(None))
        .own(Marked::Task, marked);
    let own = own.ok_or_else(unknown)?;
    let allowed = view.reaches(server);
    allowed.map_err(|why| nowhere("task", &public, why))?;
    let route = Route::new(server, own, upstream);
    Ok(Some(Routed::named(route, "taskId")))
}

/// The error for a state that nobody waits for, or that was given to somebody else.
pub(super) fn unknown_state() -> RpcError {
    RpcError::invalid_params(
        "Invalid params: nothing waits for this `requestState`; make the request anew",
    )
}

/// Why a request for something goes nowhere.
pub(super) fn nowhere(what: &str, name: &str, why: NoRoute) -> RpcError {
    match why {
        NoRoute::Unknown => RpcError::invalid_params(format!("Unknown {what}: {}", clipped(name))),
        NoRoute::Denied {
            server,
            tool,
            denial,
        } => RpcError::denied(&server, tool.as_deref(), &denial),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(256).collect()
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

/// What `Mcp-Name` has to repeat (2026-07-28, Streamable HTTP, Standard Headers).
pub(crate) fn mirrored<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, str>>, RpcError> {
    match &*request.method {
        TOOLS_CALL | PROMPTS_GET => tool_name(request).map(Some),
        RESOURCES_READ => resource_uri(request).map(Some),
        method if method.starts_with(TASKS) => request
            .params
            .string("taskId")
            .map_err(|_| RpcError::malformed_params("Invalid params: `taskId` is not a string")),
        _ => Ok(None),
    }
}
