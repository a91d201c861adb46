//! Results as clients get them, and what they get in place of one.

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use mcphub_core::call::ToolResult;
use mcphub_core::{Error, ErrorKind};
use rmcp::model::CacheScope;
use serde_json::json;
use serde_json::value::RawValue;

use super::error::RpcError;
use super::reply::Outcome;
use crate::federation::Route;
use crate::gateway::Inner;
use crate::guard::Refused;
use crate::metrics::Ended;
use crate::upstream::{CallResult, Given};

/// In how many seconds a call that was refused may be made again, among what is said of an answer.
pub(super) const RETRY_AFTER: &str = "mcphub/retryAfterSeconds";

/// The longest error of an upstream that is told, in characters.
const MAX_ERROR: usize = 2_000;

/// The `_meta` that has `serverInfo`.
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

/// A complete result that may be kept, with these members (2026-07-28, Caching). Lists are the same
/// for everybody, unless everybody is asked who they are.
pub(super) fn cacheable(gateway: &Inner, result: Bytes) -> Outcome {
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

pub(super) fn unknown_tool(name: &str) -> RpcError {
    let name: String = name.chars().take(128).collect();
    RpcError::invalid_params(format!("Unknown tool: {name}"))
}

/// The error where calls are only made that are noted.
pub(super) fn not_noted() -> RpcError {
    RpcError::unanswered("The call cannot be noted in the audit log now; try again later")
}

pub(super) fn clipped(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_ERROR) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
