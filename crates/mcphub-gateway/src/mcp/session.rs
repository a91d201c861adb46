//! Sessions of the old era (2025-11-25, Transports, Session Management).
//!
//! A session's id says all that the gateway needs to know of it, so there is nothing to lose: a
//! gateway that was restarted, or another node, goes on with a session where it was.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcphub_core::principal::Principal;
use mcphub_core::shared::{self, SessionKey};
use mcphub_core::{Error, Result};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::revision::Revision;

/// `REVISION.LISTS.ABILITIES.RANDOM`: the revision that was settled on, the digest of the lists that
/// the client was about to read, what the client can be asked, and 128 random bits. Where clients
/// are asked who they are, `.OWNER` follows: a digest of the random bits and of whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    revision: Revision,
    text: Arc<str>,
    /// Once, because it is a digest.
    key: SessionKey,
}

impl SessionId {
    /// The id of a new session.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn new(
        revision: Revision,
        lists: &str,
        abilities: u8,
        owner: Option<&Principal>,
    ) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            Error::internal("the system gives no random numbers")
                .caused_by(error)
                .during("session::new")
        })?;
        let random = format!("{:032x}", u128::from_be_bytes(random));
        let mut text = format!("{}.{lists}.{abilities:02x}.{random}", revision.as_str());
        if let Some(owner) = owner {
            text.push('.');
            text.push_str(&mark(&random, owner));
        }
        Ok(Self::of(revision, &text))
    }

    fn of(revision: Revision, text: &str) -> Self {
        Self {
            revision,
            text: text.into(),
            key: SessionKey::of(text),
        }
    }

    /// The revision that was settled on.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// What the client can be asked: see [`ClientAbilities`](crate::upstream::ClientAbilities).
    pub(crate) fn abilities(&self) -> u8 {
        let part = self.text.split('.').nth(2).unwrap_or_default();
        u8::from_str_radix(part, 16).unwrap_or_default()
    }

    /// The digest of the lists when the session began.
    pub(crate) fn lists(&self) -> &str {
        self.text.split('.').nth(1).unwrap_or_default()
    }

    /// Whether it is this one's session.
    pub(crate) fn belongs_to(&self, who: Option<&Principal>) -> bool {
        let mut parts = self.text.split('.').skip(3);
        let random = parts.next().unwrap_or_default();
        match (parts.next(), who) {
            (None, None) => true,
            (Some(owner), Some(who)) => mark(random, who) == owner,
            _ => false,
        }
    }

    /// What others are told of it.
    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// The id as it travels.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Says whose a session is, to nobody but them. Who puts another mark into an id that they found
/// has the id of another session.
fn mark(random: &str, owner: &Principal) -> String {
    let digest = Sha256::new()
        .chain_update(random)
        .chain_update(owner.id.as_str())
        .finalize();
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.into();
    let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    format!("{first:016x}")
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
                if hex(parts.next(), 32)
                    && hex(parts.next(), 2)
                    && hex(parts.next(), 32)
                    && parts.next().is_none_or(|owner| hex(Some(owner), 16))
                    && parts.next().is_none() =>
            {
                Ok(Self::of(revision, text))
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

/// How long an answer of other nodes, that a session goes on, is taken for true. An end is told to
/// all nodes as an event too; this is for when that is lost.
const TRUSTED: Duration = Duration::from_secs(1);

/// How often the stream of a session asks other nodes whether it has ended.
const ASKED_AGAIN: Duration = Duration::from_secs(15);

/// What has to be remembered of sessions: those that were ended, and the streams that are open.
#[derive(Debug)]
pub(crate) struct Sessions {
    state: Mutex<State>,
    /// Tells streams that a session was ended.
    signal: watch::Sender<()>,
    max_ended: usize,
    /// Knows those that were ended on another node.
    shared: Option<Arc<dyn shared::Sessions>>,
}

#[derive(Debug, Default)]
struct State {
    ended: HashSet<SessionKey>,
    /// Oldest first.
    order: VecDeque<SessionKey>,
    /// Until when other nodes need not be asked.
    alive: HashMap<SessionKey, Instant>,
    streams: HashMap<SessionKey, Vec<u64>>,
    opened: u64,
}

impl Sessions {
    /// Remembers at most `max_ended` ended sessions, of those the newest, and what `shared` knows.
    pub(crate) fn new(max_ended: usize, shared: Option<Arc<dyn shared::Sessions>>) -> Self {
        Self {
            state: Mutex::default(),
            signal: watch::Sender::new(()),
            max_ended,
            shared,
        }
    }

    /// Whether a session was ended, on any node. One goes on while the others cannot be asked.
    pub(crate) async fn has_ended(&self, session: &SessionKey) -> bool {
        if self.has_ended_here(session) {
            return true;
        }
        let Some(shared) = &self.shared else {
            return false;
        };
        let alive = self.state().alive.get(session).copied();
        if alive.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        match shared.has_ended(session).await {
            Ok(true) => {
                self.note(*session);
                return true;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(error = %error.report(), "sessions that ended elsewhere go on here");
            }
        }
        self.trust(*session);
        false
    }

    /// Ends a session on all nodes: here at once, and at the others if they can be told.
    pub(crate) async fn end(&self, session: SessionKey, keep: Duration) {
        self.note(session);
        let Some(shared) = &self.shared else { return };
        if let Err(error) = shared.end(&session, keep).await {
            tracing::warn!(error = %error.report(), "a session has ended on this node only");
        }
    }

    /// Takes note of a session that was ended.
    pub(crate) fn note(&self, session: SessionKey) {
        let mut state = self.state();
        state.alive.remove(&session);
        if state.ended.insert(session) {
            state.order.push_back(session);
        }
        while state.order.len() > self.max_ended {
            if let Some(oldest) = state.order.pop_front() {
                state.ended.remove(&oldest);
            }
        }
        self.signal.send_replace(());
    }

    /// Forgets what other nodes said: something was missed.
    pub(crate) fn doubt(&self) {
        self.state().alive.clear();
    }

    fn has_ended_here(&self, session: &SessionKey) -> bool {
        self.state().ended.contains(session)
    }

    fn trust(&self, session: SessionKey) {
        let mut state = self.state();
        if state.alive.len() >= self.max_ended {
            let now = Instant::now();
            state.alive.retain(|_, until| now < *until);
        }
        if state.alive.len() < self.max_ended {
            state.alive.insert(session, Instant::now() + TRUSTED);
        }
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
    key: SessionKey,
    number: u64,
}

impl SessionStream {
    pub(crate) fn open(sessions: &Arc<Sessions>, key: SessionKey) -> Self {
        let mut state = sessions.state();
        state.opened += 1;
        let number = state.opened;
        state.streams.entry(key).or_default().push(number);
        drop(state);
        Self {
            sessions: Arc::clone(sessions),
            key,
            number,
        }
    }

    /// Whether the session's messages go to this stream.
    pub(crate) fn is_newest(&self) -> bool {
        let state = self.sessions.state();
        state.streams.get(&self.key).and_then(|open| open.last()) == Some(&self.number)
    }

    /// Waits until the session is ended.
    pub(crate) async fn ended(&self) {
        let mut signals = self.sessions.signal.subscribe();
        while !self.sessions.has_ended(&self.key).await {
            let asked = sleep(ASKED_AGAIN);
            tokio::pin!(asked);
            // A signal is for all streams: those of other sessions need not ask other nodes.
            while !self.sessions.has_ended_here(&self.key) {
                tokio::select! {
                    // The sender lives as long as `self`, so waiting cannot fail.
                    _ = signals.changed() => {}
                    () = &mut asked => break,
                }
            }
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        let mut state = self.sessions.state();
        if let Some(open) = state.streams.get_mut(&self.key) {
            open.retain(|number| *number != self.number);
            if open.is_empty() {
                state.streams.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use mcphub_core::ErrorKind;
    use mcphub_core::tenant::Actor;

    const LISTS: &str = "0123456789abcdef0123456789abcdef";

    fn id() -> SessionId {
        SessionId::new(Revision::V2025_06_18, LISTS, 5, None).unwrap()
    }

    fn principal(name: &str) -> Principal {
        let id = Actor::of("key", name);
        Principal {
            actor: id.clone(),
            id,
            permissions: Arc::default(),
            expires_at: None,
        }
    }

    #[test]
    fn a_session_belongs_to_who_began_it() {
        let (ada, bob) = (principal("lovelace"), principal("bob"));
        let id = SessionId::new(Revision::V2025_06_18, LISTS, 5, Some(&ada)).unwrap();
        let read: SessionId = id.as_str().parse().unwrap();
        assert!(read.belongs_to(Some(&ada)));
        assert!(!read.belongs_to(Some(&bob)) && !read.belongs_to(None));
        assert!(!self::id().belongs_to(Some(&ada)) && self::id().belongs_to(None));
        assert!(!id.as_str().contains("lovelace"));
    }

    #[test]
    fn an_id_says_all_that_there_is_to_know() {
        let id = id();
        let read: SessionId = id.as_str().parse().unwrap();
        assert_eq!(read, id);
        assert_eq!(
            (read.revision(), read.lists(), read.abilities()),
            (Revision::V2025_06_18, LISTS, 5)
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
            &id().as_str().to_uppercase()[..id().as_str().len() - 1],
        ] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
    }

    /// What another node says.
    #[derive(Debug, Default)]
    struct Elsewhere {
        ended: Mutex<HashSet<SessionKey>>,
        asked: Mutex<usize>,
        broken: Mutex<bool>,
    }

    #[async_trait]
    impl shared::Sessions for Elsewhere {
        async fn end(&self, session: &SessionKey, _: Duration) -> Result<()> {
            self.ended.lock().unwrap().insert(*session);
            Ok(())
        }

        async fn has_ended(&self, session: &SessionKey) -> Result<bool> {
            *self.asked.lock().unwrap() += 1;
            if *self.broken.lock().unwrap() {
                return Err(Error::new(ErrorKind::Unavailable, "it is away"));
            }
            Ok(self.ended.lock().unwrap().contains(session))
        }
    }

    fn two_nodes() -> (Arc<Sessions>, Arc<Sessions>, Arc<Elsewhere>) {
        let shared = Arc::new(Elsewhere::default());
        let node = || Arc::new(Sessions::new(10, Some(shared.clone())));
        (node(), node(), shared)
    }

    #[tokio::test]
    async fn the_newest_ended_sessions_are_remembered() {
        let sessions = Sessions::new(2, None);
        let keys = [id().key(), id().key(), id().key()];
        for key in keys {
            sessions.end(key, Duration::ZERO).await;
            sessions.end(key, Duration::ZERO).await;
        }
        let ended = keys.map(|key| sessions.has_ended_here(&key));
        assert_eq!(ended, [false, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_on_another_node_is_known_within_a_second() {
        let (here, there, shared) = two_nodes();
        let key = id().key();
        for _ in 0..100 {
            assert!(!here.has_ended(&key).await);
        }
        assert_eq!(*shared.asked.lock().unwrap(), 1);
        there.end(key, Duration::from_secs(60)).await;
        sleep(TRUSTED).await;
        assert!(here.has_ended(&key).await);
    }

    #[tokio::test]
    async fn whoever_missed_something_asks_at_once() {
        let (here, there, _) = two_nodes();
        let key = id().key();
        assert!(!here.has_ended(&key).await);
        there.end(key, Duration::from_secs(60)).await;
        here.doubt();
        assert!(here.has_ended(&key).await);
    }

    #[tokio::test]
    async fn sessions_go_on_while_other_nodes_cannot_be_asked() {
        let (here, _, shared) = two_nodes();
        let (alive, ended) = (id().key(), id().key());
        here.end(ended, Duration::from_secs(60)).await;
        *shared.broken.lock().unwrap() = true;
        assert!(!here.has_ended(&alive).await && here.has_ended(&ended).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_hears_of_an_end_here_at_once_and_elsewhere_in_time() {
        let (here, there, _) = two_nodes();
        for (node, limit) in [(&here, Duration::ZERO), (&there, ASKED_AGAIN)] {
            let key = id().key();
            let stream = SessionStream::open(&here, key);
            let begun = Instant::now();
            let ended = tokio::spawn(async move { stream.ended().await });
            tokio::task::yield_now().await;
            node.end(key, Duration::from_secs(60)).await;
            ended.await.unwrap();
            assert!(begun.elapsed() <= limit);
        }
    }

    #[test]
    fn messages_go_to_the_newest_open_stream() {
        let sessions = Arc::new(Sessions::new(2, None));
        let key = id().key();
        let first = SessionStream::open(&sessions, key);
        let second = SessionStream::open(&sessions, key);
        assert!(!first.is_newest() && second.is_newest());
        drop(second);
        assert!(first.is_newest());
        drop(first);
        assert!(sessions.state().streams.is_empty());
    }
}
