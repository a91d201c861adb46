//! One server at several addresses.
//!
//! | file | has |
//! |---|---|
//! | `choice` | which replica a request goes to, a pure function |
//! | `fleet` | the replicas with what is known of them, and which of them has a session or a task |
//! | `exchange` | a request that goes to another replica, or to a second one |
//! | `pace` | when it goes to a second one |
//! | `standing` | active checks |

mod choice;
mod exchange;
mod fleet;
mod pace;
mod standing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::Arguments;
use mcphub_core::connection::Hedge;
use mcphub_core::event::Circuit;
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::time::timeout;

use self::choice::Tried;
use self::exchange::ReplicaExchange;
use self::fleet::{Fleet, Member};
use self::pace::Pace;
pub use self::standing::CheckSettings;
use super::{CallResult, Exchange, Forward, Inventory, Relay, Said, Upstream, UpstreamTool};
use crate::guard::{Guard, GuardSettings, is_failure};
use crate::members::quoted;
use crate::roster::Watcher;

/// How long a replica may take to list, before another one is asked.
const LISTING: Duration = Duration::from_secs(4);

/// A server at several addresses.
///
/// # Behavior
/// - A request goes to the replica that is at the fewest; a percentage of sessions, and of requests
///   outside of sessions, goes to replicas with a weight.
/// - What belongs to a session stays where the session is while that replica is well. A task, and the
///   answer to a question, go where they came from and nowhere else. A task of which nobody knows
///   that is looked for at each.
/// - Each replica has a circuit breaker, a bulkhead and active checks of its own.
/// - A request goes to another replica where it was not sent, or may be sent twice, and nothing of
///   its answer was passed on.
/// - Lists are those of a replica without a weight while one of these answers.
pub struct Replicas {
    fleet: Arc<Fleet>,
    _checks: Option<Watcher>,
}

/// What there is to say of an address of a server.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) weight: Option<u8>,
    pub(crate) near: bool,
}

/// Limits of a server at several addresses.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaSettings {
    pub(crate) guard: GuardSettings,
    pub(crate) checks: CheckSettings,
    pub(crate) hedge: Option<Hedge>,
    /// How long a request may look for a replica.
    pub(crate) limit: Duration,
}

/// One replica, for a person. They are in the order of registration, the server's URL first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReplicaHealth {
    /// Whether it answers its checks.
    pub answers: bool,
    /// Whether it is called, by how its calls went.
    pub circuit: Circuit,
    /// How many requests it is at.
    pub running: usize,
}

impl ReplicaHealth {
    /// Whether nothing is known to be wrong with it.
    pub fn is_well(&self) -> bool {
        self.answers && self.circuit == Circuit::Closed
    }
}

impl Replicas {
    /// These replicas of a server, at most 16. Within a runtime they are checked from now on.
    pub(crate) fn new(
        server: &ServerName,
        replicas: Vec<Replica>,
        settings: &ReplicaSettings,
    ) -> Self {
        let member = |(at, replica): (usize, Replica)| Member {
            upstream: replica.upstream,
            guard: Arc::new(Guard::of_replica(server.clone(), at, &settings.guard)),
            standing: Default::default(),
            weight: replica.weight,
            near: replica.near,
        };
        let fleet = Arc::new(Fleet::new(
            server.clone(),
            replicas.into_iter().enumerate().map(member).collect(),
            settings.hedge.map(Pace::new),
            settings.limit,
        ));
        let checks = standing::check(Arc::downgrade(&fleet), settings.checks);
        let runtime = tokio::runtime::Handle::try_current().ok();
        Self {
            fleet,
            _checks: runtime.map(|runtime| Watcher(runtime.spawn(checks))),
        }
    }

    /// All that are to be asked for what they list, the best first.
    fn by_preference(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.fleet.members().iter().collect();
        members.sort_by_key(|it| (!it.is_well(), it.weight.is_some(), !it.near));
        members
    }
}

#[async_trait]
impl Upstream for Replicas {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.inventory().await.map(|inventory| inventory.tools)
    }

    async fn inventory(&self) -> Result<Inventory> {
        let mut why = None;
        for member in self.by_preference() {
            let listed = timeout(LISTING, member.upstream.inventory()).await;
            let listed = listed.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Timeout,
                    "the replica did not list its tools in time",
                ))
            });
            member.guard.listed(listed.as_ref().map(drop));
            match listed {
                Ok(inventory) => return Ok(inventory),
                Err(error) if !is_failure(&error) => return Err(error),
                Err(error) => why = Some(error),
            }
        }
        Err(why.unwrap_or_else(|| Error::internal("a server has no replica")))
    }

    fn relay(&self) -> Option<&dyn Relay> {
        Some(self)
    }

    fn replicas(&self) -> Vec<ReplicaHealth> {
        let members = self.fleet.members().iter();
        let health = members.map(|member| ReplicaHealth {
            answers: !member.standing.is_lost(),
            circuit: member.guard.circuit().0,
            running: member.guard.running(),
        });
        health.collect()
    }

    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let (name, arguments) = (quoted(tool), super::one_line(arguments.text()));
        let forward = Forward {
            method: "tools/call".to_owned(),
            name: Some(tool.to_owned()),
            params: format!(r#""name":{name},"arguments":{arguments}"#),
            ..Forward::default()
        };
        let mut exchange = self.open(Arc::new(forward)).await?;
        loop {
            match exchange.next().await? {
                Said::Result(result) => return Ok(result.into()),
                Said::Failure(failure) => {
                    return Err(super::message::refused("tools/call", &failure));
                }
                Said::Notification { .. } | Said::Request { .. } => {}
            }
        }
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let all = self.fleet.members().iter();
        stream::select_all(all.map(|member| member.upstream.changes())).boxed()
    }

    /// All have the same.
    fn take_logins(&self, credentials: &Credentials) -> bool {
        let first = self.fleet.members().first();
        first.is_some_and(|member| member.upstream.take_logins(credentials))
    }

    async fn close(&self) {
        let all = self.fleet.members().iter();
        futures::future::join_all(all.map(|member| member.upstream.close())).await;
    }
}

#[async_trait]
impl Relay for Replicas {
    async fn open(&self, request: Arc<Forward>) -> Result<Box<dyn Exchange>> {
        let exchange = ReplicaExchange::open(Arc::clone(&self.fleet), request).await?;
        Ok(Box::new(exchange))
    }

    /// All have the same.
    fn limit(&self) -> Option<Duration> {
        self.fleet.members().first()?.upstream.relay()?.limit()
    }

    fn forget(&self, session: SessionKey) {
        self.fleet.forget(session);
    }

    /// Whichever of them tells it.
    fn updates(&self, uris: Vec<String>) -> BoxStream<'static, String> {
        let relays = self.fleet.members().iter();
        let relays = relays.filter_map(|member| member.upstream.relay());
        stream::select_all(relays.map(|relay| relay.updates(uris.clone()))).boxed()
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas")
            .field("server", self.fleet.server())
            .field("replicas", &self.replicas())
            .finish_non_exhaustive()
    }
}

/// There is a bit for each.
const _: () = assert!(mcphub_core::connection::Replica::MAX < Tried::BITS as usize);
