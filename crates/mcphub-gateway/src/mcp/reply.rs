//! Answers, as text that is put together and never parsed again.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::RpcError;

/// One JSON-RPC message in pieces, so that a large piece is not copied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pieces: Vec<Bytes>,
}

/// The JSON text of a result, in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome(pub(crate) Vec<Bytes>);

impl From<&Value> for Outcome {
    fn from(value: &Value) -> Self {
        Self(vec![value.to_string().into()])
    }
}

impl Reply {
    /// The answer to a request that succeeded.
    pub(crate) fn result(id: &RawValue, outcome: Outcome) -> Self {
        let head = [r#"{"jsonrpc":"2.0","id":"#, id.get(), r#","result":"#].concat();
        let mut pieces = Vec::with_capacity(outcome.0.len() + 2);
        pieces.push(head.into());
        pieces.extend(outcome.0);
        pieces.push(Bytes::from_static(b"}"));
        Self { pieces }
    }

    /// The answer to a request that failed. Without an id where that could not be read
    /// (2026-07-28, Overview, Error Responses).
    pub(crate) fn error(id: Option<&RawValue>, error: &RpcError) -> Self {
        let (code, message) = (error.code, json!(error.message));
        let data = match &error.data {
            Some(data) => format!(r#","data":{}"#, data.get()),
            None => String::new(),
        };
        let body = format!(r#"{{"code":{code},"message":{message}{data}}}"#);
        let id = id.map_or_else(String::new, |id| format!(r#""id":{},"#, id.get()));
        Self {
            pieces: vec![format!(r#"{{"jsonrpc":"2.0",{id}"error":{body}}}"#).into()],
        }
    }

    /// A message that is text already, such as a notification.
    pub(crate) fn text(message: String) -> Self {
        Self {
            pieces: vec![message.into()],
        }
    }

    /// The answers to the requests of a batch.
    pub(crate) fn batch(replies: Vec<Self>) -> Self {
        let mut pieces = Vec::new();
        for (index, reply) in replies.into_iter().enumerate() {
            pieces.push(Bytes::from_static(if index == 0 { b"[" } else { b"," }));
            pieces.extend(reply.pieces);
        }
        pieces.push(Bytes::from_static(b"]"));
        Self { pieces }
    }

    /// How long the text is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// The text in pieces.
    pub(crate) fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// The text in one piece.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.pieces.concat().into()
    }

    /// The text as one event of an event stream, in pieces (HTML, 9.2.6). Outside strings, which
    /// have none, a line end is mere space.
    pub(crate) fn into_event(self) -> Self {
        let on_one_line = |piece: Bytes| {
            if piece.iter().any(|byte| is_line_end(*byte)) {
                piece
                    .iter()
                    .map(|byte| if is_line_end(*byte) { b' ' } else { *byte })
                    .collect()
            } else {
                piece
            }
        };
        let mut pieces = vec![Bytes::from_static(b"data: ")];
        pieces.extend(self.pieces.into_iter().map(on_one_line));
        pieces.push(Bytes::from_static(b"\n\n"));
        Self { pieces }
    }

    /// The text on one line, for transports that give line ends a meaning. Outside strings, which
    /// have none, a line end is mere space.
    pub(crate) fn into_line(self) -> String {
        let mut bytes = self.pieces.concat();
        for byte in bytes.iter_mut().filter(|byte| is_line_end(**byte)) {
            *byte = b' ';
        }
        // All pieces were text.
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}
