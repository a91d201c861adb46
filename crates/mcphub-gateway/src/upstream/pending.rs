//! The requests on one connection that have no answer yet, and which of them a message is about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::failed::Failed;
use super::{Failure, Said};

/// Why a message cannot be sent.
pub(super) const GONE: &str = "the MCP server takes no messages any more";

/// What a server answers to a request.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// How many messages about one request wait for whoever made it. Of more, notifications are lost and
/// requests refused.
const WAITING: usize = 64;

/// How many bytes of such messages one connection holds, together.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// How long a request that was given up may still be what a server asks about.
const LINGER: Duration = Duration::from_secs(10);

/// What is on its way on one connection.
#[derive(Debug)]
pub(super) struct Pending {
    requests: HashMap<u64, Request>,
    /// Requests that nobody waits for any more, though their server may not know yet.
    given_up: HashMap<u64, (Instant, Option<SessionKey>)>,
    room: Arc<Semaphore>,
    /// Why there is no connection any more.
    closed: Option<Failed>,
}

#[derive(Debug)]
struct Request {
    answer: oneshot::Sender<Answer>,
    /// Of a request whose caller hears what is said before the answer.
    caller: Option<Caller>,
}

#[derive(Debug)]
struct Caller {
    session: Option<SessionKey>,
    said: mpsc::Sender<Heard>,
}

/// A message that waits to be read, and the room that it takes.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) said: Said,
    _room: OwnedSemaphorePermit,
}

/// Where what is said about a request arrives.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) said: mpsc::Receiver<Heard>,
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            requests: HashMap::new(),
            given_up: HashMap::new(),
            room: Arc::new(Semaphore::new(WAITING_BYTES)),
            closed: None,
        }
    }
}

impl Pending {
    /// Expects the answer of a request.
    ///
    /// # Errors
    /// `Unavailable` when the connection is closed or has `limit` requests already.
    pub(super) fn expect(&mut self, id: u64, limit: usize) -> Result<oneshot::Receiver<Answer>> {
        let (sender, answer) = oneshot::channel();
        self.add(id, limit, sender, None)?;
        Ok(answer)
    }

    /// Expects the answer of a request, and what is said before it to a caller with this session.
    ///
    /// # Errors
    /// As [`Pending::expect`].
    pub(super) fn converse(
        &mut self,
        id: u64,
        limit: usize,
        session: Option<SessionKey>,
    ) -> Result<Inbox> {
        let (sender, answer) = oneshot::channel();
        let (tell, said) = mpsc::channel(WAITING);
        let caller = Caller {
            session,
            said: tell,
        };
        self.add(id, limit, sender, Some(caller))?;
        Ok(Inbox { said, answer })
    }

    fn add(
        &mut self,
        id: u64,
        limit: usize,
        answer: oneshot::Sender<Answer>,
        caller: Option<Caller>,
    ) -> Result<()> {
        if self.closed.is_some() {
            return Err(self.end());
        }
        if self.requests.len() >= limit {
            let message = "the MCP server has too many requests already";
            return Err(Error::new(ErrorKind::Unavailable, message).with("limit", limit));
        }
        self.requests.insert(id, Request { answer, caller });
        Ok(())
    }

    /// Nobody waits for this answer any more. Whether it was waited for until now.
    pub(super) fn give_up(&mut self, id: u64) -> bool {
        let Some(request) = self.requests.remove(&id) else {
            return false;
        };
        if let Some(caller) = request.caller {
            let now = Instant::now();
            self.given_up.retain(|_, (until, _)| now < *until);
            self.given_up.insert(id, (now + LINGER, caller.session));
        }
        true
    }

    /// Takes an answer. One that nobody waits for is nobody's.
    pub(super) fn answered(&mut self, id: u64, answer: Answer) {
        self.given_up.remove(&id);
        if let Some(request) = self.requests.remove(&id) {
            // Fails when whoever asked has gone.
            let _ = request.answer.send(answer);
        }
    }

    /// Tells a caller what is said about its request. Whether it hears it.
    pub(super) fn tell(&self, id: u64, said: Said, bytes: usize) -> bool {
        let caller = self.requests.get(&id).and_then(|it| it.caller.as_ref());
        caller.is_some_and(|caller| self.say(caller, said, bytes))
    }

    /// Tells the caller whom a message is for that names no request: all the callers there can be
    /// are of one session, or there is one. Whether it hears it. What is said to one is never said
    /// to another, so of several nobody is told.
    pub(super) fn tell_only(&self, said: Said, bytes: usize) -> bool {
        let callers = self.requests.iter();
        let callers = callers.filter_map(|(id, request)| Some((id, request.caller.as_ref()?)));
        let Some((_, newest)) = callers.clone().max_by_key(|(id, _)| **id) else {
            return false;
        };
        let now = Instant::now();
        let gone = self.given_up.values();
        let gone = gone.filter_map(|(until, session)| (now < *until).then_some(session));
        let mut sessions = callers.map(|(_, caller)| &caller.session).chain(gone);
        let only = match newest.session {
            Some(_) => sessions.all(|session| *session == newest.session),
            None => sessions.count() == 1,
        };
        only && self.say(newest, said, bytes)
    }

    fn say(&self, caller: &Caller, said: Said, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes.clamp(1, WAITING_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let Ok(room) = room else { return false };
        caller.said.try_send(Heard { said, _room: room }).is_ok()
    }

    /// Nobody waits for an answer that cannot come.
    pub(super) fn close(&mut self, why: Failed) {
        self.closed = Some(why);
        self.requests.clear();
    }

    /// Why the connection is closed, if it is.
    pub(super) fn closed(&self) -> Option<&Failed> {
        self.closed.as_ref()
    }

    /// The error for a connection that is closed.
    pub(super) fn end(&self) -> Error {
        match &self.closed {
            Some(why) => why.error(None),
            None => Error::new(ErrorKind::Unavailable, GONE),
        }
    }
}

/// What is said before an answer.
pub(super) fn notification(method: &str, params: Box<RawValue>) -> Said {
    Said::Notification {
        method: method.to_owned(),
        params,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::message::empty;

    fn hear(inbox: &mut Inbox) -> Option<String> {
        match inbox.said.try_recv().ok()?.said {
            Said::Notification { method, .. } => Some(method),
            other => panic!("{other:?}"),
        }
    }

    fn tell_only(pending: &Pending, text: &str) -> bool {
        pending.tell_only(notification(text, empty()), 1)
    }

    #[tokio::test(start_paused = true)]
    async fn what_names_no_request_is_told_where_there_is_no_doubt() {
        let mut pending = Pending::default();
        let (a, b) = (Some(SessionKey::of("a")), Some(SessionKey::of("b")));
        assert!(!tell_only(&pending, "to nobody"));
        let _list = pending.expect(1, 9).unwrap();
        assert!(!tell_only(&pending, "nor to who does not listen"));
        let mut first = pending.converse(2, 9, a).unwrap();
        assert!(tell_only(&pending, "one"));
        let mut second = pending.converse(3, 9, a).unwrap();
        assert!(tell_only(&pending, "two"));
        let other = pending.converse(4, 9, b).unwrap();
        assert!(!tell_only(&pending, "three"));
        assert!(pending.tell(2, notification("four", empty()), 1));
        drop(other);
        assert!(pending.give_up(4) && !pending.give_up(4));
        assert!(!tell_only(&pending, "about the one that was given up?"));
        tokio::time::advance(LINGER).await;
        assert!(tell_only(&pending, "five"));
        let heard = |inbox: &mut Inbox| std::iter::from_fn(|| hear(inbox)).collect::<Vec<_>>();
        assert_eq!(heard(&mut first), ["one", "four"]);
        assert_eq!(heard(&mut second), ["two", "five"]);
    }

    #[tokio::test]
    async fn callers_without_a_session_are_others_to_each_other() {
        let mut pending = Pending::default();
        let _first = pending.converse(1, 9, None).unwrap();
        assert!(tell_only(&pending, "one"));
        let _second = pending.converse(2, 9, None).unwrap();
        assert!(!tell_only(&pending, "two"));
        pending.give_up(2);
        assert!(!tell_only(&pending, "three"));
        pending.answered(2, Ok(empty()));
        assert!(tell_only(&pending, "four"));
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_number_and_in_bytes() {
        let mut pending = Pending::default();
        let mut inbox = pending.converse(1, 2, None).unwrap();
        for _ in 0..WAITING {
            assert!(tell_only(&pending, "x"));
        }
        assert!(!tell_only(&pending, "x"));
        while hear(&mut inbox).is_some() {}
        let large = || pending.tell(1, notification("x", empty()), WAITING_BYTES * 2);
        assert!(large() && !large());
        assert!(hear(&mut inbox).is_some() && large());
        assert!(pending.expect(2, 2).is_ok() && pending.expect(3, 2).is_err());
    }
}
