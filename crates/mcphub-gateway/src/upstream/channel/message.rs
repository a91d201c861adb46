//! JSON-RPC messages as they go over a channel, each on one line.

use std::borrow::Cow;

use bytes::Bytes;
use indexmap::IndexMap;
use mcphub_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::upstream::CallResult;

/// The revision of the modern era that is spoken.
pub(super) const MODERN: &str = "2026-07-28";

/// The revisions of the legacy era that are spoken, the one that is offered first.
pub(super) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

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
    notifications: Option<Filter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_info: Option<Implementation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<u64>,
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

    /// `subscriptions/listen` for changes of the list of tools.
    pub(super) fn listen() -> Self {
        Self {
            notifications: Some(Filter {
                tools_list_changed: true,
            }),
            ..Self::default()
        }
    }

    pub(super) fn initialize() -> Self {
        Self {
            protocol_version: Some(LEGACY[0]),
            capabilities: Some(Empty {}),
            client_info: Some(Implementation::default()),
            ..Self::default()
        }
    }

    fn cancel(id: u64) -> Self {
        Self {
            request_id: Some(id),
            ..Self::default()
        }
    }

    /// As the modern era has them, where each request says who sends it.
    fn modern(self) -> Self {
        Self {
            meta: Some(Meta::default()),
            ..self
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

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
struct Filter {
    tools_list_changed: bool,
}

#[derive(Serialize, Clone, Copy)]
struct Empty {}

#[derive(Serialize)]
struct Message<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Params<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    code: i32,
    message: &'static str,
}

impl Message<'_> {
    const NONE: Message<'static> = Message {
        jsonrpc: "2.0",
        id: None,
        method: None,
        params: None,
        result: None,
        error: None,
    };

    fn line(&self) -> Result<Bytes> {
        let mut line = serde_json::to_vec(self)
            .map_err(|error| Error::internal("a message cannot be written").caused_by(error))?;
        // A client's arguments may have line ends. In JSON they are insignificant: a string holds
        // them escaped.
        for byte in &mut line {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        Ok(line.into())
    }
}

/// A request.
pub(super) fn request(id: u64, method: &str, params: Params<'_>, modern: bool) -> Result<Bytes> {
    let id = to_raw_value(&id)
        .map_err(|error| Error::internal("a message cannot be written").caused_by(error))?;
    Message {
        id: Some(Cow::Owned(id)),
        method: Some(method),
        params: Some(if modern { params.modern() } else { params }),
        ..Message::NONE
    }
    .line()
}

/// The notification that ends the handshake of the legacy era.
pub(super) fn initialized() -> Result<Bytes> {
    Message {
        method: Some("notifications/initialized"),
        ..Message::NONE
    }
    .line()
}

/// The notification that nobody waits for an answer any more.
pub(super) fn cancelled(id: u64) -> Result<Bytes> {
    Message {
        method: Some("notifications/cancelled"),
        params: Some(Params::cancel(id)),
        ..Message::NONE
    }
    .line()
}

/// The answer to a request of the server. A `ping` has one; for all else this client has declared
/// no capability.
pub(super) fn answer(id: &RawValue, method: &str) -> Result<Bytes> {
    let refusal = Refusal {
        code: -32601,
        message: "Method not found",
    };
    let known = method == "ping";
    Message {
        id: Some(Cow::Borrowed(id)),
        result: known.then_some(Empty {}),
        error: (!known).then_some(refusal),
        ..Message::NONE
    }
    .line()
}

/// A message from the server. A member that is there twice is an error.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) error: Option<Failure>,
}

/// A JSON-RPC error.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Failure {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
}

/// The name of a tool.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// A tool's result without `resultType`, which belongs to the era of this server and not to that of
/// the client.
pub(super) fn tool_result(result: Box<RawValue>) -> Result<CallResult> {
    let nonsense = || {
        let message = "the MCP server's result of a tool is no object";
        Error::new(ErrorKind::Upstream, message)
    };
    if !result.get().starts_with('{') {
        return Err(nonsense());
    }
    if !result.get().contains("resultType") {
        return Ok(result.into());
    }
    let mut members: IndexMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(result.get()).map_err(|error| nonsense().caused_by(error))?;
    match members.shift_remove("resultType") {
        Some(kind) if kind.get() != r#""complete""# => {
            let message = "the tool asks for input, which is not supported yet";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        _ => {}
    }
    let rest = to_raw_value(&members).map_err(|error| nonsense().caused_by(error))?;
    Ok(rest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: Result<Bytes>) -> String {
        String::from_utf8(line.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_one_line_however_its_arguments_are_written() {
        let arguments = RawValue::from_string("{\n \"a\":\r\n \"x\\ny\", \"n\": 1.10}".to_owned());
        let arguments = arguments.unwrap();
        let line = text(request(
            7,
            "tools/call",
            Params::call("t", &arguments),
            false,
        ));
        assert_eq!(
            line,
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{  "a":   "x\ny", "n": 1.10}}}"#
        );
        let line = text(request(8, "tools/list", Params::list(None), true));
        assert!(
            line.contains(r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28""#)
        );
    }

    #[test]
    fn requests_of_a_server_are_answered() {
        let id = RawValue::from_string(r#""a""#.to_owned()).unwrap();
        assert_eq!(
            text(answer(&id, "ping")),
            r#"{"jsonrpc":"2.0","id":"a","result":{}}"#
        );
        assert!(text(answer(&id, "roots/list")).contains("-32601"));
        assert_eq!(
            text(cancelled(3)),
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#
        );
    }

    #[test]
    fn results_are_relayed_as_they_are_written() {
        let result = |text: &str| {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            tool_result(raw).map(|result| String::from_utf8(result.as_bytes().to_vec()).unwrap())
        };
        let plain = r#"{"content": [], "n": 123456789012345678901234567890}"#;
        assert_eq!(result(plain).unwrap(), plain);
        let modern = r#"{"resultType":"complete","content":[{"text":"resultType"}],"p":1.10}"#;
        assert_eq!(
            result(modern).unwrap(),
            r#"{"content":[{"text":"resultType"}],"p":1.10}"#
        );
        assert!(result(r#"{"resultType":"input_required"}"#).is_err());
        assert!(result("[]").is_err());
    }
}
