//! The replicas of one server, and where among them a request goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcphub_core::event::Circuit;
use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use moka::sync::Cache;
use tokio::time::Instant;

use super::choice::{Draw, Seen, Tried, bit, choose};
use super::pace::Pace;
use super::standing::Standing;
use crate::guard::{Guard, Permit, is_failure};
use crate::members::{Members, string};
use crate::upstream::{Exchange, Forward, Said, Upstream};

/// The most sessions, tasks and questions whose replica is remembered; those that were not used for
/// longest are forgotten.
const MAX_KEPT: u64 = 32_768;

/// How long one is remembered that is not used.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// The methods of tasks.
const TASKS: &str = "tasks/";

/// One address of a server.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) guard: Arc<Guard>,
    pub(super) standing: Standing,
    pub(super) weight: Option<u8>,
    pub(super) near: bool,
}

#[derive(Debug)]
pub(super) struct Fleet {
    server: ServerName,
    members: Vec<Member>,
    turn: AtomicU32,
    /// Where sessions, tasks and questions are.
    kept: Cache<SessionKey, usize>,
    pub(super) pace: Option<Pace>,
    /// How long a request may look for a replica.
    limit: Duration,
}

/// A request at a replica.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) exchange: Box<dyn Exchange>,
    /// Until it was answered.
    permit: Option<Permit<Arc<Guard>>>,
    at: usize,
}

/// Where a request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// To the replica that has its task, or that asked what it answers.
    Only(usize),
    /// To the one that has its session, while that is well.
    Rather(usize),
    Any,
}

impl Member {
    pub(super) fn is_well(&self) -> bool {
        !self.standing.is_lost() && self.guard.circuit().0 != Circuit::Open
    }
}

impl Placed {
    /// The replica did its part. After its last word the request is not one that it is at.
    pub(super) fn answered(&mut self, said: &Said) {
        if let Some(permit) = &mut self.permit {
            permit.answered();
        }
        if matches!(said, Said::Result(_) | Said::Failure(_)) {
            self.permit = None;
        }
    }

    /// The replica did not answer.
    pub(super) fn failed(&mut self, error: &Error) {
        if let Some(mut permit) = self.permit.take() {
            permit.refused(error);
        }
    }
}

impl Fleet {
    pub(super) fn new(
        server: ServerName,
        members: Vec<Member>,
        pace: Option<Pace>,
        limit: Duration,
    ) -> Self {
        Self {
            server,
            members,
            turn: AtomicU32::new(0),
            kept: Cache::builder()
                .max_capacity(MAX_KEPT)
                .time_to_idle(IDLE)
                .build(),
            pace,
            limit,
        }
    }

    pub(super) fn server(&self) -> &ServerName {
        &self.server
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Opens a request at a replica that it was not sent to yet, and at the next one where that may
    /// be: nothing was sent, or it may be sent twice.
    ///
    /// # Errors
    /// Those of the last replica; `Unavailable` when none is left.
    pub(super) async fn place(
        &self,
        forward: &Arc<Forward>,
        draw: Draw,
        tried: &mut Tried,
    ) -> Result<Placed> {
        let begun = Instant::now();
        let mut why = None;
        while begun.elapsed() < self.limit {
            let Some((at, member)) = self.next(forward, draw, *tried) else {
                break;
            };
            *tried |= bit(at);
            let mut permit = match Guard::admit(Arc::clone(&member.guard)) {
                Ok(permit) => permit,
                Err(refused) => {
                    why.get_or_insert_with(|| refused.error());
                    continue;
                }
            };
            let Some(relay) = member.upstream.relay() else {
                return Err(Error::internal("a replica takes no whole requests"));
            };
            let error = match relay.ready(forward).await {
                Ok(()) => match relay.open(Arc::clone(forward)).await {
                    Ok(exchange) => {
                        self.place_session(forward, at);
                        return Ok(Placed {
                            exchange,
                            permit: Some(permit),
                            at,
                        });
                    }
                    Err(error) if !may_go_on(forward, &error) => {
                        permit.refused(&error);
                        return Err(error);
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            permit.refused(&error);
            if !is_failure(&error) {
                return Err(error);
            }
            tracing::debug!(server = %self.server, replica = at, error = %error.report(), "a request goes to another replica");
            why = Some(error);
        }
        Err(why.unwrap_or_else(|| {
            Error::new(ErrorKind::Unavailable, "no replica of the server is left")
        }))
    }

    /// What a replica said says where later requests belong.
    pub(super) fn heard(&self, forward: &Forward, placed: &Placed, said: &Said) {
        self.keep_session(forward, placed.at);
        let Said::Result(result) = said else { return };
        let text = result.get();
        // Nearly no result has either; both are in its first level.
        let has = [r#""taskId""#, r#""requestState""#].map(|name| text.contains(name));
        if has == [false, false] {
            return;
        }
        let Ok(members) = Members::read(text) else {
            return;
        };
        let task = members.get("task").unwrap_or(result);
        let task = Members::read(task.get()).ok();
        let task = task.and_then(|task| string(task.get("taskId")?).map(|id| key_of_task(&id)));
        let state = members.get("requestState").and_then(string);
        let state = state.map(|state| key_of_state(&state));
        for key in [task, state].into_iter().flatten() {
            self.kept.insert(key, placed.at);
        }
    }

    /// Whether a request is for a task that nobody knows the replica of: then each is asked.
    pub(super) fn seeks(&self, forward: &Forward) -> bool {
        forward.method.starts_with(TASKS) && !matches!(self.home(forward), Home::Only(_))
    }

    pub(super) fn forget(&self, session: SessionKey) {
        self.kept.invalidate(&session);
        for member in &self.members {
            if let Some(relay) = member.upstream.relay() {
                relay.forget(session);
            }
        }
    }

    /// The replica that a request goes to next.
    pub(super) fn next(
        &self,
        forward: &Forward,
        draw: Draw,
        tried: Tried,
    ) -> Option<(usize, &Member)> {
        let member = |at: usize| self.members.get(at).map(|member| (at, member));
        match self.home(forward) {
            Home::Only(at) => return member(at).filter(|_| tried & bit(at) == 0),
            Home::Rather(at) if tried & bit(at) == 0 => {
                if let Some((at, found)) = member(at).filter(|(_, member)| member.is_well()) {
                    return Some((at, found));
                }
            }
            Home::Rather(_) | Home::Any => {}
        }
        let seen: Vec<Seen> = self.members.iter().map(seen).collect();
        choose(&seen, tried, draw).and_then(member)
    }

    fn home(&self, forward: &Forward) -> Home {
        if forward.method.starts_with(TASKS)
            && let Some(at) = forward
                .name
                .as_deref()
                .and_then(|id| self.kept.get(&key_of_task(id)))
        {
            return Home::Only(at);
        }
        if forward.params.contains(r#""requestState""#) {
            let params = format!("{{{}}}", forward.params);
            let members = Members::read(&params).ok();
            let state = members.and_then(|members| string(members.get("requestState")?));
            if let Some(at) = state.and_then(|state| self.kept.get(&key_of_state(&state))) {
                return Home::Only(at);
            }
        }
        let session = forward.session.and_then(|session| self.kept.get(&session));
        session.map_or(Home::Any, Home::Rather)
    }

    /// The same for a session each time, at each node. Without one a sequence that gives every
    /// percentage its part also of few requests.
    pub(super) fn draw(&self, forward: &Forward) -> Draw {
        // 2^32 divided by the golden ratio, and odd.
        const STEP: u32 = 0x9E37_79B9;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let drawn = match &forward.session {
            Some(session) => {
                let [a, b, c, d, ..] = *session.as_bytes();
                u32::from_be_bytes([a, b, c, d])
            }
            None => turn.wrapping_mul(STEP),
        };
        let percent = (u64::from(drawn) * 100) >> 32;
        Draw {
            percent: u8::try_from(percent).unwrap_or(99),
            turn: turn as usize,
        }
    }

    /// A session begins where its first request goes. Where it goes on, the replica that answers says.
    fn place_session(&self, forward: &Forward, at: usize) {
        if let Some(session) = forward.session {
            self.kept.get_with(session, || at);
        }
    }

    fn keep_session(&self, forward: &Forward, at: usize) {
        if let Some(session) = forward.session
            && self.kept.get(&session) != Some(at)
        {
            self.kept.insert(session, at);
        }
    }
}

fn seen(member: &Member) -> Seen {
    Seen {
        weight: member.weight,
        near: member.near,
        well: member.is_well(),
        running: member.guard.running(),
    }
}

/// Whether a request that came to nothing may be sent to another replica: it was not sent, or may be
/// sent twice. After a time-out nobody waits for more.
pub(super) fn may_go_on(forward: &Forward, error: &Error) -> bool {
    let unsent = error.kind() == ErrorKind::Unavailable;
    let repeatable = forward.repeatable && error.kind() != ErrorKind::Timeout;
    is_failure(error) && (unsent || repeatable)
}

/// Ids of tasks and states are anything: their keys are none of a session.
fn key_of_task(id: &str) -> SessionKey {
    SessionKey::of(&format!("task\n{id}"))
}

fn key_of_state(state: &str) -> SessionKey {
    SessionKey::of(&format!("state\n{state}"))
}
