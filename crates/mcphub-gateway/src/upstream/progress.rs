//! What a call tells before its result is there (MCP 2026-07-28, Progress).

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// The longest message, in bytes; what is longer is cut.
const MAX_MESSAGE: usize = 4 * 1024;

/// How many messages may wait for a client; it misses those that come while it takes none.
const QUEUE: usize = 64;

/// The way to a client that asked for the progress of a call. Nothing is lost with a message that
/// it misses: the result has everything.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The client's own name for the call, as it wrote it.
    token: Box<RawValue>,
    messages: mpsc::Sender<String>,
}

impl Progress {
    /// The progress of the call that a client named `token`: each message is a
    /// `notifications/progress` on one line.
    pub(crate) fn new(token: &RawValue, messages: mpsc::Sender<String>) -> Self {
        Self {
            token: token.to_owned(),
            messages,
        }
    }

    /// As [`Progress::new`], with what it tells.
    pub(crate) fn channel(token: &RawValue) -> (Self, mpsc::Receiver<String>) {
        let (messages, told) = mpsc::channel(QUEUE);
        (Self::new(token, messages), told)
    }

    /// Tells how far the call is: a number that grows, and what came. Never waits.
    pub fn tell(&self, progress: u64, message: &str) {
        let Ok(room) = self.messages.try_reserve() else {
            return;
        };
        let message = match message.char_indices().find(|(at, _)| *at >= MAX_MESSAGE) {
            Some((end, _)) => Value::from([message.get(..end).unwrap_or_default(), "…"].concat()),
            None => Value::from(message),
        };
        let token: &RawValue = &self.token;
        room.send(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress},"message":{message}}}}}"#,
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_cut_and_a_client_that_is_slow_misses_some() {
        let token = RawValue::from_string("\"t\"".to_owned()).unwrap();
        let (progress, mut told) = Progress::channel(&token);
        for n in 1..=100 {
            progress.tell(n, &"ü\n".repeat(4_000));
        }
        let first: Value = serde_json::from_str(&told.try_recv().unwrap()).unwrap();
        let message = first["params"]["message"].as_str().unwrap();
        assert!(message.len() < MAX_MESSAGE + 8 && message.ends_with('…'));
        assert_eq!(
            first,
            json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": "t", "progress": 1, "message": message}})
        );
        assert_eq!(told.len(), QUEUE - 1);
    }
}
