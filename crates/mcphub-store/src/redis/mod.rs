//! Redis, or a server that speaks its protocol: state that nodes share, nothing that has to last.
//!
//! Every step is one command or one script over one key, and every key begins with
//! [`SharedSettings::prefix`](crate::SharedSettings::prefix) and a colon:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `PREFIX:limit:DIGEST` | string | when the burst of a key is whole again, in µs |
//! | `PREFIX:ended:DIGEST` | string | a session that was ended |
//! | `PREFIX:lease:DIGEST` | hash | `token` of the newest lease, and `until` when it lasts, in µs |
//! | `PREFIX:events:DIGEST` | channel | [events](mcphub_core::event::Event) as JSON |
//!
//! All keys expire. Time is that of the server. What a server loses that is restarted or emptied:
//! rates begin anew, sessions that were ended on another node can go on until they end by
//! themselves, and leases are free.

mod event;
mod lease;
mod limit;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcphub_core::shared::Shared;
use mcphub_core::{Error, ErrorKind, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, RedisError, Script, ScriptInvocation};

use self::event::RedisLine;
use self::lease::RedisLeases;
use self::limit::RedisRateLimiter;
use self::session::RedisSessions;
use crate::SharedSettings;
use crate::digest::Digested;
use crate::fallback::FallbackRateLimiter;
use crate::reach::Reach;
use crate::relay::Relay;

/// How long the first connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to the server of a `redis:`, `rediss:` or `redis+unix:` URL.
///
/// One connection carries all calls and another one listens. Both are made again when they break.
/// Rates are counted by this node alone while the server is away.
///
/// # Errors
/// `InvalidInput` for a URL that cannot be read, `PermissionDenied` when the server refuses the
/// password, `Unavailable` or `Timeout` when it cannot be reached within 5 s.
pub async fn shared(settings: &SharedSettings) -> Result<Shared> {
    let server = Arc::new(Server::connect(settings).await?);
    let line = Arc::new(RedisLine::new(server.clone()));
    Ok(Shared::new(
        Arc::new(Relay::connect(line).await?),
        Arc::new(FallbackRateLimiter::new(Arc::new(RedisRateLimiter::new(
            server.clone(),
        )))),
        Arc::new(RedisSessions::new(server.clone())),
        Arc::new(RedisLeases::new(server)),
    ))
}

/// A connection that all clones share, and what keys begin with.
struct Server {
    client: Client,
    connection: ConnectionManager,
    reach: Reach,
    prefix: String,
    tenant: String,
}

impl Server {
    async fn connect(settings: &SharedSettings) -> Result<Self> {
        const OPERATION: &str = "shared::connect";
        let client = Client::open(settings.url.as_str());
        let client = client.map_err(|error| malformed().caused_by(error))?;
        // Calls have their own bound, in which one attempt to connect has to fit.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500))
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout));
        let connecting = client.get_connection_manager_with_config(config);
        let connection = tokio::time::timeout(CONNECT, connecting)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "Redis cannot be connected to in time"))
            .and_then(|connected| connected.map_err(failure))
            .map_err(|error| error.during(OPERATION))?;
        Ok(Self {
            client,
            connection,
            reach: Reach::new("Redis", settings.timeout),
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

    /// Runs a script, which the server gets once and again after it was emptied.
    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &Script,
        prepare: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T> {
        let mut connection = self.connection.clone();
        let mut invocation = script.prepare_invoke();
        prepare(&mut invocation);
        let work = async {
            invocation
                .invoke_async(&mut connection)
                .await
                .map_err(failure)
        };
        self.reach.call(operation, work).await
    }

    /// Runs one command.
    async fn command<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &redis::Cmd,
    ) -> Result<T> {
        let mut connection = self.connection.clone();
        let work = async { command.query_async(&mut connection).await.map_err(failure) };
        self.reach.call(operation, work).await
    }
}

fn malformed() -> Error {
    let message =
        "the URL of the shared state cannot be read; write redis://:PASSWORD@HOST:PORT/DB";
    Error::invalid(message).during("shared::connect")
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client holds the password.
        f.debug_struct("Server")
            .field("prefix", &self.prefix)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

/// An error of the client, told apart as a caller needs it.
fn failure(error: RedisError) -> Error {
    use redis::{ErrorKind as Kind, ServerErrorKind as Answer};
    let (kind, message) = match error.kind() {
        _ if error.is_timeout() => (ErrorKind::Timeout, "Redis did not answer in time"),
        Kind::AuthenticationFailed => (ErrorKind::PermissionDenied, "Redis refuses the password"),
        // A client's errors are those of a connection that is being made again.
        Kind::Io | Kind::Client => (ErrorKind::Unavailable, "Redis cannot be reached"),
        Kind::Server(
            Answer::BusyLoading | Answer::MasterDown | Answer::ReadOnly | Answer::TryAgain,
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
