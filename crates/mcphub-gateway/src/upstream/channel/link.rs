//! An open connection: requests by their ids, and what else the server says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use mcphub_core::launch::Channel;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::members::Members;
use crate::upstream::failed::Failed;
use crate::upstream::http::clip;
use crate::upstream::message::{self, Call, Incoming};
use crate::upstream::pending::{Answer, GONE, Inbox, Pending, notification};
use crate::upstream::updated::{UPDATED, Updated};
use crate::upstream::{Said, one_line};

/// How many messages wait for the server to take them before callers wait, too.
const QUEUE: usize = 64;

/// What a notification of a subscription has in its `_meta` (MCP 2026-07-28, Subscriptions).
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What becomes of what a server announces.
#[derive(Clone)]
pub(super) struct Announced {
    /// Counts what may have changed its lists.
    pub(super) changes: watch::Sender<u64>,
    /// Tells of its resources.
    pub(super) updated: Arc<Updated>,
}

/// A connection that was opened. Dropping it closes it.
pub(super) struct Link {
    wires: Arc<Wires>,
    opened: Instant,
    tasks: [JoinHandle<()>; 2],
}

struct Wires {
    outgoing: mpsc::Sender<Bytes>,
    next_id: AtomicU64,
    max_in_flight: usize,
    announced: Announced,
    pending: Mutex<Pending>,
}

impl Link {
    /// Takes a channel over. That it ended is announced, too.
    pub(super) fn open(channel: Channel, max_in_flight: usize, announced: Announced) -> Self {
        let Channel {
            mut outgoing,
            mut incoming,
        } = channel;
        let (sender, mut queue) = mpsc::channel(QUEUE);
        let wires = Arc::new(Wires {
            outgoing: sender,
            next_id: AtomicU64::new(1),
            max_in_flight,
            announced,
            pending: Mutex::default(),
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
        self.wires.pending().closed().cloned()
    }

    /// The error for a connection that is closed.
    pub(super) fn end(&self) -> Error {
        self.wires.pending().end()
    }

    /// Sends a request and waits for its answer. One that is not waited for any more is cancelled,
    /// where `cancellable` says that the protocol allows it.
    ///
    /// # Errors
    /// `Unavailable` when the connection is closed, also while the answer is waited for.
    pub(super) async fn request(
        &self,
        call: &Call<'_>,
        modern: bool,
        cancellable: bool,
    ) -> Result<Answer> {
        let wires = &self.wires;
        let id = wires.id();
        let line = message::line(call.message(id, modern)?);
        let answer = wires.pending().expect(id, wires.max_in_flight)?;
        let mut wait = Wait {
            wires,
            id,
            sent: false,
            cancellable,
            over: false,
        };
        if wires.outgoing.send(line).await.is_ok() {
            wait.sent = true;
            if let Ok(answer) = answer.await {
                return Ok(answer);
            }
        }
        Err(self.end())
    }

    /// Sends a request of a caller that hears what is said before the answer. Its message is made
    /// from its id.
    ///
    /// # Errors
    /// `Unavailable` when the connection is closed.
    pub(super) async fn converse(
        &self,
        session: Option<SessionKey>,
        message: impl FnOnce(u64) -> Vec<u8>,
    ) -> Result<(u64, Inbox)> {
        let wires = &self.wires;
        let id = wires.id();
        let line = message::line(message(id));
        let inbox = wires.pending().converse(id, wires.max_in_flight, session)?;
        let mut wait = Wait {
            wires,
            id,
            sent: false,
            cancellable: true,
            over: false,
        };
        if wires.outgoing.send(line).await.is_err() {
            return Err(self.end());
        }
        wait.sent = true;
        // From here on the caller gives it up.
        wait.over = true;
        Ok((id, inbox))
    }

    /// Sends a message that has no answer.
    ///
    /// # Errors
    /// `Unavailable` when the connection is closed.
    pub(super) async fn notify(&self, message: Vec<u8>) -> Result<()> {
        let sent = self.wires.outgoing.send(message::line(message)).await;
        sent.map_err(|_| self.end())
    }

    /// Cancels a request that is not answered yet.
    pub(super) fn give_up(&self, id: u64) {
        self.wires.give_up(id, true);
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
    /// Somebody else waits from here on.
    over: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.wires.give_up(self.id, self.sent && self.cancellable);
        }
    }
}

impl Wires {
    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
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
        let Incoming {
            id,
            method,
            params,
            result,
            error,
        } = message;
        match (method, id) {
            (Some(method), Some(id)) => self.asked(id, &method, params, line.len()),
            (Some(method), None) => self.told(&method, params, line.len()),
            (None, Some(id)) => {
                let answer = match (error, result) {
                    (Some(failure), _) => Err(failure),
                    (None, Some(result)) => Ok(result.to_owned()),
                    (None, None) => return,
                };
                if let Ok(id) = id.get().parse() {
                    self.pending().answered(id, answer);
                }
            }
            (None, None) => {}
        }
    }

    /// A request of the server.
    fn asked(&self, id: &RawValue, method: &str, params: Option<&RawValue>, bytes: usize) {
        let said = Said::Request {
            id: one_line(id),
            method: method.to_owned(),
            params: whole(params),
        };
        if method != "ping" && self.pending().tell_only(said, bytes) {
            return;
        }
        // Waiting here could make both sides wait for each other.
        let answer = message::line(message::unasked(id, method));
        if self.outgoing.try_send(answer).is_err() {
            tracing::debug!(method, "a server asks and takes no answer");
        }
    }

    /// A notification of the server.
    fn told(&self, method: &str, params: Option<&RawValue>, bytes: usize) {
        match method {
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => self.announced.change(),
            UPDATED => self.announced.updated.tell(params),
            "notifications/progress" => {
                // The token of a request is its id.
                if let Some(id) = params.and_then(progress_token) {
                    let said = notification(method, whole(params));
                    self.pending().tell(id, said, bytes);
                }
            }
            // What a subscription of ours is told is about no call, as its acknowledgement.
            _ if params.is_some_and(|it| it.get().contains(SUBSCRIPTION)) => {}
            _ => {
                let said = notification(method, whole(params));
                if !self.pending().tell_only(said, bytes) {
                    tracing::trace!(method, "a server told something that nobody hears");
                }
            }
        }
    }

    fn give_up(&self, id: u64, tell: bool) {
        let waiting = self.pending().give_up(id);
        if waiting && tell {
            // A courtesy: a server that takes nothing at the moment does not get it.
            let line = message::line(message::cancelled(id));
            let _ = self.outgoing.try_send(line);
        }
    }

    fn close(&self, why: Failed) {
        self.pending().close(why);
        self.announced.updated.lost();
        self.announced.change();
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Each change is made whole before anything in it can panic.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Announced {
    fn change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// The `params` of a message on one line; `{}` where it has none.
fn whole(params: Option<&RawValue>) -> Box<RawValue> {
    params.map_or_else(message::empty, one_line)
}

fn progress_token(params: &RawValue) -> Option<u64> {
    let members = Members::read(params.get()).ok()?;
    members.get("progressToken")?.get().parse().ok()
}
