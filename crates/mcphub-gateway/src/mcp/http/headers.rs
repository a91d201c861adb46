//! What the headers of a request say.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::principal::Principal;
use rmcp::transport::common::http_header::{BASE64_HEADER_PREFIX, BASE64_HEADER_SUFFIX};

use crate::gateway::Inner;
use crate::mcp::error::RpcError;
use crate::mcp::message::Request;
use crate::mcp::meta::Meta;
use crate::mcp::methods::INITIALIZE;
use crate::mcp::revision::Revision;
use crate::mcp::routing;
use crate::mcp::session::SessionId;

/// MCP's own headers, in the form in which they are found soonest.
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// What `Accept` is in most clients' words (2026-07-28, Streamable HTTP, Sending Messages).
const BOTH: &str = "application/json, text/event-stream";

/// What a client can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    pub(super) json: bool,
    pub(super) events: bool,
}

impl Accepts {
    /// Reads `Accept`. MCP clients name both kinds; one without the header takes what comes.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut accepts = Self {
            json: false,
            events: false,
        };
        let mut stated = false;
        for value in headers.get_all(header::ACCEPT) {
            if value == BOTH {
                return Self {
                    json: true,
                    events: true,
                };
            }
            for range in value.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let essence = parts.next().unwrap_or_default();
                stated |= !essence.is_empty();
                if parts
                    .any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
                {
                    continue;
                }
                let is_any_of = |known: &[&str]| {
                    known
                        .iter()
                        .any(|known| essence.eq_ignore_ascii_case(known))
                };
                accepts.json |= is_any_of(&["application/json", "application/*", "*/*"]);
                accepts.events |= is_any_of(&["text/event-stream", "text/*", "*/*"]);
            }
        }
        if stated {
            accepts
        } else {
            Self {
                json: true,
                events: true,
            }
        }
    }
}

/// Whether the body says that it is JSON. A body that does not say what it is may be.
pub(crate) fn has_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return true;
    }
    let essence = essence.to_ascii_lowercase();
    essence.starts_with("application/") && essence.ends_with("+json")
}

/// One of MCP's own headers: at most once, and printable.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, RpcError> {
    let mut values = headers.get_all(&name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        (_, Some(_)) => Err(RpcError::header_mismatch(format!(
            "Header mismatch: {name} is there twice"
        ))),
        (Err(_), _) => Err(RpcError::header_mismatch(format!(
            "Header mismatch: {name} has invalid characters"
        ))),
    }
}

/// The version that the headers name.
pub(super) fn version(headers: &HeaderMap) -> Result<Option<&str>, RpcError> {
    single(headers, PROTOCOL_VERSION)
}

/// The session that the headers name. 404 for one that was ended or is not of a gateway, which
/// tells the client to begin a new one (2025-11-25, Transports, Session Management). So is somebody
/// else's.
pub(super) async fn session(
    gateway: &Inner,
    headers: &HeaderMap,
    who: Option<&Principal>,
) -> Result<Option<SessionId>, RpcError> {
    let Some(text) = single(headers, SESSION_ID)? else {
        return Ok(None);
    };
    match text.parse::<SessionId>() {
        Ok(id) if id.belongs_to(who) && !gateway.sessions.has_ended(&id.key()).await => {
            Ok(Some(id))
        }
        _ => Err(RpcError::refused(
            404,
            "The session has ended or is not known here; initialize a new one",
        )),
    }
}

/// The revision of a request, whose headers have to say what its body says
/// (2026-07-28, Streamable HTTP, Server Validation).
pub(super) fn revision(request: &Request<'_>, headers: &HeaderMap) -> Result<Revision, RpcError> {
    let meta = request.meta()?;
    let stated = version(headers)?;
    if let Some(named) = &meta.version {
        if stated != Some(&**named) && (stated.is_some() || is_modern(named)) {
            return Err(mismatch(PROTOCOL_VERSION, stated, named));
        }
        if let Some(revision) = meta.revision()? {
            if revision.is_modern() {
                mirrored(request, headers)?;
            }
            return Ok(revision);
        }
    }
    match stated {
        // Its version is in its params.
        _ if request.method == INITIALIZE => Ok(Revision::NEWEST_WITH_INITIALIZE),
        None => Ok(Revision::UNSTATED),
        Some(stated) => match stated.parse::<Revision>() {
            Ok(revision) if revision.is_modern() => Err(Meta::missing_version()),
            Ok(revision) => Ok(revision),
            Err(_) => Err(RpcError::unsupported_version(stated)),
        },
    }
}

/// Whether a version is of the era in which headers repeat the body; versions are dates.
fn is_modern(version: &str) -> bool {
    version
        .parse::<Revision>()
        .map_or(true, Revision::is_modern)
}

fn mirrored(request: &Request<'_>, headers: &HeaderMap) -> Result<(), RpcError> {
    let method = single(headers, METHOD)?;
    if method != Some(&*request.method) {
        return Err(mismatch(METHOD, method, &request.method));
    }
    if let Some(name) = routing::mirrored(request)? {
        let stated = single(headers, NAME)?;
        let decoded = stated.map(decoded).transpose()?;
        if decoded.as_deref() != Some(&*name) {
            return Err(mismatch(NAME, stated, &name));
        }
    }
    Ok(())
}

/// A header's value (2026-07-28, Streamable HTTP, Value Encoding).
fn decoded(value: &str) -> Result<Cow<'_, str>, RpcError> {
    let encoded = value
        .strip_prefix(BASE64_HEADER_PREFIX)
        .and_then(|rest| rest.strip_suffix(BASE64_HEADER_SUFFIX));
    let Some(encoded) = encoded else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Cow::Owned)
        .ok_or_else(|| {
            RpcError::header_mismatch(format!("Header mismatch: {NAME} is not base64 of UTF-8"))
        })
}

fn mismatch(header: HeaderName, stated: Option<&str>, body: &str) -> RpcError {
    let clip = |text: &str| -> String { text.chars().take(128).collect() };
    RpcError::header_mismatch(match stated {
        Some(stated) => format!(
            "Header mismatch: {header} is '{}' but the body says '{}'",
            clip(stated),
            clip(body)
        ),
        None => format!(
            "Header mismatch: {header} is missing; the body says '{}'",
            clip(body)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &str) -> (bool, bool) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]);
        let accepts = Accepts::of(&headers);
        (accepts.json, accepts.events)
    }

    #[test]
    fn the_names_are_those_of_the_protocol() {
        use rmcp::transport::common::http_header as official;
        for (name, official) in [
            (METHOD, official::HEADER_MCP_METHOD),
            (NAME, official::HEADER_MCP_NAME),
            (PROTOCOL_VERSION, official::HEADER_MCP_PROTOCOL_VERSION),
            (SESSION_ID, official::HEADER_SESSION_ID),
        ] {
            assert_eq!(name, official);
        }
    }

    #[test]
    fn accept_is_read_leniently() {
        assert_eq!(accepts("application/json, text/event-stream"), (true, true));
        assert_eq!(accepts("Application/JSON;q=0.9"), (true, false));
        assert_eq!(accepts("text/event-stream, */*;q=0"), (false, true));
        assert_eq!(accepts("*/*"), (true, true));
        assert_eq!(accepts("text/html"), (false, false));
        assert_eq!(
            Accepts::of(&HeaderMap::new()),
            Accepts {
                json: true,
                events: true
            }
        );
    }

    #[test]
    fn names_may_be_encoded() {
        assert_eq!(decoded("plain").unwrap(), "plain");
        assert_eq!(
            decoded("=?base64?SGVsbG8sIOS4lueVjA==?=").unwrap(),
            "Hello, 世界"
        );
        assert_eq!(decoded("=?base64?***?=").unwrap_err().code, -32020);
    }
}
