//! Calls that are noted in the audit log, off their way: a call puts its note into a queue, and one
//! task writes what is there, many in one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcphub_core::audit::{Action, AuditNote};
use mcphub_core::principal::Principal;
use mcphub_core::store::AuditStore;
use mcphub_core::tenant::Actor;
use serde::Serialize;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::federation::Route;
use crate::metrics::{CallKind, Ended};

/// The most notes that are written in one step: one more may say how many were dropped.
const MAX_BATCH: usize = AuditNote::MAX - 1;

/// How long the first note of a step waits for others, unless they fill the step or there is no room
/// for more. A step of many costs little more than one of few, and keeps a core from calls for a moment.
const LINGER: Duration = Duration::from_millis(100);

/// How often it is looked how many there are.
const LOOK: Duration = Duration::from_millis(10);

/// Pauses after a step that failed: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// The longest name that is noted, in characters.
const MAX_NAME: usize = 256;

/// Which calls are noted in the audit log, and what happens when they come faster than it takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallAudit {
    /// Which calls. Default those that write.
    pub calls: AuditedCalls,
    /// What happens to a call for whose note there is no room. Default: it is made.
    pub full: WhenFull,
    /// The most notes that wait to be written. Default 8,192; at least 1.
    pub max_waiting: usize,
    /// How long a call waits for room, where it waits. Default 5 s.
    pub patience: Duration,
}

/// Which calls are noted. One that a key may not make always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AuditedCalls {
    /// Those of tools that are not annotated as only reading.
    #[default]
    Writes,
    /// Those of all tools, and what else servers are asked: prompts, resources, tasks …
    All,
}

/// What happens to a call for whose note there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is made, and the log says how many calls it does not tell of.
    #[default]
    Drop,
    /// It waits for room as long as [`CallAudit::patience`], and is then refused.
    Wait,
}

impl Default for CallAudit {
    fn default() -> Self {
        Self {
            calls: AuditedCalls::default(),
            full: WhenFull::default(),
            max_waiting: 8_192,
            patience: Duration::from_secs(5),
        }
    }
}

/// Notes calls.
#[derive(Debug)]
pub(crate) struct CallLog {
    settings: CallAudit,
    sender: mpsc::Sender<AuditNote>,
    queue: Mutex<Queue>,
    counts: Arc<Counts>,
}

/// What waits to be written, and what is being written.
#[derive(Debug)]
struct Queue {
    store: Arc<dyn AuditStore>,
    receiver: mpsc::Receiver<AuditNote>,
    /// What the next step writes. Kept here, because whoever waits for more may be interrupted.
    batch: Vec<AuditNote>,
    /// A task of its own, so that a step is never given up half-way.
    writing: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    noted: AtomicU64,
    dropped: AtomicU64,
    /// Dropped since the log told of it.
    untold: AtomicU64,
}

/// There is no room for the note of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoRoom;

/// The note of a call that is on its way.
#[derive(Debug)]
pub(crate) struct Note {
    log: Arc<CallLog>,
    /// Room for it, where calls wait for that.
    room: Option<OwnedPermit<AuditNote>>,
    who: Option<Arc<Principal>>,
    action: Action,
    target: String,
}

impl CallLog {
    pub(crate) fn new(store: Arc<dyn AuditStore>, settings: CallAudit) -> Self {
        let (sender, receiver) = mpsc::channel(settings.max_waiting.max(1));
        Self {
            settings,
            sender,
            queue: Mutex::new(Queue {
                store,
                receiver,
                batch: Vec::new(),
                writing: None,
            }),
            counts: Arc::default(),
        }
    }

    /// The note of a request that begins now, if it is to be noted.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        kind: CallKind,
        method: &str,
        who: Option<&Arc<Principal>>,
        route: &Route,
    ) -> Result<Option<Box<Note>>, NoRoom> {
        if self.settings.calls == AuditedCalls::Writes && kind != CallKind::Write {
            return Ok(None);
        }
        let room = match self.settings.full {
            WhenFull::Drop => None,
            WhenFull::Wait => {
                let room =
                    timeout(self.settings.patience, self.sender.clone().reserve_owned()).await;
                Some(room.map_err(|_| NoRoom)?.map_err(|_| NoRoom)?)
            }
        };
        let (action, target) = named(method, route.server.as_str(), &route.own);
        Ok(Some(Box::new(Note {
            log: Arc::clone(self),
            room,
            who: who.cloned(),
            action,
            target,
        })))
    }

    /// Notes that somebody asked for a tool that they may not call.
    pub(crate) fn denied(&self, who: Option<&Principal>, server: &str, tool: &str) {
        let (action, target) = named("tools/call", server, tool);
        self.put(None, note(who, action, target, "denied", None));
    }

    fn put(&self, room: Option<OwnedPermit<AuditNote>>, note: AuditNote) {
        match room {
            Some(room) => drop(room.send(note)),
            None if self.sender.try_send(note).is_ok() => {}
            None => {
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                if self.counts.untold.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        "calls come faster than the audit log takes them; some are not noted"
                    );
                }
            }
        }
    }

    /// Writes what comes. Never ends.
    pub(crate) async fn write(&self) {
        let mut queue = self.queue.lock().await;
        loop {
            queue.settled().await;
            if queue.more().await == 0 {
                return std::future::pending().await;
            }
            let end = Instant::now() + LINGER;
            while queue.takes_more() && Instant::now() < end {
                sleep(LOOK).await;
            }
            queue.begin(&self.counts);
        }
    }

    /// Writes what is there, for when the gateway ends. Says what could not be written in time.
    pub(crate) async fn finish(&self, within: Duration) {
        let finishing = async {
            let mut queue = self.queue.lock().await;
            loop {
                queue.settled().await;
                queue.begin(&self.counts);
                if queue.writing.is_none() {
                    return;
                }
            }
        };
        if timeout(within, finishing).await.is_err() {
            tracing::error!("the audit log did not take the notes of the last calls");
        }
    }

    /// How many calls were noted, how many were not for want of room, and how many notes wait.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let Counts { noted, dropped, .. } = &*self.counts;
        let waiting = self.sender.max_capacity() - self.sender.capacity();
        [
            noted.load(Ordering::Relaxed),
            dropped.load(Ordering::Relaxed),
            waiting as u64,
        ]
    }
}

impl Queue {
    /// Waits until what is being written is written.
    async fn settled(&mut self) {
        if let Some(writing) = &mut self.writing {
            // It does not panic; if it did, its notes are lost and the next ones are not.
            let _ = writing.await;
            self.writing = None;
        }
    }

    /// Waits for notes, if there are none yet. How many there are.
    async fn more(&mut self) -> usize {
        let Self {
            receiver, batch, ..
        } = self;
        if batch.is_empty() {
            receiver.recv_many(batch, MAX_BATCH).await;
        }
        batch.len()
    }

    /// Whether more notes would come into the next step.
    fn takes_more(&self) -> bool {
        self.batch.len() + self.receiver.len() < MAX_BATCH && self.receiver.capacity() > 0
    }

    /// Begins to write what is there, if there is anything.
    fn begin(&mut self, counts: &Arc<Counts>) {
        while self.batch.len() < MAX_BATCH
            && let Ok(note) = self.receiver.try_recv()
        {
            self.batch.push(note);
        }
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let (store, counts) = (Arc::clone(&self.store), Arc::clone(counts));
        self.writing = Some(tokio::spawn(async move {
            written(&*store, batch, &counts).await;
        }));
    }
}

impl Note {
    /// The request has ended.
    pub(crate) fn end(self, ended: Ended, took: Duration) {
        let Self {
            log,
            room,
            who,
            action,
            target,
        } = self;
        let note = note(who.as_deref(), action, target, ended.as_str(), Some(took));
        log.put(room, note);
    }
}

/// Writes these notes, and that others were dropped.
async fn written(store: &dyn AuditStore, mut batch: Vec<AuditNote>, counts: &Counts) {
    let calls = batch.len() as u64;
    let untold = counts.untold.swap(0, Ordering::Relaxed);
    if untold > 0 {
        batch.push(AuditNote {
            at: now(),
            actor: Actor::default(),
            action: Action::CALLS_DROP,
            target: "calls".to_owned(),
            detail: to_raw_value(&json!({ "calls": untold })).unwrap_or_default(),
        });
    }
    let [mut pause, longest] = PAUSES;
    loop {
        let Err(error) = store.note(&batch).await else {
            counts.noted.fetch_add(calls, Ordering::Relaxed);
            return;
        };
        if error.kind() == mcphub_core::ErrorKind::InvalidInput {
            tracing::error!(error = %error.report(), calls, "calls cannot be noted in the audit log");
            counts.dropped.fetch_add(calls, Ordering::Relaxed);
            counts.untold.fetch_add(calls + untold, Ordering::Relaxed);
            return;
        }
        if pause == PAUSES[0] {
            tracing::warn!(error = %error.report(), "the audit log takes no notes of calls for now");
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

fn note(
    who: Option<&Principal>,
    action: Action,
    target: String,
    outcome: &str,
    took: Option<Duration>,
) -> AuditNote {
    let detail = to_raw_value(&Detail {
        outcome,
        micros: took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        by: who
            .filter(|who| who.id != who.actor)
            .map(|who| who.id.as_str()),
    });
    AuditNote {
        at: now(),
        actor: who.map_or_else(|| Actor::of("client", "anyone"), |who| who.actor.clone()),
        action,
        target,
        // Text and numbers cannot fail.
        detail: detail.unwrap_or_default(),
    }
}

/// What is said of a call besides what it is.
#[derive(Serialize)]
struct Detail<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    micros: Option<u64>,
    /// The key, where it is not the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
}

/// What is done, and to what. The URI of a resource and the id of a task are left out: they hold
/// what the caller wrote.
fn named(method: &str, server: &str, own: &str) -> (Action, String) {
    let of = |thing: &str| {
        let end = own.char_indices().nth(MAX_NAME).map(|(end, _)| end);
        let own = own.get(..end.unwrap_or(own.len())).unwrap_or_default();
        [thing, ":", server, "/", own].concat()
    };
    match method {
        "tools/call" => (Action::TOOL_CALL, of("tool")),
        "prompts/get" => (Action::PROMPT_GET, of("prompt")),
        "resources/read" => (Action::RESOURCE_READ, format!("server:{server}")),
        _ => (Action::SERVER_REQUEST, format!("server:{server}")),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use async_trait::async_trait;
    use mcphub_core::Result;
    use mcphub_core::audit::{AuditHead, AuditPage, AuditQuery};

    use super::*;

    /// How many notes each step had.
    #[derive(Debug, Default)]
    struct Steps(StdMutex<Vec<usize>>);

    #[async_trait]
    impl AuditStore for Steps {
        async fn audit(&self, _: &AuditQuery) -> Result<AuditPage> {
            Ok(AuditPage::default())
        }

        async fn audit_head(&self) -> Result<AuditHead> {
            Ok(AuditHead::default())
        }

        async fn note(&self, notes: &[AuditNote]) -> Result<()> {
            self.0.lock().unwrap().push(notes.len());
            Ok(())
        }
    }

    fn log() -> (Arc<Steps>, Arc<CallLog>) {
        let steps = Arc::<Steps>::default();
        let log = CallLog::new(steps.clone(), CallAudit::default());
        (steps, Arc::new(log))
    }

    fn put(log: &CallLog, notes: usize) {
        (0..notes).for_each(|_| log.denied(None, "shop", "buy"));
    }

    #[tokio::test(start_paused = true)]
    async fn notes_wait_for_others_unless_they_fill_a_step() {
        let (steps, log) = log();
        let writer = Arc::clone(&log);
        let writing = tokio::spawn(async move { writer.write().await });
        put(&log, 1);
        sleep(LINGER / 2).await;
        put(&log, 2);
        assert!(steps.0.lock().unwrap().is_empty());
        sleep(LINGER).await;
        assert_eq!(*steps.0.lock().unwrap(), [3]);
        put(&log, MAX_BATCH * 2 + 1);
        sleep(LINGER / 2).await;
        assert_eq!(*steps.0.lock().unwrap(), [3, MAX_BATCH, MAX_BATCH]);
        writing.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn notes_whose_wait_is_interrupted_are_written_at_the_end() {
        let (steps, log) = log();
        put(&log, 1);
        assert!(timeout(LINGER / 2, log.write()).await.is_err());
        put(&log, 1);
        log.finish(LINGER).await;
        assert_eq!(*steps.0.lock().unwrap(), [2]);
    }
}
