//! JSON-RPC messages as they go to a server and come back, over whatever transport.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use indexmap::IndexMap;
use mcphub_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{About, Failure, Forward, Response, http, one_line};
use crate::members::{put_quoted, quoted};

/// The revision of the modern era that is spoken.
pub(super) const MODERN: &str = "2026-07-28";

/// The revisions of the legacy era that are spoken, the one that is offered first.
pub(super) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// One request, of either era.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) params: Params<'a>,
    /// The value of `Mcp-Name`.
    pub(super) name: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: &'static str, params: Params<'a>) -> Self {
        Self {
            method,
            params,
            name: None,
        }
    }

    pub(super) fn named(self, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    /// The message. In the modern era each request says who sends it.
    pub(super) fn message(&self, id: u64, modern: bool) -> Result<Vec<u8>> {
        let params = Params {
            meta: modern.then(Meta::default),
            ..self.params
        };
        write(&Request {
            jsonrpc: "2.0",
            id: Some(id),
            method: self.method,
            params: Some(params),
        })
    }
}

/// The members of `params` that any request here has.
#[derive(Serialize, Clone, Copy, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<Filter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_info: Option<Implementation>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

impl<'a> Params<'a> {
    pub(super) fn call(name: &'a str, arguments: &'a RawValue) -> Self {
        Self {
            name: Some(name),
            arguments: Some(arguments),
            ..Self::default()
        }
    }

    pub(super) fn list(cursor: Option<&'a str>) -> Self {
        Self {
            cursor,
            ..Self::default()
        }
    }

    /// `subscriptions/listen` for changes of these lists.
    pub(super) fn listen(prompts: bool, resources: bool) -> Self {
        Self {
            notifications: Some(Filter {
                tools_list_changed: true,
                prompts_list_changed: prompts,
                resources_list_changed: resources,
                resource_subscriptions: &[],
            }),
            ..Self::default()
        }
    }

    /// `subscriptions/listen` for changes of these resources.
    pub(super) fn listen_to(uris: &'a [String]) -> Self {
        Self {
            notifications: Some(Filter {
                resource_subscriptions: uris,
                ..Filter::default()
            }),
            ..Self::default()
        }
    }

    /// `resources/subscribe` and `resources/unsubscribe`.
    pub(super) fn resource(uri: &'a str) -> Self {
        Self {
            uri: Some(uri),
            ..Self::default()
        }
    }

    /// `logging/setLevel`.
    pub(super) fn level(level: &'a str) -> Self {
        Self {
            level: Some(level),
            ..Self::default()
        }
    }

    /// `initialize` with these capabilities of a client.
    pub(super) fn initialize(capabilities: &'a RawValue) -> Self {
        Self {
            protocol_version: Some(LEGACY[0]),
            capabilities: Some(capabilities),
            client_info: Some(Implementation::default()),
            ..Self::default()
        }
    }
}

/// What every modern request carries (MCP 2026-07-28, Base Protocol, `_meta`).
#[derive(Serialize, Clone, Copy)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: &'static str,
    #[serde(rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Implementation,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Empty,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            protocol_version: MODERN,
            client_info: Implementation::default(),
            client_capabilities: Empty {},
        }
    }
}

#[derive(Serialize, Clone, Copy)]
struct Implementation {
    name: &'static str,
    version: &'static str,
}

impl Default for Implementation {
    fn default() -> Self {
        Self {
            name: "mcphub",
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

#[derive(Serialize, Clone, Copy, Default)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    resource_subscriptions: &'a [String],
}

#[derive(Serialize, Clone, Copy)]
struct Empty {}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Params<'a>>,
}

/// The notification that ends the handshake of the legacy era.
pub(super) fn initialized() -> Result<Vec<u8>> {
    write(&Request {
        jsonrpc: "2.0",
        id: None,
        method: "notifications/initialized",
        params: None,
    })
}

fn write(message: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(message)
        .map_err(|error| Error::internal("a message cannot be written").caused_by(error))
}

/// A message from the server. A member that is there twice is an error.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) error: Option<Failure>,
}

/// The longest instructions of a server that are told, in characters.
const MAX_INSTRUCTIONS: usize = 32_768;

/// What a server says of itself in the result of `server/discover`; `None` when it does not speak
/// the modern era.
pub(super) fn discovered(result: &RawValue) -> Option<About> {
    let it: Discovered<'_> = serde_json::from_str(result.get()).ok()?;
    let speaks = it.supported_versions.iter().any(|known| known == MODERN);
    speaks.then(|| about(it.capabilities, it.instructions))
}

/// The revision that a server agreed to in the result of `initialize`, and what it says of itself.
///
/// # Errors
/// `Upstream` for a revision that is not spoken here.
pub(super) fn agreed(result: &RawValue) -> Result<(&'static str, About)> {
    let it = serde_json::from_str::<Initialized<'_>>(result.get()).ok();
    let version = it.as_ref().and_then(|it| {
        let known = |known: &&str| *known == it.protocol_version;
        LEGACY.into_iter().find(known)
    });
    match (version, it) {
        (Some(version), Some(it)) => Ok((version, about(it.capabilities, it.instructions))),
        _ => {
            let message = "the MCP server speaks no revision that mcphub speaks";
            Err(Error::new(ErrorKind::Upstream, message))
        }
    }
}

/// The error for a server that does not speak the era that it was said to speak.
pub(super) fn not_modern() -> Error {
    let message = "the MCP server does not speak the revision 2026-07-28";
    Error::new(ErrorKind::Upstream, message)
}

fn about(capabilities: Option<&RawValue>, instructions: Option<String>) -> About {
    let mut about = capabilities.map(About::read).unwrap_or_default();
    about.instructions = instructions.map(|text| http::clip(&text, MAX_INSTRUCTIONS));
    about
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered<'a> {
    supported_versions: Vec<String>,
    #[serde(borrow, default)]
    capabilities: Option<&'a RawValue>,
    #[serde(default)]
    instructions: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized<'a> {
    protocol_version: String,
    #[serde(borrow, default)]
    capabilities: Option<&'a RawValue>,
    #[serde(default)]
    instructions: Option<String>,
}

/// The error for a JSON-RPC error.
pub(super) fn refused(method: &str, failure: &Failure) -> Error {
    Error::new(ErrorKind::Upstream, "the MCP server answered with an error")
        .with("method", method)
        .with("code", failure.code)
        .with("message", http::clip(&failure.message, 1_000))
}

/// Whether only a server of the modern era answers this (MCP 2026-07-28, Error Codes).
pub(super) fn is_modern(failure: &Failure) -> bool {
    use rmcp::model::ErrorCode;
    [
        ErrorCode::HEADER_MISMATCH,
        ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION,
    ]
    .iter()
    .any(|code| i64::from(code.0) == failure.code)
}

/// A request of any method. Its id is its progress token too, so that no two have the same.
pub(super) fn forward(forward: &Forward, id: u64, modern: bool) -> Vec<u8> {
    let room = forward.params.len() + forward.meta.len() + forward.method.len();
    let mut text = String::with_capacity(room + FRAME);
    // Writing to a String cannot fail.
    let _ = write!(text, r#"{{"jsonrpc":"2.0","id":{id},"method":"#);
    put_quoted(&mut text, &forward.method);
    text.push_str(r#","params":{"#);
    text.push_str(&forward.params);
    let begin = if forward.params.is_empty() {
        r#""_meta":{"#
    } else {
        r#","_meta":{"#
    };
    let mut next = begin;
    let mut member = |text: &mut String| text.push_str(std::mem::replace(&mut next, ","));
    if modern {
        member(&mut text);
        text.push_str(OURS);
        match forward.abilities.whole() {
            Some(whole) => text.push_str(whole),
            None => text.push_str(&forward.abilities.text(true)),
        }
        if let Some(level) = &forward.log_level {
            member(&mut text);
            text.push_str(r#""io.modelcontextprotocol/logLevel":"#);
            put_quoted(&mut text, level);
        }
    }
    if forward.progress {
        member(&mut text);
        let _ = write!(text, r#""progressToken":{id}"#);
    }
    if !forward.meta.is_empty() {
        member(&mut text);
        text.push_str(&forward.meta);
    }
    text.push_str(if next == begin { "}}" } else { "}}}" });
    text.into_bytes()
}

/// Room for what stands around the parts of a request.
const FRAME: usize = 320;

/// The beginning of `_meta` of the modern era.
const OURS: &str = concat!(
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"mcphub","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"io.modelcontextprotocol/clientCapabilities":"#
);

/// Whether an id is this number.
pub(super) fn is(found: &RawValue, id: u64) -> bool {
    // As it was written: no other text is the same id.
    let text = found.get();
    text.parse() == Ok(id) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A message as a line. Line ends between the tokens of JSON are insignificant: a string holds them
/// escaped.
pub(super) fn line(mut message: Vec<u8>) -> Bytes {
    for byte in &mut message {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    message.into()
}

/// The answer to a request of the server.
pub(super) fn response(id: &RawValue, answer: &Response) -> Vec<u8> {
    let (member, value) = match answer {
        Response::Result(result) => ("result", result),
        Response::Error(error) => ("error", error),
    };
    let (id, value) = (id.get(), value.get());
    format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{value}}}"#).into_bytes()
}

/// A notification of the client.
pub(super) fn told(method: &str, params: &RawValue) -> Vec<u8> {
    let (method, params) = (quoted(method), params.get());
    format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#).into_bytes()
}

/// The notification that a request is given up (2025-11-25, Cancellation).
pub(super) fn cancelled(id: u64) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the caller went away"}}}}"#
    )
    .into_bytes()
}

/// The answer to a request of the server that nobody can be asked: a `ping` has one.
pub(super) fn unasked(id: &RawValue, method: &str) -> Vec<u8> {
    let answer = match method {
        "ping" => r#""result":{}"#,
        _ => r#""error":{"code":-32601,"message":"Nobody can be asked this now"}"#,
    };
    format!(r#"{{"jsonrpc":"2.0","id":{},{answer}}}"#, id.get()).into_bytes()
}

/// `{}`.
pub(super) fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

/// A tool's result on one line, without `resultType`, which belongs to the era of this server and
/// not to that of the client.
pub(super) fn tool_result(result: Box<RawValue>) -> Result<Box<RawValue>> {
    let nonsense = || {
        Error::new(
            ErrorKind::Upstream,
            "the MCP server's result of a tool is no object",
        )
    };
    if !result.get().starts_with('{') {
        return Err(nonsense());
    }
    if !result.get().contains("resultType") {
        return Ok(one_line(&result));
    }
    let mut members: IndexMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(result.get()).map_err(|error| nonsense().caused_by(error))?;
    match members.shift_remove("resultType") {
        Some(kind) if kind.get() != r#""complete""# => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the tool asks for input, which is not supported yet",
            )
            .with(
                "resultType",
                kind.get().chars().take(64).collect::<String>(),
            ));
        }
        _ => {}
    }
    let rest = to_raw_value(&members).map_err(|error| nonsense().caused_by(error))?;
    Ok(one_line(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn results_are_relayed_as_they_are_written() {
        let result = raw("{\"content\": [],\n \"n\": 123456789012345678901234567890, \"p\": 1.10}");
        assert_eq!(
            tool_result(result).unwrap().get(),
            "{\"content\": [],  \"n\": 123456789012345678901234567890, \"p\": 1.10}"
        );
        let result = raw(r#"{"resultType":"complete","content":[{"text":"resultType"}],"p":1.10}"#);
        assert_eq!(
            tool_result(result).unwrap().get(),
            r#"{"content":[{"text":"resultType"}],"p":1.10}"#
        );
    }

    #[test]
    fn a_result_that_asks_for_input_is_refused() {
        let error =
            tool_result(raw(r#"{"resultType":"input_required","inputRequests":{}}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(tool_result(raw("[1]")).is_err());
    }

    #[test]
    fn a_line_has_no_line_ends() {
        let arguments = raw("{\n \"a\":\r\n \"x\\ny\", \"n\": 1.10}");
        let call = Call::new("tools/call", Params::call("t", &arguments));
        assert_eq!(
            line(call.message(7, false).unwrap()),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{  "a":   "x\ny", "n": 1.10}}}"#
        );
    }

    #[test]
    fn requests_that_reach_nobody_are_answered() {
        let text = |method| String::from_utf8(unasked(&raw(r#""a""#), method)).unwrap();
        assert_eq!(text("ping"), r#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
        assert!(text("roots/list").contains("-32601"));
    }

    #[test]
    fn modern_requests_say_who_sends_them_and_legacy_ones_do_not() {
        let arguments = raw(r#"{"id": 1.10}"#);
        let call = Call::new("tools/call", Params::call("t", &arguments));
        let modern = String::from_utf8(call.message(7, true).unwrap()).unwrap();
        assert!(modern.starts_with(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"id": 1.10},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28""#), "{modern}");
        let legacy = String::from_utf8(call.message(7, false).unwrap()).unwrap();
        assert!(
            legacy.ends_with(r#""params":{"name":"t","arguments":{"id": 1.10}}}"#),
            "{legacy}"
        );
    }
}
