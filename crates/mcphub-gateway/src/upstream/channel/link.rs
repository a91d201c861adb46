//! An open connection: requests by their ids, and what else the server says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use mcphub_core::launch::Channel;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::failed::Failed;
use super::message::{self, Failure, Incoming, Params};
use crate::upstream::http::clip;

/// How many messages wait for the server to take them before callers wait, too.
const QUEUE: usize = 64;

const GONE: &str = "the MCP server takes no messages any more";

/// What a server answers to a request.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// A connection that was opened. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Link {
    wires: Arc<Wires>,
    opened: Instant,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Wires {
    outgoing: mpsc::Sender<Bytes>,
    next_id: AtomicU64,
    max_in_flight: usize,
    /// Counts what may have changed the tools.
    changes: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Answer>>,
    /// Why there is no connection any more.
    closed: Option<Failed>,
}

impl Link {
    /// Takes a channel over. Announced changes, and the end, are counted in `changes`.
    pub(super) fn open(
        channel: Channel,
        max_in_flight: usize,
        changes: watch::Sender<u64>,
    ) -> Self {
        let Channel {
            mut outgoing,
            mut incoming,
        } = channel;
        let (sender, mut queue) = mpsc::channel(QUEUE);
        let wires = Arc::new(Wires {
            outgoing: sender,
            next_id: AtomicU64::new(1),
            max_in_flight,
            changes,
            state: Mutex::default(),
        });
        let writing = async move {
            while let Some(line) = queue.recv().await {
                // Why nothing is taken any more, the reader hears.
                if outgoing.send(line).await.is_err() {
                    break;
                }
            }
        };
        let heard = Arc::clone(&wires);
        let reading = async move {
            loop {
                match incoming.next().await {
                    Some(Ok(line)) => heard.take(&line),
                    Some(Err(error)) => {
                        tracing::warn!(error = %error.report(), "a server ended");
                        return heard.close(Failed::of(&error));
                    }
                    None => return heard.close(Failed::new(ErrorKind::Unavailable, GONE)),
                }
            }
        };
        Self {
            wires,
            opened: Instant::now(),
            tasks: [tokio::spawn(writing), tokio::spawn(reading)],
        }
    }

    /// When it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Why it is not open any more.
    pub(super) fn closed(&self) -> Option<Failed> {
        self.wires.state().closed.clone()
    }

    /// Sends a request and waits for its answer. One that is not waited for any more is cancelled,
    /// where `cancellable` says that the protocol allows it.
    ///
    /// # Errors
    /// `Unavailable` when the connection is closed, also while the answer is waited for.
    pub(super) async fn request(
        &self,
        method: &str,
        params: Params<'_>,
        modern: bool,
        cancellable: bool,
    ) -> Result<Answer> {
        let wires = &self.wires;
        let id = wires.next_id.fetch_add(1, Ordering::Relaxed);
        let line = message::request(id, method, params, modern)?;
        let answer = wires.expect(id)?;
        let mut wait = Wait {
            wires,
            id,
            sent: false,
            cancellable,
        };
        if wires.outgoing.send(line).await.is_ok() {
            wait.sent = true;
            if let Ok(answer) = answer.await {
                return Ok(answer);
            }
        }
        Err(wires.state().end())
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// `Unavailable` when the connection is closed.
    pub(super) async fn notify(&self, line: Bytes) -> Result<()> {
        let sent = self.wires.outgoing.send(line).await;
        sent.map_err(|_| self.wires.state().end())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Somebody who waits for the answer to a request.
struct Wait<'a> {
    wires: &'a Wires,
    id: u64,
    sent: bool,
    cancellable: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let waiting = self.wires.state().pending.remove(&self.id).is_some();
        if waiting && self.sent && self.cancellable {
            // A courtesy: a server that takes nothing at the moment does not get it.
            if let Ok(line) = message::cancelled(self.id) {
                let _ = self.wires.outgoing.try_send(line);
            }
        }
    }
}

impl Wires {
    fn expect(&self, id: u64) -> Result<oneshot::Receiver<Answer>> {
        let mut state = self.state();
        if state.closed.is_some() {
            return Err(state.end());
        }
        if state.pending.len() >= self.max_in_flight {
            let message = "the MCP server has too many requests already";
            return Err(
                Error::new(ErrorKind::Unavailable, message).with("limit", self.max_in_flight)
            );
        }
        let (sender, receiver) = oneshot::channel();
        state.pending.insert(id, sender);
        Ok(receiver)
    }

    /// Takes a line of the server.
    fn take(&self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Incoming<'_>>(line) else {
            // A program that logs to its standard output, most likely.
            let text = clip(&String::from_utf8_lossy(line), 200);
            tracing::debug!(text, "a server writes what is no message");
            return;
        };
        match message {
            Incoming {
                method: Some(method),
                id: Some(id),
                ..
            } => {
                if let Ok(line) = message::answer(id, &method) {
                    // Waiting here could make both sides wait for each other.
                    let _ = self.outgoing.try_send(line);
                }
            }
            Incoming {
                method: Some(method),
                ..
            } => {
                if method == "notifications/tools/list_changed" {
                    self.changes.send_modify(|count| *count += 1);
                }
            }
            Incoming { id: Some(id), .. } => {
                let answer = match (message.error, message.result) {
                    (Some(failure), _) => Err(failure),
                    (None, Some(result)) => Ok(result.to_owned()),
                    (None, None) => return,
                };
                let waiting = id.get().parse().ok();
                let waiting = waiting.and_then(|id: u64| self.state().pending.remove(&id));
                if let Some(waiting) = waiting {
                    // Who does not wait any more needs no answer.
                    let _ = waiting.send(answer);
                }
            }
            Incoming { .. } => {}
        }
    }

    /// Nobody waits for an answer that cannot come.
    fn close(&self, why: Failed) {
        let mut state = self.state();
        state.closed = Some(why);
        state.pending.clear();
        drop(state);
        self.changes.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> Error {
        match &self.closed {
            Some(why) => why.error(None),
            None => Error::new(ErrorKind::Unavailable, GONE),
        }
    }
}
