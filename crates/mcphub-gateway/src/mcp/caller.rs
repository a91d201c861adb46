//! Who asks, and what can be said to them before the answer.

use std::sync::Arc;

use axum::http::HeaderMap;
use mcphub_core::principal::Principal;
use mcphub_core::shared::SessionKey;

use super::revision::Revision;
use crate::upstream::{ClientAbilities, Progress};

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) revision: Revision,
    /// The session of the old era, or the connection of a client over stdio.
    pub(crate) session: Option<SessionKey>,
    /// Who it is, where clients are asked who they are.
    pub(crate) who: Option<&'a Arc<Principal>>,
    /// What a client of the old era said in `initialize`; of the modern era each request says it.
    pub(crate) abilities: u8,
    /// Whether messages can be sent before the answer.
    pub(crate) streams: bool,
    /// The headers of its request, over HTTP.
    pub(crate) headers: Option<&'a HeaderMap>,
    /// The same, for whatever it says of the trace that the request belongs to.
    pub(crate) trace: Option<&'a HeaderMap>,
    /// Where a native tool tells of its progress.
    pub(crate) progress: Option<&'a Progress>,
}

/// Headers that repeat parameters of a tool (2026-07-28, Streamable HTTP, Custom Headers).
const PARAMETERS: &str = "mcp-param-";

/// The most such headers that are passed on.
const MAX_PARAMETERS: usize = 64;

impl Caller<'_> {
    /// Whose state a server keeps: their session's, or their own where they have none. No two of
    /// those who are asked who they are share any.
    pub(super) fn owner(&self, session: Option<SessionKey>) -> Option<SessionKey> {
        owner(session, self.who)
    }

    /// What a session of the old era can be asked.
    pub(super) fn session_abilities(&self) -> ClientAbilities {
        ClientAbilities::from_bits(self.abilities)
    }
}

/// What stands for a session, else for who asks.
pub(super) fn owner(
    session: Option<SessionKey>,
    who: Option<&Arc<Principal>>,
) -> Option<SessionKey> {
    // No session is called so.
    session.or_else(|| who.map(|who| SessionKey::of(&format!("principal {}", who.id))))
}

/// The headers of a request that repeat parameters.
pub(super) fn parameters(headers: &HeaderMap) -> Vec<(String, String)> {
    let repeated = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(PARAMETERS));
    let text = repeated
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    text.take(MAX_PARAMETERS).collect()
}
