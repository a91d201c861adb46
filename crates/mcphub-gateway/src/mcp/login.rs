//! Calls that wait for a login of their caller: each client is asked in the way that it knows.
//!
//! | client | what it gets |
//! |---|---|
//! | 2026-07-28, which opens URLs | a result that asks for it; its retry waits for the login |
//! | 2025-11-25, which opens URLs | the error `URLElicitationRequired`, and then that it is done |
//! | any other | an error whose text has the URL |

use std::time::Duration;

use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::caller::Caller;
use super::conversation::{Conversation, Ended, State, ended, internal};
use super::error::RpcError;
use super::message::Request;
use super::reply::Outcome;
use super::revision::Revision;
use super::routing::TOOLS_CALL;
use super::routing::{PROMPTS_GET, RESOURCES_READ};
use crate::gateway::Inner;
use crate::login::Offer;
use crate::members::Members;
use crate::upstream::{ClientAbilities, LoginNeeded};

/// What the gateway's own question is called, which no server's is.
const INPUT: &str = "mcphub-login";

/// How long a retry waits for the login that its user was asked for: less than clients wait for an
/// answer. Then the client is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be known of a call in case that its user has to log in. Nothing where nobody can.
#[derive(Debug, Default)]
pub(super) struct Asking {
    way: Way,
    /// Whom it is told when it is done.
    session: Option<SessionKey>,
    retry: Retry,
}

/// How a client is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    /// In the text of an error.
    #[default]
    Text,
    /// By an error of its own.
    Error,
    /// By a result that asks.
    Result,
}

/// Whether a call is one again whose client was asked.
#[derive(Debug, Default)]
enum Retry {
    #[default]
    No,
    Declined,
    Accepted(Instant, watch::Receiver<u64>),
}

impl Asking {
    pub(super) fn of(
        gateway: &Inner,
        request: &Request<'_>,
        caller: &Caller<'_>,
        abilities: &ClientAbilities,
    ) -> Self {
        let Some(logins) = &gateway.logins else {
            return Self::default();
        };
        let modern = caller.revision.is_modern();
        let multi = [TOOLS_CALL, PROMPTS_GET, RESOURCES_READ].contains(&&*request.method);
        let way = if modern {
            (multi && abilities.opens_urls()).then_some(Way::Result)
        } else {
            // An error needs no stream, unlike what servers ask.
            let opens = caller.session_abilities().opens_urls();
            (opens && caller.revision >= Revision::V2025_11_25).then_some(Way::Error)
        };
        let accepted = match accepted(request).filter(|_| modern) {
            None => Retry::No,
            Some(false) => Retry::Declined,
            // Before the server is asked, so that no login is missed.
            Some(true) => Retry::Accepted(Instant::now() + PATIENCE, logins.catching_up()),
        };
        Self {
            way: way.unwrap_or_default(),
            session: caller.session.filter(|_| !modern),
            retry: accepted,
        }
    }
}

/// Whether the client's user opened what this gateway asked for; `None` where it asked nothing.
pub(super) fn accepted(request: &Request<'_>) -> Option<bool> {
    let responses = Members::read(request.params.get("inputResponses")?.get()).ok()?;
    let response = Members::read(responses.get(INPUT)?.get()).ok()?;
    let action = response.string("action").ok().flatten();
    Some(action.as_deref() == Some("accept"))
}

impl Conversation {
    /// The server did not answer. Where that is because its caller has no login, it did nothing, and
    /// is asked again when they have one.
    pub(super) async fn broke(&mut self, error: &Error) -> Ended<Option<String>> {
        if self.has_logged_in(error).await {
            self.state = State::Opening;
            return Ok(None);
        }
        ended(self.failed(error))
    }

    /// Waits for a login that the client's user may be making. Whether the server is to be asked again.
    async fn has_logged_in(&mut self, error: &Error) -> bool {
        let Retry::Accepted(until, caught_up) = &mut self.asking.retry else {
            return false;
        };
        if !LoginNeeded::is_cause(error) {
            return false;
        }
        let (until, caught_up) = (*until, &mut *caught_up);
        // It is called by nobody meanwhile.
        self.permit = None;
        matches!(timeout_at(until, caught_up.changed()).await, Ok(Ok(())))
    }

    /// The answer where the caller has to log in; `None` where that is not what is wrong, or nothing
    /// that they can do here.
    pub(super) fn to_log_in(&self, error: &Error) -> Option<Result<Outcome, RpcError>> {
        let logins = self.gateway.logins.as_ref()?;
        let who = self.forward.who.as_ref()?;
        if !LoginNeeded::is_cause(error) {
            return None;
        }
        let server = &self.route.server;
        if matches!(self.asking.retry, Retry::Declined) {
            let text = format!("whoever was asked to log in to {server} did not want to");
            return Some(self.said(&Error::new(ErrorKind::PermissionDenied, text)));
        }
        let offer = match logins.offer(server, who, self.asking.session) {
            Ok(offer) => offer?,
            Err(error) => return Some(Err(internal(&error))),
        };
        Some(match self.asking.way {
            Way::Result => Ok(asking(&offer)),
            Way::Error => Err(RpcError::url_elicitation_required(&offer)),
            Way::Text => {
                let Offer { url, message, .. } = &offer;
                let text = format!("{message}: open {url} in a browser within ten minutes");
                self.said(&Error::new(ErrorKind::PermissionDenied, text))
            }
        })
    }
}

/// 2026-07-28, Elicitation, URL Mode Elicitation Requests.
fn asking(offer: &Offer) -> Outcome {
    let Offer { url, message, .. } = offer;
    let params = json!({ "mode": "url", "url": url, "message": message });
    let question = json!({ "method": "elicitation/create", "params": params });
    (&json!({ "resultType": "input_required", "inputRequests": { INPUT: question } })).into()
}
