//! The first messages on a connection: which era the server speaks.

use std::time::Duration;

use mcphub_core::Result;
use tokio::time::timeout;

use super::link::Link;
use crate::upstream::message::{self, Call, Params};
use crate::upstream::pending::Answer;
use crate::upstream::{About, ClientAbilities};

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// 2026-07-28: every request stands for itself.
    Modern,
    /// 2025-11-25 and before, after the handshake.
    Legacy,
}

/// Finds out the era (MCP 2026-07-28, Versioning, Backward Compatibility), and what the server says
/// of itself: one that does not answer `server/discover` within `patience`, or with an error, is of
/// the legacy era. The answer of one that starts slowly counts until it has answered `initialize`,
/// which offers clients with `abilities`.
///
/// # Errors
/// `Upstream` when the server speaks no revision that is known here, `Unavailable` when it ends.
pub(super) async fn meet(
    link: &Link,
    patience: Duration,
    abilities: &ClientAbilities,
) -> Result<(Era, About)> {
    let call = Call::new("server/discover", Params::default());
    let discover = link.request(&call, true, false);
    let mut discover = std::pin::pin!(discover);
    match timeout(patience, discover.as_mut()).await {
        Ok(answer) => match modern(&answer?) {
            Some(about) => Ok((Era::Modern, about)),
            None => initialize(link, abilities).await,
        },
        Err(_) => {
            let mut initialize = std::pin::pin!(initialize(link, abilities));
            tokio::select! {
                answer = discover.as_mut() => match modern(&answer?) {
                    Some(about) => Ok((Era::Modern, about)),
                    None => initialize.await,
                },
                met = initialize.as_mut() => met,
            }
        }
    }
}

/// What a server of the modern era says of itself, where no other is wanted.
///
/// # Errors
/// `Upstream` when it does not speak the modern era, `Unavailable` when it ends.
pub(super) async fn discover(link: &Link) -> Result<(Era, About)> {
    let call = Call::new("server/discover", Params::default());
    let answer = link.request(&call, true, false).await?;
    let result = answer.map_err(|failure| message::refused(call.method, &failure))?;
    let about = message::discovered(&result).ok_or_else(message::not_modern)?;
    Ok((Era::Modern, about))
}

/// The handshake of the legacy era (MCP 2025-11-25, Lifecycle).
///
/// # Errors
/// As [`meet`].
pub(super) async fn initialize(link: &Link, abilities: &ClientAbilities) -> Result<(Era, About)> {
    let capabilities = abilities.capabilities();
    let call = Call::new("initialize", Params::initialize(&capabilities));
    let answer = link.request(&call, false, false).await?;
    let result = answer.map_err(|failure| message::refused(call.method, &failure))?;
    let (_, about) = message::agreed(&result)?;
    link.notify(message::initialized()?).await?;
    Ok((Era::Legacy, about))
}

fn modern(answer: &Answer) -> Option<About> {
    answer.as_ref().ok().and_then(|it| message::discovered(it))
}
