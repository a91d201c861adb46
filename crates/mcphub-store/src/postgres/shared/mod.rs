//! State that nodes share, on a PostgreSQL server: so that several nodes need no other one.
//!
//! `NOTIFY` carries events. Tables in the schema that the URL names hold the rest; they are
//! unlogged, so that they cost little to write, and a server that crashed has them empty. What is
//! over is removed once a minute.
//!
//! | table | holds |
//! |---|---|
//! | `shared_limits` | when the burst of a key is whole again |
//! | `shared_ended_sessions` | until when the end of a session is remembered |
//! | `shared_leases` | the newest token of each lease, and until when it lasts |
//! | `shared_cache` | answers that are kept, where that is wanted, and until when |
//!
//! All times are microseconds of the server's clock.

mod cache;
mod event;
mod lease;
mod limit;
mod session;

use std::sync::{Arc, Weak};
use std::time::Duration;

use mcphub_core::shared::{Leases, Shared};
use mcphub_core::{Error, Result};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres};
use tokio::time::sleep;

use self::cache::PostgresCache;
use self::event::PostgresLine;
use self::lease::PostgresLeases;
use self::limit::PostgresRateLimiter;
use self::session::PostgresSessions;
use super::PostgresSettings;
use crate::SharedSettings;
use crate::digest::Digested;
use crate::fallback::FallbackRateLimiter;
use crate::reach::Reach;
use crate::relay::Relay;
use crate::sql::Failure;

/// The most connections of one node, besides the one that listens.
const CONNECTIONS: u32 = 4;
/// How often what is over is removed.
const CLEANED: Duration = Duration::from_secs(60);
/// The longest that shared state is kept.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The time as all statements see it: not when the transaction began, but now.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}
use now;

/// Connects to the server of a URL as [`PostgresSettings::from_url`] reads it, and makes the tables
/// where they are missing. Its schema separates hubs; [`SharedSettings::prefix`] is not used.
///
/// Rates are counted by this node alone while the server is away.
///
/// # Errors
/// `InvalidInput` for a URL that cannot be read, `PermissionDenied` when the server refuses the
/// user, `Unavailable` or `Timeout` when it cannot be reached in its `connect_timeout`.
pub async fn shared(settings: &SharedSettings) -> Result<Shared> {
    let server = Arc::new(Server::connect(settings).await?);
    tokio::spawn(clean(Arc::downgrade(&server)));
    let line = Arc::new(PostgresLine::new(server.clone()));
    let shared = Shared::new(
        Arc::new(Relay::connect(line).await?),
        Arc::new(FallbackRateLimiter::new(Arc::new(
            PostgresRateLimiter::new(server.clone()),
        ))),
        Arc::new(PostgresSessions::new(server.clone())),
        Arc::new(PostgresLeases::new(server.clone())),
    );
    Ok(match settings.cache {
        Some(_) => shared.with_cache(Arc::new(PostgresCache::new(server))),
        None => shared,
    })
}

/// Connections that all clones share.
#[derive(Debug)]
struct Server {
    pool: PgPool,
    /// How a connection that listens is made.
    listening: PgPoolOptions,
    options: PgConnectOptions,
    schema: String,
    tenant: String,
    /// How many bytes of answers are kept, where some are.
    cache: Option<u64>,
    reach: Reach,
}

impl Server {
    async fn connect(settings: &SharedSettings) -> Result<Self> {
        let at = PostgresSettings::from_url(&settings.url)?;
        make_tables(&at, settings.cache.is_some())
            .await
            .map_err(|Failure(error)| {
                error
                    .during("shared::connect")
                    .with("server", at.location())
            })?;
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(at.connect_timeout)
                .test_before_acquire(true)
        };
        let options = at.connect_options();
        Ok(Self {
            pool: pool(CONNECTIONS).connect_lazy_with(options.clone()),
            listening: pool(1),
            options,
            schema: at.schema().to_owned(),
            tenant: settings.tenant.clone(),
            cache: settings.cache,
            reach: Reach::new("PostgreSQL", settings.timeout),
        })
    }

    /// The key of something of the tenant.
    fn key(&self, name: &str) -> Vec<u8> {
        Digested::within(&self.tenant, name).bytes()
    }

    async fn row(
        &self,
        operation: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Option<PgRow>> {
        let work = async { query.fetch_optional(&self.pool).await.map_err(failure) };
        self.reach.call(operation, work).await
    }

    async fn change(
        &self,
        operation: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<PgQueryResult> {
        let work = async { query.execute(&self.pool).await.map_err(failure) };
        self.reach.call(operation, work).await
    }
}

fn failure(error: sqlx::Error) -> Error {
    let Failure(error) = error.into();
    error
}

/// A time as the tables hold it.
fn micros(time: Duration) -> Result<i64> {
    if time > LONGEST {
        return Err(Error::invalid("shared state is kept for a year at most"));
    }
    let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Ok(micros.max(1))
}

async fn make_tables(at: &PostgresSettings, cache: bool) -> Result<(), Failure> {
    let mut connection = super::server::connect(at).await?;
    // One string is one transaction; the lock makes nodes that start together take turns. The name
    // of a schema was checked to need no quotes.
    let schema = at.schema();
    let mut statements = format!(
        "SELECT pg_advisory_xact_lock(hashtextextended('mcphub shared {schema}', 0));
         CREATE SCHEMA IF NOT EXISTS {schema};
         CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.shared_limits (
             key bytea PRIMARY KEY, due bigint NOT NULL);
         CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.shared_ended_sessions (
             key bytea PRIMARY KEY, until bigint NOT NULL);
         CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.shared_leases (
             key bytea PRIMARY KEY, token bigint NOT NULL, until bigint NOT NULL);"
    );
    if cache {
        statements.push_str(&format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.shared_cache (
                 key bytea PRIMARY KEY, value bytea NOT NULL,
                 size bigint NOT NULL, until bigint NOT NULL);
             CREATE INDEX IF NOT EXISTS shared_cache_until ON {schema}.shared_cache (until);"
        ));
    }
    let making = connection.execute(sqlx::raw_sql(AssertSqlSafe(statements)));
    super::in_time(super::server::patience(at), making).await?;
    super::server::close(connection).await;
    Ok(())
}

/// Removes what is over, for as long as the server is used. Of all nodes, one does.
async fn clean(server: Weak<Server>) {
    loop {
        sleep(CLEANED).await;
        let Some(server) = server.upgrade() else {
            return;
        };
        if let Err(error) = clean_once(&server).await {
            tracing::debug!(error = %error.report(), "shared state is cleaned later");
        }
    }
}

async fn clean_once(server: &Arc<Server>) -> Result<()> {
    const STATEMENTS: [&str; 3] = [
        concat!("DELETE FROM shared_limits WHERE due < ", now!()),
        concat!("DELETE FROM shared_ended_sessions WHERE until < ", now!()),
        // A token is remembered for a day, so that the next one is larger even if the clock is set
        // back meanwhile.
        concat!(
            "DELETE FROM shared_leases WHERE until < ",
            now!(),
            " - 86400000000"
        ),
    ];
    let leases = PostgresLeases::new(server.clone());
    // Never given back: it runs out when it is time again.
    if leases
        .acquire("clean shared state", CLEANED)
        .await?
        .is_none()
    {
        return Ok(());
    }
    for statement in STATEMENTS {
        // Not within the bound of a call: it may take its time.
        let work = sqlx::query(statement).execute(&server.pool);
        work.await.map_err(failure)?;
    }
    match server.cache {
        Some(size) => cache::clean(server, size).await,
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "it says when it does not run")]
mod tests {
    use super::*;
    use mcphub_core::shared::{Cache, CacheKey, Rate, RateLimiter, SessionKey, Sessions};

    /// A node in a schema of its own.
    async fn server() -> Option<Arc<Server>> {
        let Ok(url) = std::env::var("MCPHUB_TEST_POSTGRES") else {
            println!("NOT RUN: set MCPHUB_TEST_POSTGRES, as `scripts/test-servers.sh run` does");
            return None;
        };
        let began = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let schema = format!("clean_{:x}_{:x}", std::process::id(), began.as_micros());
        let settings = SharedSettings::new(format!("{url}?schema={schema}")).with_cache(1_000);
        Some(Arc::new(Server::connect(&settings).await.unwrap()))
    }

    async fn count(server: &Server, table: &str) -> i64 {
        let statement = format!("SELECT count(*) FROM {table}");
        let count = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&server.pool);
        count.await.unwrap()
    }

    #[tokio::test]
    async fn what_is_over_is_removed_by_one_node_and_the_rest_stays() {
        let Some(server) = server().await else { return };
        let limits = PostgresRateLimiter::new(server.clone());
        let sessions = PostgresSessions::new(server.clone());
        let (brief, slow): (Rate, Rate) = ("1000000/s".parse().unwrap(), "1/d".parse().unwrap());
        for number in 0..3 {
            limits.take(&format!("over {number}"), brief).await.unwrap();
            let session = SessionKey::of(&format!("over {number}"));
            sessions
                .end(&session, Duration::from_micros(1))
                .await
                .unwrap();
        }
        let cache = PostgresCache::new(server.clone());
        let put = async |name: &str, size: usize, keep: Duration| {
            let (key, value) = (CacheKey::of([name.as_bytes()]), vec![b'x'; size]);
            cache.put(&key, value.into(), keep).await.unwrap();
            key
        };
        put("over", 1, Duration::from_micros(1)).await;
        // Of these there is room for two, and one of them ends first.
        let first = put("first", 400, CLEANED).await;
        let others = [
            put("second", 400, CLEANED * 2).await,
            put("third", 400, CLEANED * 3).await,
        ];
        limits.take("used", slow).await.unwrap();
        sessions
            .end(&SessionKey::of("ended"), CLEANED)
            .await
            .unwrap();

        clean_once(&server).await.unwrap();
        assert_eq!(count(&server, "shared_limits").await, 1);
        assert_eq!(count(&server, "shared_ended_sessions").await, 1);
        assert_eq!(count(&server, "shared_cache").await, 2);
        assert_eq!(cache.get(&first).await.unwrap(), None);
        for other in &others {
            assert!(cache.get(other).await.unwrap().is_some());
        }

        // Another node that comes at the same time has nothing to do.
        limits.take("over", brief).await.unwrap();
        clean_once(&server).await.unwrap();
        assert_eq!(count(&server, "shared_limits").await, 2);
    }
}
