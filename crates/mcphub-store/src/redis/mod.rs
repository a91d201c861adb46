//! Redis, or a server that speaks its protocol: state that nodes share, nothing that has to last.
//!
//! Every step is one command or one script over one key, so that it is one server's also in a cluster, and
//! every key begins with [`SharedSettings::prefix`](crate::SharedSettings::prefix) and a colon:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `PREFIX:limit:DIGEST` | string | when the burst of a key is whole again, in µs |
//! | `PREFIX:ended:DIGEST` | string | a session that was ended |
//! | `PREFIX:lease:DIGEST` | hash | `token` of the newest lease, and `until` when it lasts, in µs |
//! | `PREFIX:cache:DIGEST` | string | an answer that is kept |
//! | `PREFIX:events:DIGEST` | channel | [events](mcphub_core::event::Event) as JSON |
//!
//! All keys expire. Time is that of the server. What a server loses that is restarted or emptied, or whose
//! replica takes over before it had everything: rates begin anew, sessions that were ended on another
//! node can go on until they end by themselves, and leases are free.

mod cache;
mod cluster;
mod event;
mod lease;
mod limit;
mod node;
mod session;
mod slots;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcphub_core::shared::Shared;
use mcphub_core::{Error, ErrorKind, Result};
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, Value};
use tokio::task::JoinHandle;

use self::cache::RedisCache;
use self::cluster::Cluster;
use self::event::RedisLine;
use self::lease::RedisLeases;
use self::limit::RedisRateLimiter;
use self::session::RedisSessions;
use crate::SharedSettings;
use crate::digest::Digested;
use crate::fallback::FallbackRateLimiter;
use crate::relay::Relay;

/// Connects to the server of a `redis:`, `rediss:` or `redis+unix:` URL.
///
/// One connection to each server carries all calls and another one listens. They are made again when they
/// break. That the server is one of a cluster is found out by asking it; others of the cluster, to be
/// asked at the start when it is away, are `addr=HOST:PORT` in the query. A replica that takes over, and slots that move, are
/// followed.
/// Rates are counted by this node alone while the server is away.
///
/// # Errors
/// `InvalidInput` for a URL that cannot be read, `PermissionDenied` when the server refuses the
/// password, `Unavailable` or `Timeout` when it cannot be reached within 5 s.
pub async fn shared(settings: &SharedSettings) -> Result<Shared> {
    let server = Arc::new(Server::connect(settings).await?);
    let line = Arc::new(RedisLine::new(server.clone()));
    let shared = Shared::new(
        Arc::new(Relay::connect(line).await?),
        Arc::new(FallbackRateLimiter::new(Arc::new(RedisRateLimiter::new(
            server.clone(),
        )))),
        Arc::new(RedisSessions::new(server.clone())),
        Arc::new(RedisLeases::new(server.clone())),
    );
    Ok(match settings.cache {
        Some(_) => shared.with_cache(Arc::new(RedisCache::new(server))),
        None => shared,
    })
}

/// The servers, and what keys begin with.
#[derive(Debug)]
struct Server {
    cluster: Arc<Cluster>,
    follower: JoinHandle<()>,
    timeout: Duration,
    prefix: String,
    tenant: String,
}

impl Server {
    async fn connect(settings: &SharedSettings) -> Result<Self> {
        let cluster = Cluster::connect(settings).await;
        let cluster = Arc::new(cluster.map_err(|error| error.during("shared::connect"))?);
        let followed = cluster.clone();
        Ok(Self {
            cluster,
            follower: tokio::spawn(async move { followed.follow().await }),
            timeout: settings.timeout,
            prefix: settings.prefix.clone(),
            tenant: settings.tenant.clone(),
        })
    }

    /// The key of something of the tenant.
    fn key(&self, kind: &str, name: &str) -> String {
        format!(
            "{}:{kind}:{}",
            self.prefix,
            Digested::within(&self.tenant, name).hex()
        )
    }

    /// Runs a step over a key, with the arguments that are added.
    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        step: &Step,
        key: &str,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<T> {
        let deadline = self.deadline();
        let send = async |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(1).arg(key);
            arguments(&mut command);
            self.cluster.send(operation, deadline, key, &command).await
        };
        let answer = match send("EVALSHA", &step.digest).await? {
            Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript) => {
                send("EVAL", &step.text).await?
            }
            answer => answer,
        };
        read(operation, answer)
    }

    /// Runs one command over a key.
    async fn command<T: FromRedisValue>(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<T> {
        let sent = self.cluster.send(operation, self.deadline(), key, command);
        read(operation, sent.await?)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

fn read<T: FromRedisValue>(operation: &'static str, answer: RedisResult<Value>) -> Result<T> {
    let read = answer.and_then(|value| Ok(T::from_redis_value(value)?));
    read.map_err(|error| failure(error).during(operation))
}

/// A script over one key, `KEYS[1]`. Each server gets it once, and again after it was emptied.
#[derive(Debug)]
struct Step {
    text: String,
    digest: String,
}

impl Step {
    fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let digest = Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }
}

fn malformed() -> Error {
    let message =
        "the URL of the shared state cannot be read; write redis://:PASSWORD@HOST:PORT/DB";
    Error::invalid(message).during("shared::connect")
}

/// An error of the client, told apart as a caller needs it.
fn failure(error: RedisError) -> Error {
    use redis::{ErrorKind as Kind, ServerErrorKind as Answer};
    let (kind, message) = match error.kind() {
        _ if error.is_timeout() => (ErrorKind::Timeout, "Redis did not answer in time"),
        Kind::AuthenticationFailed => (ErrorKind::PermissionDenied, "Redis refuses the password"),
        // A client's errors are those of a connection that is being made again.
        Kind::Io | Kind::Client => (ErrorKind::Unavailable, "Redis cannot be reached"),
        // What a cluster says while slots move, or until a replica takes over, among them.
        Kind::Server(
            Answer::Ask
            | Answer::BusyLoading
            | Answer::ClusterDown
            | Answer::MasterDown
            | Answer::Moved
            | Answer::ReadOnly
            | Answer::TryAgain,
        ) => (ErrorKind::Unavailable, "Redis is not ready"),
        _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
            (ErrorKind::PermissionDenied, "Redis refuses this user")
        }
        _ if error.code() == Some("OOM") => (ErrorKind::Unavailable, "Redis has no memory left"),
        _ => (ErrorKind::Upstream, "Redis answered with an error"),
    };
    Error::new(kind, message).caused_by(error)
}

/// A time that keys are kept for.
fn whole_millis(time: Duration) -> Result<u64> {
    // A year, so that times stay far below 2^53 µs.
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    if time > LONGEST {
        return Err(Error::invalid("shared state is kept for a year at most"));
    }
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(millis.max(1))
}
