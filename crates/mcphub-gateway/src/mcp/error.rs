//! Errors of the protocol, as opposed to those of tools.

use std::borrow::Cow;

use mcphub_core::principal::Denial;
use mcphub_core::server::ServerName;
use rmcp::model::ErrorCode;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::revision::Revision;
use crate::login::Offer;

/// What 2025-11-25 alone has.
const URL_ELICITATION_REQUIRED: ErrorCode = ErrorCode(-32_042);

/// A JSON-RPC error, and the HTTP status that carries it.
///
/// Errors of the message itself have the status that the specification asks for. Errors of what it
/// asks for, such as an unknown tool, travel with status 200: to a client of both eras another
/// status without a code that it knows would mean that the server is of the old era.
#[derive(Debug, Clone)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: Cow<'static, str>,
    pub(crate) data: Option<Box<RawValue>>,
    pub(crate) status: u16,
}

impl RpcError {
    fn new(code: ErrorCode, status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.0.into(),
            message: message.into(),
            data: None,
            status,
        }
    }

    /// The text is not JSON.
    pub(crate) fn parse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::PARSE_ERROR, 400, message)
    }

    /// The JSON is not a message.
    pub(crate) fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::INVALID_REQUEST, 400, message)
    }

    /// The message is not what its method asks for, or lacks what every message has
    /// (2026-07-28, Overview, `_meta`).
    pub(crate) fn malformed_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMS, 400, message)
    }

    /// What the message asks for does not exist.
    pub(crate) fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMS, 200, message)
    }

    /// There is no such method: 404 in the modern era (2026-07-28, Streamable HTTP, Protocol
    /// Version Header), 200 before.
    pub(crate) fn method_not_found(method: &str, modern: bool) -> Self {
        let method: String = method.chars().take(64).collect();
        let status = if modern { 404 } else { 200 };
        Self::new(
            ErrorCode::METHOD_NOT_FOUND,
            status,
            format!("Method not found: {method}"),
        )
    }

    /// Headers and body disagree (2026-07-28, Streamable HTTP, Server Validation).
    pub(crate) fn header_mismatch(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::HEADER_MISMATCH, 400, message)
    }

    /// The gateway does not speak this version (2026-07-28, Versioning).
    pub(crate) fn unsupported_version(requested: &str) -> Self {
        let requested: String = requested.chars().take(64).collect();
        let supported = Revision::ALL.map(Revision::as_str);
        Self {
            data: to_raw_value(&json!({"supported": supported, "requested": requested})).ok(),
            ..Self::new(
                ErrorCode::UNSUPPORTED_PROTOCOL_VERSION,
                400,
                "Unsupported protocol version",
            )
        }
    }

    /// A fault of the gateway. What it was is in the log only.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::INTERNAL_ERROR, 200, "Internal error")
    }

    /// A server's own error. Its code decides the status, as it does for ours.
    pub(crate) fn relayed(code: i64, message: String, modern: bool) -> Self {
        let is = |known: ErrorCode| i64::from(known.0) == code;
        let status = match modern {
            true if is(ErrorCode::METHOD_NOT_FOUND) => 404,
            true if is(ErrorCode::HEADER_MISMATCH)
                || is(ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY) =>
            {
                400
            }
            _ => 200,
        };
        Self {
            code,
            message: message.into(),
            data: None,
            status,
        }
    }

    /// A server did not answer as MCP asks, or could not be asked. The status is 200, see above.
    pub(crate) fn unanswered(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: 200,
            ..Self::refused(502, message)
        }
    }

    /// The client has cancelled the request, and waits for no answer.
    pub(crate) fn cancelled() -> Self {
        Self {
            status: 200,
            ..Self::refused(499, "The request was cancelled")
        }
    }

    /// Whoever calls has to open a URL first (2025-11-25, Elicitation, URL Elicitation Required Error).
    pub(crate) fn url_elicitation_required(offer: &Offer) -> Self {
        let elicitation = json!({
            "mode": "url",
            "elicitationId": offer.elicitation,
            "url": offer.url,
            "message": offer.message,
        });
        Self {
            data: to_raw_value(&json!({ "elicitations": [elicitation] })).ok(),
            ..Self::new(URL_ELICITATION_REQUIRED, 200, offer.message.clone())
        }
    }

    /// A refusal that HTTP has a status for and MCP no code. The code is -31000 less the status,
    /// outside the range that JSON-RPC and MCP reserve.
    pub(crate) fn refused(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: -31_000 - i64::from(status),
            message: message.into(),
            data: None,
            status,
        }
    }

    /// The server needs something of its client that this one did not say it has (2026-07-28,
    /// Versioning, Capability Negotiation).
    pub(crate) fn missing_capability(capability: &str) -> Self {
        let required = json!({ "requiredCapabilities": { capability: {} } });
        Self {
            data: to_raw_value(&required).ok(),
            ..Self::new(
                ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
                400,
                format!("The server needs a client with the capability {capability}"),
            )
        }
    }

    /// Who calls may not use this tool, or what a server has besides tools, because of this rule. Its
    /// data has the scope that would be enough (RFC 6750 section 3.1).
    pub(crate) fn denied(server: &ServerName, tool: Option<&str>, denial: &Denial) -> Self {
        let (what, asked) = match tool {
            Some(tool) => {
                let tool: String = tool.chars().take(128).collect();
                let scope = format!("{server}/{tool}");
                (format!("call {scope}"), scope)
            }
            None => (
                format!("use all that {server} has besides tools"),
                server.to_string(),
            ),
        };
        // What a header cannot hold is left out: a scope is for showing.
        let legal = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        let scope: String = asked.chars().filter(legal).collect();
        Self {
            data: to_raw_value(&json!({ "scope": scope })).ok(),
            ..Self::refused(403, format!("The key may not {what}: {denial}"))
        }
    }

    /// The scope that would be enough, where who calls may not do this.
    pub(crate) fn scope(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Enough {
            scope: String,
        }
        let data = self.data.as_ref().filter(|_| self.status == 403)?;
        let enough: Enough = serde_json::from_str(data.get()).ok()?;
        Some(enough.scope)
    }
}
