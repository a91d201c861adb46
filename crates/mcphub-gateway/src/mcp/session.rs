//! Sessions of the old era (2025-11-25, Transports, Session Management).
//!
//! A session's id says all that the gateway needs to know of it, so there is nothing to lose: a
//! gateway that was restarted, or another node, goes on with a session where it was.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcphub_core::{Error, Result};
use tokio::sync::watch;

use super::revision::Revision;

/// `REVISION.LIST.RANDOM`: the revision that was settled on, the digest of the list that the client
/// was about to read, and 128 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    revision: Revision,
    text: Arc<str>,
}

impl SessionId {
    /// The id of a new session.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn new(revision: Revision, list: &str) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            Error::internal("the system gives no random numbers")
                .caused_by(error)
                .during("session::new")
        })?;
        let text = format!(
            "{}.{list}.{:032x}",
            revision.as_str(),
            u128::from_be_bytes(random)
        );
        Ok(Self {
            revision,
            text: text.into(),
        })
    }

    /// The revision that was settled on.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The digest of the list when the session began.
    pub(crate) fn list(&self) -> &str {
        self.text.split('.').nth(1).unwrap_or_default()
    }

    /// The id as it travels.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The id is not one of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownSession;

impl FromStr for SessionId {
    type Err = UnknownSession;

    fn from_str(text: &str) -> Result<Self, UnknownSession> {
        let hex = |part: Option<&str>, len: usize| {
            part.is_some_and(|part| {
                part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        };
        let mut parts = text.split('.');
        let revision: Option<Revision> = parts.next().and_then(|revision| revision.parse().ok());
        match revision.filter(|revision| !revision.is_modern()) {
            Some(revision)
                if hex(parts.next(), 16) && hex(parts.next(), 32) && parts.next().is_none() =>
            {
                Ok(Self {
                    revision,
                    text: text.into(),
                })
            }
            _ => Err(UnknownSession),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What has to be remembered of sessions: those that were ended, and the streams that are open.
#[derive(Debug)]
pub(crate) struct Sessions {
    state: Mutex<State>,
    /// Tells streams that a session was ended.
    signal: watch::Sender<()>,
    max_ended: usize,
}

#[derive(Debug, Default)]
struct State {
    ended: HashSet<SessionId>,
    /// Oldest first.
    order: VecDeque<SessionId>,
    streams: HashMap<SessionId, Vec<u64>>,
    opened: u64,
}

impl Sessions {
    /// Remembers at most `max_ended` ended sessions, of those the newest.
    pub(crate) fn new(max_ended: usize) -> Self {
        Self {
            state: Mutex::default(),
            signal: watch::Sender::new(()),
            max_ended,
        }
    }

    /// Whether a session was ended.
    pub(crate) fn has_ended(&self, id: &SessionId) -> bool {
        self.state().ended.contains(id)
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: SessionId) {
        let mut state = self.state();
        if state.ended.insert(id.clone()) {
            state.order.push_back(id);
        }
        while state.order.len() > self.max_ended {
            if let Some(oldest) = state.order.pop_front() {
                state.ended.remove(&oldest);
            }
        }
        self.signal.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open stream of a session. Of several, only the newest gets messages: a message goes to one
/// stream (2025-11-25, Transports, Multiple Connections), and the newest is the one that a client
/// opened because it lost the others.
#[derive(Debug)]
pub(crate) struct SessionStream {
    sessions: Arc<Sessions>,
    id: SessionId,
    number: u64,
}

impl SessionStream {
    pub(crate) fn open(sessions: &Arc<Sessions>, id: SessionId) -> Self {
        let mut state = sessions.state();
        state.opened += 1;
        let number = state.opened;
        state.streams.entry(id.clone()).or_default().push(number);
        drop(state);
        Self {
            sessions: Arc::clone(sessions),
            id,
            number,
        }
    }

    /// Whether the session's messages go to this stream.
    pub(crate) fn is_newest(&self) -> bool {
        let state = self.sessions.state();
        state.streams.get(&self.id).and_then(|open| open.last()) == Some(&self.number)
    }

    /// Waits until the session is ended.
    pub(crate) async fn ended(&self) {
        let mut signals = self.sessions.signal.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        while !self.sessions.has_ended(&self.id) && signals.changed().await.is_ok() {}
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        let mut state = self.sessions.state();
        if let Some(open) = state.streams.get_mut(&self.id) {
            open.retain(|number| *number != self.number);
            if open.is_empty() {
                state.streams.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::new(Revision::V2025_06_18, "0123456789abcdef").unwrap()
    }

    #[test]
    fn an_id_says_all_that_there_is_to_know() {
        let id = id();
        let read: SessionId = id.as_str().parse().unwrap();
        assert_eq!(read, id);
        assert_eq!(
            (read.revision(), read.list()),
            (Revision::V2025_06_18, "0123456789abcdef")
        );
        assert!(id.as_str().bytes().all(|b| (0x21..=0x7e).contains(&b)));
    }

    #[test]
    fn ids_of_others_are_refused() {
        let modern = id().as_str().replace("2025-06-18", "2026-07-28");
        let long = format!("{}.x", id());
        for text in [
            "",
            "6f1c7b1e-3b1f-4e0e-9d5d-0d7f1f0c9a11",
            &modern,
            &long,
            &id().as_str().to_uppercase()[..58],
        ] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_newest_ended_sessions_are_remembered() {
        let sessions = Sessions::new(2);
        let ids = [id(), id(), id()];
        for id in &ids {
            sessions.end(id.clone());
            sessions.end(id.clone());
        }
        assert_eq!(ids.map(|id| sessions.has_ended(&id)), [false, true, true]);
    }

    #[test]
    fn messages_go_to_the_newest_open_stream() {
        let sessions = Arc::new(Sessions::new(2));
        let id = id();
        let first = SessionStream::open(&sessions, id.clone());
        let second = SessionStream::open(&sessions, id);
        assert!(!first.is_newest() && second.is_newest());
        drop(second);
        assert!(first.is_newest());
        drop(first);
        assert!(sessions.state().streams.is_empty());
    }
}
