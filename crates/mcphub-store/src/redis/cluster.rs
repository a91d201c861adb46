//! The servers of a Redis: one, or those of a cluster, each with the keys of its slots.
//!
//! The client's own cluster connection (redis 1.8) is not used: while a server hangs, it goes on sending to
//! it although a replica has taken over.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, select_ok};
use mcphub_core::{Error, ErrorKind, Result};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::node::Node;
use super::slots::{Address, Range, Redirect, SLOTS, redirect, slot_of};
use super::{failure, malformed};
use crate::SharedSettings;

/// How long the first connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a call is sent on; slots that move do so once or twice.
const MAX_REDIRECTS: usize = 5;
/// The most servers of a cluster; the specification recommends no more.
const MAX_NODES: usize = 1000;
/// The most addresses of a URL.
const MAX_SEEDS: usize = 16;
/// How many servers are asked for the slots at once: one that hangs holds nobody up.
const ASKED_AT_ONCE: usize = 3;
/// How often a cluster is asked for its slots that nobody said anything about.
const REFRESH: Duration = Duration::from_secs(30);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Where keys are.
#[derive(Debug, Clone)]
struct Slots {
    /// In the order of their slots. Never empty.
    nodes: Vec<Arc<Node>>,
    /// For each slot an index of `nodes`, [`NOBODY`] where nobody is known; nothing for one server.
    owners: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

impl Slots {
    fn is_cluster(&self) -> bool {
        !self.owners.is_empty()
    }

    /// Whom to ask about a key. Any server of a cluster knows who knows.
    fn owner(&self, key: &str) -> Option<&Arc<Node>> {
        let known = if self.is_cluster() {
            let owner = self.owners.get(usize::from(slot_of(key)));
            owner.and_then(|owner| self.nodes.get(usize::from(*owner)))
        } else {
            None
        };
        known.or_else(|| self.nodes.first())
    }

    fn at(&self, index: u16) -> Result<Arc<Node>> {
        let node = self.nodes.get(usize::from(index));
        node.cloned().ok_or_else(nobody)
    }

    fn node(&self, address: &Address) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.address() == address)
    }
}

/// Sends commands to whoever has their key.
pub(super) struct Cluster {
    /// The servers of the URL.
    seeds: Vec<Arc<Node>>,
    /// What all connections have in common.
    info: ConnectionInfo,
    limit: Duration,
    slots: RwLock<Arc<Slots>>,
    /// Told when what is known of the slots is probably wrong.
    stale: Notify,
    turn: AtomicUsize,
}

impl Cluster {
    /// # Errors
    /// `InvalidInput` for a URL that cannot be read, otherwise those of a server, when none of
    /// those that the URL names can be reached.
    pub(super) async fn connect(settings: &SharedSettings) -> Result<Self> {
        let infos = infos(&settings.url)?;
        let info = infos.first().ok_or_else(malformed)?.clone();
        let mut seeds = Vec::new();
        for info in infos {
            let node = Node::new(info, settings.timeout);
            seeds.push(Arc::new(
                node.map_err(|error| malformed().caused_by(error))?,
            ));
        }
        let (seed, ranges) = ask(&seeds, CONNECT).await?;
        let alone = Slots {
            nodes: vec![seed],
            owners: Vec::new(),
        };
        let cluster = Self {
            seeds,
            info,
            limit: settings.timeout,
            slots: RwLock::new(Arc::new(alone)),
            stale: Notify::new(),
            turn: AtomicUsize::new(0),
        };
        cluster.learn(ranges.unwrap_or_default());
        Ok(cluster)
    }

    /// Sends a command over one key. `Err` inside is an answer that says that it cannot be done.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        deadline: Instant,
        key: &str,
        command: &Cmd,
    ) -> Result<RedisResult<Value>> {
        let slots = self.slots();
        let mut node = slots.owner(key).ok_or_else(nobody)?.clone();
        let mut asking = false;
        for _ in 0..=MAX_REDIRECTS {
            let rest = deadline.saturating_duration_since(Instant::now());
            let answer = node.send(operation, rest, command, asking).await;
            let answer = answer.inspect_err(|error| self.failed(error))?;
            let Err(error) = answer else {
                return Ok(answer);
            };
            (node, asking) = match redirect(&error, node.address()) {
                Some(Redirect::Moved(slot, address)) => (self.moved(slot, &address)?, false),
                Some(Redirect::Ask(address)) => (self.asked(&address)?, true),
                None => return Ok(Err(error)),
            };
        }
        let error = Error::new(ErrorKind::Unavailable, "Redis sends a call on and on");
        Err(error.during(operation))
    }

    /// Sends a command to any server that is there.
    pub(super) async fn send_to_any(
        &self,
        operation: &'static str,
        deadline: Instant,
        command: &Cmd,
    ) -> Result<Value> {
        let mut outcome = Err(nobody());
        for node in &self.slots().nodes {
            let rest = deadline.saturating_duration_since(Instant::now());
            outcome = node.send(operation, rest, command, false).await;
            match &outcome {
                Err(error) if error.is_retryable() && !rest.is_zero() => self.failed(error),
                _ => break,
            }
        }
        outcome?.map_err(|error| failure(error).during(operation))
    }

    /// One server after the other, as `turn` goes on.
    pub(super) fn node_in_turn(&self, turn: usize) -> Result<Arc<Node>> {
        let slots = self.slots();
        let node = slots.nodes.iter().cycle().nth(turn % MAX_NODES);
        node.cloned().ok_or_else(nobody)
    }

    /// Has the slots asked for when a server did not do its work.
    pub(super) fn failed(&self, error: &Error) {
        if error.is_retryable() && self.slots().is_cluster() {
            self.stale.notify_one();
        }
    }

    /// Keeps up with who has which slots, for as long as it is polled.
    pub(super) async fn follow(&self) {
        loop {
            let stale = self.stale.notified();
            if self.slots().is_cluster() {
                let _ = timeout(REFRESH, stale).await;
            } else {
                stale.await;
            }
            self.refresh().await;
            sleep(PAUSE).await;
        }
    }

    async fn refresh(&self) {
        let slots = self.slots();
        let unlisted = |seed: &&Arc<Node>| slots.node(seed.address()).is_none();
        let mut nodes: Vec<_> = slots.nodes.clone();
        nodes.extend(self.seeds.iter().filter(unlisted).cloned());
        // Another one each time: what one says can be older than what is known.
        let begin = self.turn.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
        nodes.rotate_left(begin);
        nodes.sort_by_key(|node| node.is_away());
        for some in nodes.chunks(ASKED_AT_ONCE) {
            match ask(some, self.limit).await {
                Ok((_, Some(ranges))) => return self.learn(ranges),
                Ok((_, None)) => {}
                Err(error) => tracing::debug!(error = %error.report(), "Redis tells no slots"),
            }
        }
    }

    /// Goes by what a server says of the slots, unless that is nothing.
    fn learn(&self, ranges: Vec<Range>) {
        self.change(|before| {
            let mut slots = Slots {
                nodes: Vec::new(),
                owners: vec![NOBODY; usize::from(SLOTS)],
            };
            for range in ranges {
                let known = before.node(&range.master).cloned();
                let Ok(index) = self.index(&mut slots, &range.master, known) else {
                    continue;
                };
                let range = usize::from(range.first)..=usize::from(range.last);
                if let Some(owners) = slots.owners.get_mut(range) {
                    owners.fill(index);
                }
            }
            if !slots.nodes.is_empty() {
                *before = slots;
            }
        });
    }

    /// Goes by what a server says of one slot, and has all asked for.
    fn moved(&self, slot: u16, address: &Address) -> Result<Arc<Node>> {
        self.stale.notify_one();
        self.change(|slots| {
            let index = self.index(slots, address, None)?;
            slots.owners.resize(usize::from(SLOTS), NOBODY);
            if let Some(owner) = slots.owners.get_mut(usize::from(slot)) {
                *owner = index;
            }
            slots.at(index)
        })
    }

    /// The server that a slot is on its way to. It may have no other.
    fn asked(&self, address: &Address) -> Result<Arc<Node>> {
        if let Some(known) = self.slots().node(address) {
            return Ok(known.clone());
        }
        self.change(|slots| {
            let index = self.index(slots, address, None)?;
            slots.at(index)
        })
    }

    /// Where in `slots` the server at this address is, which comes to them when it is not there: the
    /// `known` one, or one of the URL, with their connections, or a new one.
    fn index(&self, slots: &mut Slots, address: &Address, known: Option<Arc<Node>>) -> Result<u16> {
        let there = slots
            .nodes
            .iter()
            .position(|node| node.address() == address);
        if there.is_none() {
            if slots.nodes.len() >= MAX_NODES {
                let message = "a Redis cluster has 1000 servers at most";
                return Err(Error::new(ErrorKind::Upstream, message));
            }
            let seed = || self.seeds.iter().find(|seed| seed.address() == address);
            let node = match known.or_else(|| seed().cloned()) {
                Some(node) => node,
                None => Arc::new(Node::new(at(&self.info, address), self.limit).map_err(failure)?),
            };
            slots.nodes.push(node);
        }
        let index = there.unwrap_or(slots.nodes.len() - 1);
        u16::try_from(index).map_err(|_| nobody())
    }

    fn slots(&self) -> Arc<Slots> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Slots) -> T) -> T {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut slots))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What connections have in common is the password.
        f.debug_struct("Cluster")
            .field("nodes", &self.slots().nodes)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// What a server said about who has which slots.
type Told = (Arc<Node>, Option<Vec<Range>>);

/// Asks all of these at once which server has which slots: the first that answers.
async fn ask(nodes: &[Arc<Node>], limit: Duration) -> Result<Told> {
    let asked = nodes.iter().map(|node| -> BoxFuture<'_, Result<Told>> {
        async move { Ok((node.clone(), node.slots(limit).await?)) }.boxed()
    });
    let (answer, _) = select_ok(asked).await?;
    Ok(answer)
}

fn nobody() -> Error {
    Error::internal("there is no server of Redis")
}

/// Where the servers of a URL are: at its own address, and at those of `addr` in its query.
fn infos(url: &str) -> Result<Vec<ConnectionInfo>> {
    let mut url = redis::parse_redis_url(url).ok_or_else(malformed)?;
    let (more, rest): (Vec<_>, Vec<_>) = url
        .query_pairs()
        .into_owned()
        .partition(|(name, _)| name == "addr");
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let info = url.into_connection_info();
    let info = info.map_err(|error| malformed().caused_by(error))?;
    let nowhere = Address::new("", 0);
    let more: Option<Vec<Address>> = more
        .iter()
        .map(|(_, address)| Address::read(address, &nowhere).filter(|read| !read.host.is_empty()))
        .collect();
    let more = more.filter(|more| more.len() < MAX_SEEDS).ok_or_else(|| {
        let message = "addr is HOST:PORT of one more server of a Redis cluster, 15 times at most";
        Error::invalid(message).during("shared::connect")
    })?;
    let others: Vec<_> = more.iter().map(|address| at(&info, address)).collect();
    Ok(std::iter::once(info).chain(others).collect())
}

/// The same for another server.
fn at(info: &ConnectionInfo, address: &Address) -> ConnectionInfo {
    let Address { host, port } = address.clone();
    info.clone().set_addr(match info.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Result<Vec<String>> {
        let infos = infos(url)?;
        Ok(infos.iter().map(|info| info.addr().to_string()).collect())
    }

    #[test]
    fn a_url_may_name_several_servers() {
        let url = "redis://user:s3cret@one:7000/0?addr=two:7001&protocol=resp3&addr=[::1]:7002";
        assert_eq!(
            addresses(url).unwrap(),
            ["one:7000", "two:7001", "::1:7002"]
        );
        for info in infos(url).unwrap() {
            assert_eq!(info.redis_settings().password(), Some("s3cret"));
            assert_eq!(
                info.redis_settings().protocol(),
                redis::ProtocolVersion::RESP3
            );
        }
        let tls = infos("rediss://one?addr=two:1").unwrap();
        assert!(matches!(tls[1].addr(), ConnectionAddr::TcpTls { host, .. } if host == "two"));
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_the_password() {
        let many = format!("redis://:s3cret@one?{}", "addr=two:1&".repeat(16));
        for url in [
            "redis://:s3cret@one?addr=two",
            "redis://:s3cret@one?addr=:1",
            &many,
        ] {
            let error = addresses(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
            assert!(!error.report().contains("s3cret"), "{url}");
        }
    }
}
