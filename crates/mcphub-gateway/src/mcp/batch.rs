//! Batches, which only 2025-03-26 has.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use mcphub_core::principal::Principal;
use serde_json::value::RawValue;

use super::caller::Caller;
use super::error::RpcError;
use super::message::Message;
use super::methods::{INITIALIZE, answer};
use super::reply::Reply;
use super::revision::Revision;
use crate::federation::View;
use crate::gateway::Inner;

/// How many requests of one batch run at once.
const BATCH_CONCURRENCY: usize = 8;

/// Answers a batch, which only 2025-03-26 has (2025-03-26, Overview, Batching): one reply for each
/// request in it, in order, each with its own error.
pub(crate) async fn answers(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    who: Option<&Arc<Principal>>,
    messages: &[&RawValue],
) -> Vec<Reply> {
    // Not begun before they are asked, a few at a time.
    let work: Vec<_> = messages
        .iter()
        .map(|raw| in_batch(gateway, view, who, raw))
        .collect();
    stream::iter(work)
        .buffered(BATCH_CONCURRENCY)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn in_batch(
    gateway: &Arc<Inner>,
    view: &Arc<View>,
    who: Option<&Arc<Principal>>,
    raw: &RawValue,
) -> Option<Reply> {
    let request = match Message::read(raw.get()) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Notification(_) | Message::Response(_)) => return None,
        Err(rejected) => return Some(Reply::error(rejected.id, &rejected.error)),
    };
    let outcome = if request.method == INITIALIZE {
        Err(RpcError::invalid_request(
            "Invalid request: initialize is never part of a batch",
        ))
    } else {
        let caller = Caller {
            revision: Revision::V2025_03_26,
            session: None,
            who,
            abilities: 0,
            streams: false,
            headers: None,
            trace: None,
            progress: None,
        };
        match answer(gateway, view, &request, &caller).await {
            Ok(answer) => answer.end().await,
            Err(error) => Err(error),
        }
    };
    Some(match outcome {
        Ok(outcome) => Reply::result(request.id, outcome),
        Err(error) => Reply::error(Some(request.id), &error),
    })
}
