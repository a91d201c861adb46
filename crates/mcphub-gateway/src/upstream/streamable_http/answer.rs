//! The answer to one request: a JSON object, or a stream of events that has it somewhere.

use bytes::{Bytes, BytesMut};
use mcphub_core::Result;
use serde_json::value::RawValue;

use crate::upstream::events::{Events, broken, is_events, nonsense, too_large};
use crate::upstream::message::{self, Incoming};
use crate::upstream::response::HttpResponse;
use crate::upstream::{Failure, one_line};

/// What a server answered to one request.
pub(super) enum Answer {
    /// The member `result`, on one line.
    Result(Box<RawValue>),
    /// The member `error`.
    Failure(Failure),
    /// No JSON-RPC answer.
    Status,
}

/// Reads an answer to request `id`, up to `limit` bytes. An error status needs no body.
pub(super) async fn read(response: HttpResponse, id: u64, limit: usize) -> Result<Answer> {
    let failed = !response.status().is_success();
    if is_events(&response) {
        return Box::pin(from_events(response, id, limit)).await;
    }
    let body = whole(response, limit).await?;
    match parse(&body, id) {
        Ok(Some(answer)) => Ok(answer),
        // An error status with another body says enough by itself.
        _ if failed => Ok(Answer::Status),
        Ok(None) => Err(nonsense("it answers another request")),
        Err(error) => Err(nonsense("it is no JSON-RPC answer").caused_by(error)),
    }
}

/// The body. One that comes in one piece, as most do, is not copied.
pub(super) async fn whole(mut response: HttpResponse, limit: usize) -> Result<Bytes> {
    let mut body = Bytes::new();
    let mut more = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(None) if more.is_empty() => return Ok(body),
            Ok(None) => return Ok(more.freeze()),
            Ok(Some(chunk)) if body.len().max(more.len()) + chunk.len() > limit => {
                return Err(too_large(limit));
            }
            Ok(Some(chunk)) if body.is_empty() => body = chunk,
            Ok(Some(chunk)) => {
                if more.is_empty() {
                    more.extend_from_slice(&body);
                }
                more.extend_from_slice(&chunk);
            }
            Err(why) => return Err(broken(&why)),
        }
    }
}

async fn from_events(response: HttpResponse, id: u64, limit: usize) -> Result<Answer> {
    let mut events = Events::new(response, limit);
    while let Some(data) = events.next().await? {
        // What else comes on the stream, such as progress, is about this request and not its end.
        if let Some(answer) = parse(data.as_bytes(), id)
            .map_err(|error| nonsense("it is no JSON-RPC message").caused_by(error))?
        {
            return Ok(answer);
        }
    }
    Err(broken("the stream ended before the answer"))
}

/// The answer to request `id`, or `None` for a message of another kind. An error without an id is
/// about this request: no other is on its way here.
fn parse(text: &[u8], id: u64) -> serde_json::Result<Option<Answer>> {
    let message: Incoming<'_> = serde_json::from_slice(text)?;
    let ours = message.id.is_some_and(|found| message::is(found, id));
    let unnamed = message.id.is_none_or(|found| found.get() == "null");
    Ok(match message {
        Incoming {
            method: Some(_), ..
        } => None,
        Incoming {
            error: Some(failure),
            ..
        } if ours || unnamed => Some(Answer::Failure(failure)),
        Incoming {
            result: Some(result),
            ..
        } if ours => Some(Answer::Result(one_line(result))),
        _ => None,
    })
}
