//! Answers that may go on for ever: server-sent events and lines of JSON.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use tokio::time::timeout_at;

use super::budget::{FREE, Room};
use super::exchange::{self, Allowance, seconds, size};
use super::settings::NativeClient;
use crate::upstream::http::cause;

/// How long before the end of the call reading ends, so that what came is still given.
const MARGIN: Duration = Duration::from_millis(200);

/// Whether answers of a media type come bit by bit: each event or line stands for itself.
pub(super) fn is_stream(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let known = [
        "text/event-stream",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json-seq",
    ];
    known
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

/// What came of a stream until it ended, or until it would be too much or too late: whole lines, with
/// a line for the model that says so.
pub(super) async fn collect(
    mut answer: Response,
    client: &NativeClient,
    allowance: Allowance,
) -> Result<(Bytes, Room, Option<String>), String> {
    let limit = client.settings.max_response;
    let end = allowance.end();
    let end = end.checked_sub(MARGIN).unwrap_or(end);
    let (mut body, mut room, mut cut) = (BytesMut::new(), Room::NONE, None);
    loop {
        let why = match timeout_at(end, answer.chunk()).await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= limit => {
                body.extend_from_slice(&chunk);
                if room.is_none() && !allowance.has_room() && body.len() > FREE {
                    let waited = exchange::room(client, limit, end).await;
                    room = waited.ok_or("The gateway holds too many large answers at once")?;
                }
                continue;
            }
            Ok(Ok(None)) => break,
            Ok(Ok(Some(_))) => format!("is over {}", size(limit)),
            Ok(Err(error)) => format!("broke off: {}", cause(&error.without_url())),
            Err(_) => format!("went on after {}", seconds(client.settings.timeout)),
        };
        let whole = body.iter().rposition(|byte| *byte == b'\n');
        body.truncate(whole.map_or(0, |at| at + 1));
        cut = Some(format!(
            "[cut: the stream {why}; {} bytes of it are given]",
            body.len()
        ));
        break;
    }
    room.shrink(body.len());
    Ok((body.freeze(), room, cut))
}
