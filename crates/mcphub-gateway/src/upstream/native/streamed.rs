//! Answers that may go on for ever: server-sent events and lines of JSON.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcphub_core::call::Cut;
use tokio::time::timeout_at;

use super::budget::{FREE, Room};
use super::exchange::{self, Allowance, seconds, size};
use super::rest::Source;
use super::settings::NativeClient;
use crate::upstream::Progress;

/// How long before the end of the call reading ends, so that what came is still given.
const MARGIN: Duration = Duration::from_millis(200);

/// As much of an event as is told while it comes.
const MAX_TOLD: usize = 8 * 1024;

/// How what a stream has is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Server-sent events (HTML, 9.2).
    Events,
    /// Each line stands for itself.
    Lines,
}

impl Kind {
    /// That of a media type; `None` for what is no stream.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let lines = [
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonlines",
            "application/json-seq",
        ];
        let is = |known: &str| essence.eq_ignore_ascii_case(known);
        if is("text/event-stream") {
            return Some(Self::Events);
        }
        lines.into_iter().any(is).then_some(Self::Lines)
    }
}

/// What came of a stream until it ended, or until it would be too much or too late: whole lines, with
/// a line for the model that says so. What comes is told on the way.
pub(super) async fn collect(
    mut source: Source,
    kind: Kind,
    client: &NativeClient,
    allowance: Allowance<'_>,
) -> Result<(Bytes, Room, Option<Cut>), String> {
    let limit = client.settings.max_response;
    let end = allowance.end();
    let end = end.checked_sub(MARGIN).unwrap_or(end);
    let (mut body, mut room) = (BytesMut::new(), Room::NONE);
    let mut telling = Telling::new(kind);
    let mut too_long = false;
    let why = loop {
        match timeout_at(end, source.chunk()).await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= limit => {
                body.extend_from_slice(&chunk);
                if room.is_none() && !allowance.has_room() && body.len() > FREE {
                    let waited = exchange::room(client, limit, end).await;
                    room = waited.ok_or("The gateway holds too many large answers at once")?;
                }
                if let Some(progress) = allowance.progress() {
                    telling.tell(&body, progress);
                    // More may be here already: whoever sends what was told has a turn first.
                    tokio::task::yield_now().await;
                }
            }
            Ok(Ok(None)) => {
                room.shrink(body.len());
                return Ok((body.freeze(), room, None));
            }
            Ok(Ok(Some(chunk))) => {
                too_long = true;
                body.extend_from_slice(chunk.get(..limit - body.len()).unwrap_or_default());
                break format!("is over {}", size(limit));
            }
            Ok(Err(why)) => break format!("broke off: {why}"),
            Err(_) => break format!("went on after {}", seconds(client.settings.timeout)),
        }
    };
    let whole = body.iter().rposition(|byte| *byte == b'\n');
    body.truncate(whole.map_or(0, |at| at + 1));
    let body = body.freeze();
    room.shrink(body.len());
    let mut note = format!(
        "[cut: the stream {why}; {} bytes of it are given",
        body.len()
    );
    if too_long {
        note.push_str("; ");
        note.push_str(&source.how(&body, allowance.tool()).await);
    }
    note.push(']');
    let in_pieces = false;
    Ok((body, room, Some(Cut { note, in_pieces })))
}

/// What was told of a stream.
struct Telling {
    kind: Kind,
    /// Where the line begins that has not ended yet, and how far its end was looked for.
    line: usize,
    seen: usize,
    /// The event that has not ended yet.
    event: String,
    count: u64,
}

impl Telling {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            line: 0,
            seen: 0,
            event: String::new(),
            count: 0,
        }
    }

    /// Tells what ended since.
    fn tell(&mut self, body: &[u8], progress: &Progress) {
        while let Some(found) = body
            .get(self.seen..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let end = self.seen + found;
            let line = body.get(self.line..end).unwrap_or_default();
            let line = String::from_utf8_lossy(line.get(..MAX_TOLD).unwrap_or(line));
            (self.line, self.seen) = (end + 1, end + 1);
            self.take(line.trim_end_matches('\r'), progress);
        }
        self.seen = body.len();
    }

    fn take(&mut self, line: &str, progress: &Progress) {
        if self.kind == Kind::Lines {
            // RFC 7464, 2.2: a text sequence has a separator before each text.
            self.event.push_str(line.trim_start_matches('\u{1e}'));
        } else if !line.is_empty() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            if field == "data" && self.event.len() + value.len() <= MAX_TOLD {
                if !self.event.is_empty() {
                    self.event.push('\n');
                }
                self.event.push_str(value);
            }
            return;
        }
        if !self.event.is_empty() {
            self.count += 1;
            progress.tell(self.count, &self.event);
            self.event.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn told(kind: Kind, stream: &str) -> Vec<String> {
        let token = RawValue::from_string("1".to_owned()).unwrap();
        // However the bytes come.
        let runs = [1, 2, 3, 7, stream.len()].map(|size| {
            let (progress, mut messages) = Progress::channel(&token);
            let mut telling = Telling::new(kind);
            for end in (0..stream.len()).step_by(size).chain([stream.len()]) {
                telling.tell(&stream.as_bytes()[..end], &progress);
            }
            let mut told = Vec::new();
            while let Ok(message) = messages.try_recv() {
                let message: Value = serde_json::from_str(&message).unwrap();
                assert_eq!(message["params"]["progress"], told.len() + 1);
                told.push(message["params"]["message"].as_str().unwrap().to_owned());
            }
            told
        });
        assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
        runs[0].clone()
    }

    #[test]
    fn events_are_told_by_their_data() {
        let stream = ": hello\n\nevent: step\ndata: a\ndata:b\nid: 1\n\nretry: 3\r\n\r\ndata: {\"n\": 1}\r\n\r\ndata: unfinished\n";
        assert_eq!(told(Kind::Events, stream), ["a\nb", "{\"n\": 1}"]);
    }

    #[test]
    fn lines_are_told_as_they_are() {
        let stream = "{\"n\": 1}\n\n\u{1e}{\"n\": 2}\r\n{\"n\"";
        assert_eq!(told(Kind::Lines, stream), ["{\"n\": 1}", "{\"n\": 2}"]);
    }

    #[test]
    fn a_kind_is_known_by_the_media_type() {
        let kind = |media_type| Kind::of(media_type);
        assert_eq!(kind("Text/Event-Stream; charset=utf-8"), Some(Kind::Events));
        assert_eq!(kind("application/jsonl"), Some(Kind::Lines));
        assert_eq!(kind("application/json"), None);
    }
}
