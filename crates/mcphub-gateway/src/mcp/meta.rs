//! What a request says of itself in `_meta` (2026-07-28, Overview, `_meta`).

use std::borrow::Cow;

use rmcp::model::RequestMetaObject;
use serde_json::value::RawValue;

use super::error::RpcError;
use super::level::Level;
use super::message::{is_id, members};
use super::revision::Revision;
use super::routing::joined;
use crate::members::{Members, is_object};

/// The key of the revision.
const VERSION: &str = RequestMetaObject::DRAFT_REQUIRED_KEYS[0];

/// The key of the client's capabilities.
const CAPABILITIES: &str = RequestMetaObject::DRAFT_REQUIRED_KEYS[1];

/// The longest name of a request for its progress, in bytes.
const MAX_TOKEN: usize = 1024;

/// The key of who the client is.
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// The key of what the client wants to see of logs.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The key of the token for progress.
const PROGRESS: &str = "progressToken";

/// What the gateway reads from `_meta`.
#[derive(Debug, Default)]
pub(crate) struct Meta<'a> {
    /// The revision that the request names, as it names it.
    pub(crate) version: Option<Cow<'a, str>>,
    /// What the client can be asked, an object.
    pub(crate) capabilities: Option<&'a RawValue>,
    /// The client's own name for a request whose progress it wants to hear of (2026-07-28, Progress;
    /// 2025-11-25 alike).
    pub(crate) progress: Option<&'a RawValue>,
    members: Members<'a>,
}

impl<'a> Meta<'a> {
    pub(crate) fn read(params: &Members<'a>) -> Result<Self, RpcError> {
        let Some(raw) = params.get("_meta") else {
            return Ok(Self::default());
        };
        let meta = members("_meta", raw)?;
        let version = meta
            .string(VERSION)
            .map_err(|_| missing(VERSION, "a string"))?;
        Ok(Self {
            version,
            capabilities: meta.get(CAPABILITIES).filter(|raw| is_object(raw)),
            progress: token(&meta),
            members: meta,
        })
    }

    /// The revision that the request names, once it is known to be whole. `None` where it names
    /// none.
    pub(crate) fn revision(&self) -> Result<Option<Revision>, RpcError> {
        let Some(version) = &self.version else {
            return Ok(None);
        };
        let revision: Revision = version
            .parse()
            .map_err(|_| RpcError::unsupported_version(version))?;
        if revision.is_modern() && self.capabilities.is_none() {
            return Err(missing(CAPABILITIES, "an object"));
        }
        Ok(Some(revision))
    }

    /// The least severe log message that the client wants of this request (2026-07-28, Logging).
    pub(crate) fn level(&self) -> Result<Option<Level>, RpcError> {
        let wrong = || missing(LOG_LEVEL, "a log level");
        let level = self.members.string(LOG_LEVEL).map_err(|_| wrong())?;
        level
            .map(|level| level.parse().map_err(|_| wrong()))
            .transpose()
    }

    /// Whether it has one of these members.
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.members.get(name).is_some())
    }

    /// What is neither the connection's nor the transport's, such as trace context: members without
    /// the braces, on one line.
    pub(crate) fn own(&self) -> String {
        let ours =
            |name: &str| [VERSION, CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROGRESS].contains(&name);
        joined(&self.members, |_| None, ours)
    }

    /// The error for a request of the modern era that names no revision.
    pub(crate) fn missing_version() -> RpcError {
        missing(VERSION, "a string")
    }
}

fn token<'a>(meta: &Members<'a>) -> Option<&'a RawValue> {
    let token = meta.get(PROGRESS)?;
    (is_id(token) && token.get().len() <= MAX_TOKEN).then_some(token)
}

fn missing(key: &str, kind: &str) -> RpcError {
    RpcError::malformed_params(format!(
        "Invalid params: `_meta[\"{key}\"]` has to be {kind}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(params: &str) -> Result<Option<Revision>, i64> {
        let params = Members::read(params).unwrap();
        Meta::read(&params)
            .and_then(|meta| meta.revision())
            .map_err(|error| error.code)
    }

    #[test]
    fn a_modern_request_names_revision_and_capabilities() {
        let whole = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;
        assert_eq!(revision(whole), Ok(Some(Revision::V2026_07_28)));
        assert_eq!(revision("{}"), Ok(None));
        assert_eq!(revision(r#"{"_meta":{"progressToken":1}}"#), Ok(None));
        for (params, code) in [
            (
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
                -32602,
            ),
            (
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":20260728}}"#,
                -32602,
            ),
            (
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"1900-01-01"}}"#,
                -32022,
            ),
            (r#"{"_meta":{"a":1,"a":2}}"#, -32602),
            (r#"{"_meta":1}"#, -32602),
        ] {
            assert_eq!(revision(params), Err(code), "{params}");
        }
    }
}
