//! One session with a server of the legacy era, from its handshake to its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mcphub_core::Result;
use mcphub_core::shared::SessionKey;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::AbortHandle;
use url::Url;

use super::changes::MAX_EVENT;
use super::settings::McpClient;
use super::wire::{Era, Wire};
use crate::upstream::access::{Access, Whose};
use crate::upstream::events::{Events, is_events};
use crate::upstream::message::{self, Incoming};
use crate::upstream::pending::{Inbox, Pending, notification};
use crate::upstream::updated::UPDATED;
use crate::upstream::{Said, one_line};

/// How long a session's first call waits for the session's stream. A server that takes longer may
/// still open it, but what it asks on it before that is lost.
const OPENING: Duration = Duration::from_millis(500);

/// How long a server may take to take an answer, or what it is told.
pub(super) const ANSWERING: Duration = Duration::from_secs(2);

/// How long a server may take to end a session.
pub(super) const ENDING: Duration = Duration::from_secs(2);

/// A session, or what was agreed with a server that keeps none.
#[derive(Debug)]
pub(super) struct Session {
    /// The negotiated revision.
    pub(super) version: &'static str,
    /// Its id, where the server keeps sessions.
    pub(super) id: Option<HeaderValue>,
    /// Whether the server was asked for all log messages of the session.
    pub(super) talks: OnceCell<()>,
    /// The requests on their way that hear what the session's own stream tells.
    pending: Mutex<Pending>,
    stream: OnceCell<Listening>,
    /// The request that ends it; `None` once it has ended.
    ending: Mutex<Option<Ending>>,
    /// On whose behalf it is.
    whose: Whose,
}

/// The request that ends a session.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) client: McpClient,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) access: Option<Arc<Access>>,
    pub(super) whose: Whose,
}

/// A task that reads a stream, which ends when this is dropped.
#[derive(Debug)]
struct Listening(AbortHandle);

impl Session {
    /// A session with this id, and the request that ends it.
    pub(super) fn new(
        version: &'static str,
        id: Option<HeaderValue>,
        ending: Option<Ending>,
        whose: Whose,
    ) -> Arc<Self> {
        Arc::new(Self {
            version,
            id,
            talks: OnceCell::new(),
            pending: Mutex::default(),
            stream: OnceCell::new(),
            ending: Mutex::new(ending),
            whose,
        })
    }

    /// Tells the server that the session is not needed any more (2025-11-25, Transports, Session
    /// Management). Ends within 2 s.
    pub(super) async fn end(&self) {
        let ending = lock(&self.ending).take();
        if let Some(ending) = ending {
            ending.send().await;
        }
    }

    /// The server has ended it.
    pub(super) fn has_ended(&self) {
        lock(&self.ending).take();
    }

    /// Opens the stream on which the server says what belongs to no request's answer (2025-11-25,
    /// Transports, Listening for Messages from the Server), once, and waits for it for a while. A
    /// server need not have one.
    pub(super) async fn listen(self: &Arc<Self>, wire: &Arc<Wire>) {
        let listening = self.stream.get_or_init(|| async {
            let (opened, is_open) = oneshot::channel();
            let (wire, session) = (Arc::downgrade(wire), Arc::downgrade(self));
            let task = tokio::spawn(hear(wire, session, opened));
            // Whoever opens it ends, or goes on when nobody waits any more.
            let _ = tokio::time::timeout(OPENING, is_open).await;
            Listening(task.abort_handle())
        });
        listening.await;
    }

    /// Hears what the stream tells of a request, or of none while there is no doubt.
    ///
    /// # Errors
    /// None: a session has no bound of its own.
    pub(super) fn converse(&self, id: u64, session: Option<SessionKey>) -> Result<Inbox> {
        lock(&self.pending).converse(id, usize::MAX, session)
    }

    /// The request is over.
    pub(super) fn over(&self, id: u64, answered: bool) {
        let mut pending = lock(&self.pending);
        if answered {
            pending.answered(id, Ok(message::empty()));
        } else {
            pending.give_up(id);
        }
    }

    /// What the server says on the stream. What is to be answered at once is given.
    fn take(&self, data: &str) -> Option<Vec<u8>> {
        let message: Incoming<'_> = serde_json::from_str(data).ok()?;
        let method = message.method?;
        let params = message.params.map_or_else(message::empty, one_line);
        let pending = lock(&self.pending);
        match (message.id, &*method) {
            (Some(id), "ping") => return Some(message::unasked(id, &method)),
            (Some(id), _) => {
                let said = Said::Request {
                    id: one_line(id),
                    method: method.to_string(),
                    params,
                };
                if !pending.tell_only(said, data.len()) {
                    return Some(message::unasked(id, &method));
                }
            }
            // The stream of the session that is shared tells of these.
            (
                None,
                UPDATED
                | "notifications/tools/list_changed"
                | "notifications/prompts/list_changed"
                | "notifications/resources/list_changed",
            ) => {}
            (None, "notifications/progress") => {
                if let Some(id) = progress_token(&params) {
                    pending.tell(id, notification(&method, params), data.len());
                }
            }
            (None, _) => {
                pending.tell_only(notification(&method, params), data.len());
            }
        }
        None
    }
}

impl Ending {
    /// The server may refuse, or be gone, and then there is nothing to end.
    async fn send(self) {
        let sending = async {
            let Ok(client) = self.client.http().await else {
                return;
            };
            let request = client.delete(self.url).headers(self.headers);
            match &self.access {
                Some(access) => {
                    let _ = access.send(request, self.whose.as_deref(), false).await;
                }
                None => {
                    let _ = request.send().await;
                }
            }
        };
        let _ = tokio::time::timeout(ENDING, sending).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let ending = self
            .ending
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let (Some(ending), Ok(runtime)) = (ending.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(ending.send());
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The stream of a session; `None` of a server that has none, or has ended the session.
async fn open(wire: &Wire, era: &Era) -> Result<Option<Events>> {
    let whose = match era {
        Era::Legacy(session) => session.whose.as_deref(),
        Era::Modern => None,
    };
    let response = wire.get(era, whose).await?;
    let has_one = response.status().is_success() && is_events(&response);
    if response.status().is_server_error() {
        return Err(wire.status(response.status()));
    }
    Ok(has_one.then(|| Events::new(response, MAX_EVENT)))
}

/// Reads the stream of a session as long as that is there, and opens it again where it breaks off.
async fn hear(wire: Weak<Wire>, session: Weak<Session>, opened: oneshot::Sender<()>) {
    let (Some(here), Some(era)) = (wire.upgrade(), session.upgrade().map(Era::Legacy)) else {
        return;
    };
    let limit = here.client.settings.list_timeout;
    let Ok(Ok(Some(first))) = tokio::time::timeout(limit, open(&here, &era)).await else {
        return;
    };
    drop((here, era));
    // Fails when nobody waits for it any more.
    let _ = opened.send(());
    let mut events = Some(first);
    let mut pause = Duration::ZERO;
    loop {
        while let Some(open) = &mut events {
            let data = match open.next().await {
                Ok(Some(data)) => data,
                Ok(None) | Err(_) => break,
            };
            open.forget_read();
            pause = Duration::ZERO;
            let (Some(wire), Some(session)) = (wire.upgrade(), session.upgrade()) else {
                return;
            };
            if let Some(answer) = session.take(&data) {
                let whose = session.whose.clone();
                let era = Era::Legacy(session);
                let told = wire.tell(&era, answer, whose.as_deref());
                if let Err(error) = wire.within(ANSWERING, told).await {
                    tracing::debug!(server = %wire.host, error = %error.report(), "an answer did not arrive");
                }
            }
        }
        let Some(settings) = wire.upgrade().map(|wire| Arc::clone(&wire.client.settings)) else {
            return;
        };
        pause = (pause * 2).clamp(settings.initial_backoff, settings.max_backoff);
        tokio::time::sleep(pause).await;
        let (Some(wire), Some(session)) = (wire.upgrade(), session.upgrade()) else {
            return;
        };
        events = match open(&wire, &Era::Legacy(session)).await {
            Ok(None) => return,
            Ok(events) => events,
            Err(_) => None,
        };
    }
}

fn progress_token(params: &RawValue) -> Option<u64> {
    let members = crate::members::Members::read(params.get()).ok()?;
    members.get("progressToken")?.get().parse().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is made whole before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
