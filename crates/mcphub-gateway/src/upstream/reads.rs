//! Resources of an MCP server that are kept as long as it says (MCP 2026-07-28, Caching).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::shared::cache::{MAX_KEEP, MAX_VALUE};
use mcphub_core::shared::{CacheKey, SessionKey};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    AnswerCache, CallContext, CallResult, Exchange, Forward, Inventory, Relay, ReplicaHealth,
    Response, Said, Tell, Upstream, UpstreamTool,
};
use crate::guard::Guard;
use crate::members::{Members, place, splice};
use crate::metrics::{Looked, Meter};
use crate::trace;

const READ: &str = "resources/read";

/// How long the cache is waited for in a request.
const PATIENCE: Duration = Duration::from_secs(2);

/// An MCP server whose resources are kept that it says are for everybody. A resource that it tells was
/// updated is read anew, and all are when its lists have changed.
#[derive(Debug)]
pub(crate) struct KeptReads {
    upstream: Arc<dyn Upstream>,
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    cache: AnswerCache,
    /// When the server's lists changed last, in milliseconds since 1970: what was read before is not
    /// given.
    changed: AtomicU64,
    /// How often the server told of a change: what was asked for before one is not kept after it.
    told: AtomicU64,
}

impl KeptReads {
    pub(super) fn new(upstream: Arc<dyn Upstream>, cache: AnswerCache) -> Self {
        let kept = Kept {
            cache,
            changed: AtomicU64::new(0),
            told: AtomicU64::new(0),
        };
        Self {
            upstream,
            kept: Arc::new(kept),
        }
    }

    /// What takes requests of the server. There is none only where this is none, either.
    fn inner(&self) -> Option<&dyn Relay> {
        self.upstream.relay()
    }
}

/// A resource that is read.
#[derive(Debug)]
struct Read {
    key: CacheKey,
    /// The digest of what else is said, but for the trace.
    meta: String,
}

impl Kept {
    fn key(&self, uri: &str) -> CacheKey {
        self.cache.key([&b"mcp 1"[..], uri.as_bytes()])
    }

    /// What a request reads. `None` for any other request, and for one that answers a question: its
    /// result depends on that (MCP 2026-07-28, Caching, Cache Key).
    fn read(&self, request: &Forward) -> Option<Read> {
        if request.method != READ {
            return None;
        }
        let params = format!("{{{}}}", request.params);
        let params = Members::read(&params).ok()?;
        let uri = params.string("uri").ok()??;
        if params.iter().count() != 1 {
            return None;
        }
        let meta = format!("{{{}}}", request.meta);
        let meta = Members::read(&meta).ok()?;
        let of_call = [trace::PARENT, trace::STATE, trace::BAGGAGE];
        let said = meta.iter().filter(|(name, _)| !of_call.contains(&&***name));
        let said = said.flat_map(|(name, value)| [name.as_bytes(), value.get().as_bytes()]);
        Some(Read {
            key: self.key(&uri),
            meta: CacheKey::of(said).to_string(),
        })
    }

    /// The result that is kept, with the time that is left to it.
    async fn get(&self, read: &Read) -> Option<Box<RawValue>> {
        let value = self.cache.get(&read.key, Instant::now() + PATIENCE).await?;
        let text = std::str::from_utf8(&value).ok()?;
        let (head, result) = text.split_once('\n')?;
        let mut head = head.split(' ');
        let (meta, at) = (head.next()?, head.next()?.parse::<u64>().ok()?);
        if meta != read.meta || at <= self.changed.load(Ordering::Acquire) {
            return None;
        }
        let members = Members::read(result).ok()?;
        let ttl = lifetime(&members)?;
        let left = ttl
            .checked_sub(now().saturating_sub(at))
            .filter(|left| *left > 0)?;
        let at = place(result, members.get("ttlMs")?)?;
        let result = splice(result, vec![(at, left.to_string())]);
        RawValue::from_string(result).ok()
    }

    /// Keeps a result that was asked for at `at`, unless the server told of a change since.
    async fn put(&self, read: &Read, at: u64, told: u64, result: &RawValue) {
        let Some(ttl) = Members::read(result.get()).ok().as_ref().and_then(lifetime) else {
            return;
        };
        let value = format!("{} {at}\n{}", read.meta, result.get());
        if value.len() > MAX_VALUE || self.told.load(Ordering::Acquire) != told {
            return;
        }
        let keep = Duration::from_millis(ttl).min(MAX_KEEP);
        let end = Instant::now() + PATIENCE;
        self.cache
            .put(&read.key, Bytes::from(value), keep, end)
            .await;
    }

    async fn updated(&self, uri: &str) {
        self.told.fetch_add(1, Ordering::AcqRel);
        self.cache
            .remove(&self.key(uri), Instant::now() + PATIENCE)
            .await;
    }

    fn all_changed(&self) {
        self.told.fetch_add(1, Ordering::AcqRel);
        self.changed.fetch_max(now(), Ordering::AcqRel);
    }
}

/// For how many milliseconds a result may be given to anybody; `None` where it may not.
fn lifetime(result: &Members<'_>) -> Option<u64> {
    let said = |name| result.string(name).ok().flatten();
    let complete = said("resultType").is_none_or(|kind| kind == "complete");
    let public = said("cacheScope").is_some_and(|scope| scope == "public");
    let ttl = result.get("ttlMs")?.get().parse().ok()?;
    (complete && public && ttl > 0).then_some(ttl)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Relay for KeptReads {
    async fn ready(&self, request: &Forward) -> Result<()> {
        match self.inner() {
            Some(relay) => relay.ready(request).await,
            None => Ok(()),
        }
    }

    async fn open(&self, request: Arc<Forward>) -> Result<Box<dyn Exchange>> {
        let relay = self.inner().ok_or_else(no_relay)?;
        let Some(read) = self.kept.read(&request) else {
            return relay.open(request).await;
        };
        if let Some(result) = self.kept.get(&read).await {
            self.kept.cache.count(Looked::Hit);
            return Ok(Box::new(Given(Some(result))));
        }
        self.kept.cache.count(Looked::Miss);
        let (at, told) = (now(), self.kept.told.load(Ordering::Acquire));
        let exchange = relay.open(request).await?;
        let kept = Arc::clone(&self.kept);
        Ok(Box::new(Reading {
            exchange,
            kept,
            read,
            at,
            told,
        }))
    }

    fn step_limit(&self) -> Option<Duration> {
        // Each step may wait for the cache, too.
        let limit = self.inner()?.step_limit()?;
        Some(limit + PATIENCE)
    }

    fn limit(&self) -> Option<Duration> {
        self.inner()?.limit()
    }

    fn keeps_sessions(&self) -> bool {
        self.inner().is_some_and(Relay::keeps_sessions)
    }

    fn forget(&self, session: SessionKey) {
        if let Some(relay) = self.inner() {
            relay.forget(session);
        }
    }

    fn updates(&self, uris: Vec<String>) -> BoxStream<'static, String> {
        let Some(relay) = self.inner() else {
            return futures::stream::empty().boxed();
        };
        let kept = Arc::clone(&self.kept);
        let updates = relay.updates(uris).then(move |uri| {
            let kept = Arc::clone(&kept);
            async move {
                kept.updated(&uri).await;
                uri
            }
        });
        updates.boxed()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Upstream for KeptReads {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.upstream.tools().await
    }

    async fn inventory(&self) -> Result<Inventory> {
        self.upstream.inventory().await
    }

    fn relay(&self) -> Option<&dyn Relay> {
        self.inner().map(|_| self as &dyn Relay)
    }

    fn guard(&self) -> Option<&Arc<Guard>> {
        self.upstream.guard()
    }

    fn meter(&self) -> Option<&Arc<Meter>> {
        self.upstream.meter()
    }

    async fn check(&self) -> Result<()> {
        self.upstream.check().await
    }

    fn replicas(&self) -> Vec<ReplicaHealth> {
        self.upstream.replicas()
    }

    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        self.upstream.call(tool, arguments).await
    }

    async fn call_in(
        &self,
        tool: &str,
        arguments: &Arguments<'_>,
        context: CallContext<'_>,
    ) -> Result<CallResult> {
        self.upstream.call_in(tool, arguments, context).await
    }

    fn call_limit(&self) -> Option<Duration> {
        self.upstream.call_limit()
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let kept = Arc::clone(&self.kept);
        let changes = self.upstream.changes();
        changes.inspect(move |()| kept.all_changed()).boxed()
    }

    fn take_logins(&self, credentials: &Credentials) -> bool {
        self.upstream.take_logins(credentials)
    }

    async fn close(&self) {
        self.upstream.close().await;
    }
}

fn no_relay() -> Error {
    let message = "this server takes no whole requests";
    Error::new(ErrorKind::Unsupported, message)
}

fn over() -> Error {
    Error::internal("an exchange that is over was asked for more")
}

/// A result that is there.
#[derive(Debug)]
struct Given(Option<Box<RawValue>>);

#[async_trait]
impl Exchange for Given {
    async fn next(&mut self) -> Result<Said> {
        self.0.take().map(Said::Result).ok_or_else(over)
    }

    async fn answer(&mut self, _: &RawValue, _: Response) -> Result<()> {
        Err(over())
    }
}

/// A resource that is being read, and then kept.
#[derive(Debug)]
struct Reading {
    exchange: Box<dyn Exchange>,
    kept: Arc<Kept>,
    read: Read,
    at: u64,
    told: u64,
}

#[async_trait]
impl Exchange for Reading {
    async fn next(&mut self) -> Result<Said> {
        let said = self.exchange.next().await?;
        if let Said::Result(result) = &said {
            self.kept.put(&self.read, self.at, self.told, result).await;
        }
        Ok(said)
    }

    async fn answer(&mut self, id: &RawValue, answer: Response) -> Result<()> {
        self.exchange.answer(id, answer).await
    }

    fn teller(&self) -> Option<Arc<dyn Tell>> {
        self.exchange.teller()
    }
}
