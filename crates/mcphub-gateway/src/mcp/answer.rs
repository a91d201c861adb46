//! How a request is answered: by the gateway at once, or by a server that may say more before.

use std::sync::Arc;

use super::caller::Caller;
use super::conversation::Conversation;
use super::error::RpcError;
use super::message::Request;
use super::reply::Outcome;
use super::routing::Routed;
use crate::federation::View;
use crate::gateway::Inner;

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// At once.
    Whole(Outcome),
    /// By a server, which may say more before.
    Talk(Box<Conversation>),
}

impl Answer {
    /// The outcome, whatever a server says before it.
    pub(crate) async fn end(self) -> Result<Outcome, RpcError> {
        match self {
            Self::Whole(outcome) => Ok(outcome),
            Self::Talk(mut conversation) => conversation.end().await,
        }
    }
}

pub(super) fn talk(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    request: &Request<'_>,
    caller: &Caller<'_>,
    routed: Routed,
) -> Result<Answer, RpcError> {
    let conversation = Conversation::new(gateway, view, request, caller, routed)?;
    Ok(Answer::Talk(Box::new(conversation)))
}
