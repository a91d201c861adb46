//! The first messages on a connection: which era the server speaks.

use std::time::Duration;

use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::time::timeout;

use super::link::{Answer, Link};
use super::message::{self, Failure, LEGACY, MODERN, Params};
use crate::upstream::http::clip;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// 2026-07-28: every request stands for itself.
    Modern,
    /// 2025-11-25 and before, after the handshake.
    Legacy,
}

/// Finds out the era (MCP 2026-07-28, Versioning, Backward Compatibility): a server that does not
/// answer `server/discover` within `patience`, or with an error, is of the legacy era. The answer of
/// one that starts slowly counts until it has answered `initialize`.
///
/// # Errors
/// `Upstream` when the server speaks no revision that is known here, `Unavailable` when it ends.
pub(super) async fn meet(link: &Link, patience: Duration) -> Result<Era> {
    let discover = link.request("server/discover", Params::default(), true, false);
    let mut discover = std::pin::pin!(discover);
    match timeout(patience, discover.as_mut()).await {
        Ok(answer) => {
            if is_modern(&answer?) {
                return Ok(Era::Modern);
            }
            initialize(link).await
        }
        Err(_) => {
            let mut initialize = std::pin::pin!(initialize(link));
            tokio::select! {
                answer = discover.as_mut() => {
                    if is_modern(&answer?) {
                        return Ok(Era::Modern);
                    }
                    initialize.await
                }
                era = initialize.as_mut() => era,
            }
        }
    }
}

/// The handshake of the legacy era (MCP 2025-11-25, Lifecycle).
///
/// # Errors
/// As [`meet`].
pub(super) async fn initialize(link: &Link) -> Result<Era> {
    let params = Params::initialize();
    let answer = link.request("initialize", params, false, false).await?;
    let result = answer.map_err(|failure| refused("initialize", &failure))?;
    let agreed = serde_json::from_str::<Initialized>(result.get()).ok();
    let known = agreed.is_some_and(|it| LEGACY.contains(&it.protocol_version.as_str()));
    if !known {
        let message = "the MCP server speaks no revision that mcphub speaks";
        return Err(Error::new(ErrorKind::Upstream, message));
    }
    link.notify(message::initialized()?).await?;
    Ok(Era::Legacy)
}

fn is_modern(answer: &Answer) -> bool {
    let Ok(result) = answer else { return false };
    let discovered = serde_json::from_str::<Discovered>(result.get());
    discovered.is_ok_and(|it| it.supported_versions.iter().any(|known| known == MODERN))
}

/// The error for a JSON-RPC error.
pub(super) fn refused(method: &str, failure: &Failure) -> Error {
    Error::new(ErrorKind::Upstream, "the MCP server answered with an error")
        .with("method", method)
        .with("code", failure.code)
        .with("message", clip(&failure.message, 1_000))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
}
