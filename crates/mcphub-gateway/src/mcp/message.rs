//! The envelope: JSON-RPC 2.0 messages as raw text.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::RpcError;
use super::meta::Meta;
use crate::members::{Members, string};
use crate::upstream::{Response, one_line};

/// One message of a client. Everything in it is borrowed from its text.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Request(Request<'a>),
    Notification(Notification<'a>),
    /// An answer to a request of the gateway.
    Response(ClientResponse<'a>),
}

/// What a client answers. Without an id that could be of the gateway, and without what it has to
/// have, it is nobody's.
#[derive(Debug)]
pub(crate) struct ClientResponse<'a> {
    id: Option<Cow<'a, str>>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

impl ClientResponse<'_> {
    /// The id of the request, and its answer.
    pub(crate) fn answer(&self) -> Option<(&str, Response)> {
        let id = self.id.as_deref()?;
        let response = match (self.result, self.error) {
            (Some(result), None) => Response::Result(one_line(result)),
            (_, Some(error)) => Response::Error(one_line(error)),
            (None, None) => return None,
        };
        Some((id, response))
    }
}

#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// A string or an integer.
    pub(crate) id: &'a RawValue,
    pub(crate) method: Cow<'a, str>,
    pub(crate) params: Members<'a>,
    /// `_meta` of the params, once somebody has asked for it.
    meta: OnceLock<Meta<'a>>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(id: &'a RawValue, method: Cow<'a, str>, params: Members<'a>) -> Self {
        Self {
            id,
            method,
            params,
            meta: OnceLock::new(),
        }
    }

    /// What the request says of itself.
    ///
    /// # Errors
    /// For what is not as the protocol asks.
    pub(crate) fn meta(&self) -> Result<&Meta<'a>, RpcError> {
        if let Some(meta) = self.meta.get() {
            return Ok(meta);
        }
        let meta = Meta::read(&self.params)?;
        Ok(self.meta.get_or_init(|| meta))
    }
}

#[derive(Debug)]
pub(crate) struct Notification<'a> {
    pub(crate) method: Cow<'a, str>,
    pub(crate) params: Members<'a>,
}

/// A message that is none, with its id where that can be read.
#[derive(Debug)]
pub(crate) struct Rejected<'a> {
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) error: RpcError,
}

impl From<RpcError> for Rejected<'_> {
    fn from(error: RpcError) -> Self {
        Self { id: None, error }
    }
}

/// What a client sent at once.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    One(Message<'a>),
    /// A batch, of revision 2025-03-26 only: at least one message, each still to be read.
    Batch(Vec<&'a RawValue>),
}

impl<'a> Payload<'a> {
    /// Reads what a client sent. A batch has at most `max_batch` messages.
    pub(crate) fn read(bytes: &'a [u8], max_batch: usize) -> Result<Self, Rejected<'a>> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| RpcError::parse("Parse error: the message is not UTF-8"))?;
        if text.trim_ascii_start().starts_with('[') {
            return read_batch(text, max_batch)
                .map(Self::Batch)
                .map_err(Rejected::from);
        }
        Message::read(text).map(Self::One)
    }
}

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// The envelope and `params` must not have a member twice: what was checked and what is
    /// forwarded would differ.
    pub(crate) fn read(text: &'a str) -> Result<Self, Rejected<'a>> {
        if let Some(request) = Call::read(text) {
            return Ok(Self::Request(request));
        }
        let envelope = Members::read(text).map_err(|error| RpcError::from(&error))?;
        let id = envelope.get("id").filter(|id| is_id(id));
        let reject = |error: RpcError| Rejected { id, error };
        if envelope.string("jsonrpc") != Ok(Some(Cow::Borrowed("2.0"))) {
            return Err(reject(RpcError::invalid_request(
                "Invalid request: `jsonrpc` is not \"2.0\"",
            )));
        }
        if envelope.get("id").is_some() && id.is_none() {
            return Err(reject(RpcError::invalid_request(
                "Invalid request: `id` is not a string or an integer",
            )));
        }
        let answers = envelope.get("result").is_some() || envelope.get("error").is_some();
        if answers && envelope.get("method").is_none() {
            return Ok(Self::Response(ClientResponse {
                id: id.and_then(string),
                result: envelope.get("result"),
                error: envelope.get("error"),
            }));
        }
        let Ok(Some(method)) = envelope.string("method") else {
            return Err(reject(RpcError::invalid_request(
                "Invalid request: `method` is not a string",
            )));
        };
        let params = match envelope.get("params") {
            Some(params) => members("params", params).map_err(reject)?,
            None => Members::default(),
        };
        Ok(match id {
            Some(id) => Self::Request(Request::new(id, method, params)),
            None => Self::Notification(Notification { method, params }),
        })
    }
}

/// A request as nearly all are written, which takes one pass to read. Whatever is otherwise is read,
/// and refused, with more patience.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    params: Members<'a>,
}

impl<'a> Call<'a> {
    fn read(text: &'a str) -> Option<Request<'a>> {
        // An array would be taken for an object without names.
        if !text.trim_ascii_start().starts_with('{') {
            return None;
        }
        let call: Self = serde_json::from_str(text).ok()?;
        (call.jsonrpc == "2.0" && is_id(call.id))
            .then(|| Request::new(call.id, Cow::Borrowed(call.method), call.params))
    }
}

/// The members of a part of a message that has to be an object.
pub(crate) fn members<'a>(name: &str, raw: &'a RawValue) -> Result<Members<'a>, RpcError> {
    Members::read(raw.get())
        .map_err(|error| RpcError::malformed_params(format!("Invalid params: `{name}`: {error}")))
}

/// Whether a value may be an id, or a name for progress (2026-07-28, Overview, Requests).
pub(crate) fn is_id(raw: &RawValue) -> bool {
    let text = raw.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    string(raw).is_some() || (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

impl From<&serde_json::Error> for RpcError {
    fn from(error: &serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::invalid_request(format!("Invalid request: {error}")),
            Category::Syntax | Category::Eof | Category::Io => {
                Self::parse(format!("Parse error: {error}"))
            }
        }
    }
}

fn read_batch(text: &str, max: usize) -> Result<Vec<&RawValue>, RpcError> {
    struct Messages(usize);
    impl<'de> Visitor<'de> for Messages {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of messages")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut messages = Vec::new();
            while let Some(message) = items.next_element()? {
                if messages.len() == self.0 {
                    return Err(A::Error::custom(format!(
                        "a batch has at most {} messages",
                        self.0
                    )));
                }
                messages.push(message);
            }
            Ok(messages)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let messages = deserializer
        .deserialize_seq(Messages(max))
        .map_err(|error| RpcError::from(&error))?;
    deserializer.end().map_err(|error| RpcError::from(&error))?;
    if messages.is_empty() {
        return Err(RpcError::invalid_request("Invalid request: an empty batch"));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> (Option<String>, i64) {
        let rejected = Payload::read(text.as_bytes(), 3).unwrap_err();
        (
            rejected.id.map(|id| id.get().to_owned()),
            rejected.error.code,
        )
    }

    #[test]
    fn a_request_keeps_the_text_of_its_parts() {
        let text = r#"{"id":"a\u0062","jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"n" :1.0}}}"#;
        let Ok(Payload::One(Message::Request(request))) = Payload::read(text.as_bytes(), 3) else {
            panic!()
        };
        assert_eq!(request.id.get(), r#""a\u0062""#);
        assert_eq!(request.method, "tools/call");
        assert_eq!(
            request.params.get("arguments").unwrap().get(),
            r#"{"n" :1.0}"#
        );
    }

    #[test]
    fn what_is_not_json_is_a_parse_error_without_an_id() {
        for text in [
            "",
            "{",
            "nonsense",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#,
            "[1,",
            "\u{1}",
        ] {
            assert_eq!(code(text), (None, -32700), "{text}");
        }
        assert_eq!(
            Payload::read(b"\"\xff\"", 3).unwrap_err().error.code,
            -32700
        );
    }

    #[test]
    fn what_is_json_but_no_message_is_an_invalid_request() {
        let id = || Some("7".to_owned());
        for (text, expected) in [
            ("1", None),
            ("{}", None),
            (r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, id()),
            (r#"{"jsonrpc":"2.0","id":7}"#, id()),
            (r#"{"jsonrpc":"2.0","id":7,"method":1}"#, id()),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, None),
            ("[]", None),
            ("[1,2,3,4]", None),
        ] {
            assert_eq!(code(text), (expected, -32600), "{text}");
        }
    }

    #[test]
    fn members_that_appear_twice_are_refused() {
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#),
            (None, -32600)
        );
        let params =
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","name":"b"}}"#;
        assert_eq!(code(params), (Some("7".to_owned()), -32602));
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}"#).1,
            -32602
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_read(bytes: Vec<u8>) {
            let _ = Payload::read(&bytes, 3);
        }

        #[test]
        fn what_is_almost_a_message_is_read_or_rejected(
            text in r#"\[?\{"(jsonrpc|id|method)":("2\.0"|"x"|[0-9]{1,3}|null|\{\}),"(jsonrpc|id|method|params)":("2\.0"|\{"a":1\}|\[\])[\]}]{0,2}"#
        ) {
            let _ = Payload::read(text.as_bytes(), 3);
        }
    }

    #[test]
    fn notifications_responses_and_batches_are_told_apart() {
        let read = |text: &'static str| Payload::read(text.as_bytes(), 3).unwrap();
        assert!(matches!(
            read(r#"{"jsonrpc":"2.0","method":"x"}"#),
            Payload::One(Message::Notification(_))
        ));
        assert!(matches!(
            read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            Payload::One(Message::Response(_))
        ));
        assert!(matches!(read(" [{},{}] "), Payload::Batch(messages) if messages.len() == 2));
    }
}
