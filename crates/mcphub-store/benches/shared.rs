//! What shared state costs: each call as a multiple of the least that a caller could do, in one run.
//!
//! - in memory: a decision of the rate limiter and one of `governor`, which is for one process;
//! - in Redis: a call and a `PING` over one connection;
//! - in PostgreSQL: a call and a `SELECT 1` over a pool as large.
//!
//! `scripts/test-servers.sh run cargo bench -p mcphub-store --features redis,postgres --bench shared`

#![allow(clippy::print_stdout, missing_docs)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use futures::StreamExt;
use governor::{Quota, RateLimiter as Governor};
use mcphub_core::event::Event;
use mcphub_core::shared::{Rate, SessionKey, Shared};
use mcphub_store::memory::MemoryRateLimiter;
use mcphub_store::{SharedSettings, shared};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Runtime;

/// How often both parties take turns; the median of the ratios counts.
const ROUNDS: usize = 15;
const KEYS: usize = 10_000;

fn main() {
    memory();
    let runtime = Runtime::new().expect("a runtime");
    for variable in ["MCPHUB_TEST_REDIS", "MCPHUB_TEST_POSTGRES"] {
        match std::env::var(variable) {
            Ok(url) => runtime.block_on(server(&url)),
            Err(_) => println!("{variable} is not set: its server is not measured"),
        }
    }
}

fn memory() {
    let keys: Vec<String> = (0..KEYS)
        .map(|number| format!("client 10.0.0.{number}"))
        .collect();
    let rate: Rate = "1000000/s".parse().expect("a rate");
    let ours = MemoryRateLimiter::new();
    let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(999_999));
    let theirs = Governor::keyed(quota);
    compare(
        "memory: take / governor",
        || {
            for key in &keys {
                std::hint::black_box(ours.decide(key, rate));
            }
        },
        || {
            for key in &keys {
                let _ = std::hint::black_box(theirs.check_key(key));
            }
        },
    );
}

/// Prints the median of the ratios, and of what ours took for each key.
fn compare(name: &str, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((timed(&mut ours), timed(&mut theirs)));
    }
    report(name, KEYS, rounds);
}

fn timed(work: &mut impl FnMut()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn report(name: &str, runs: usize, mut rounds: Vec<(Duration, Duration)>) {
    let ratio = |(ours, theirs): &(Duration, Duration)| ours.as_secs_f64() / theirs.as_secs_f64();
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let median = rounds[rounds.len() / 2];
    let each = median.0 / u32::try_from(runs).unwrap_or(1);
    println!("{name}: {:.2} ({each:.1?} each)", ratio(&median));
}

async fn server(url: &str) {
    const RUNS: usize = 300;
    let node = shared(&SharedSettings::new(url))
        .await
        .expect("the server is there");
    let least = Least::connect(url).await;
    let mut events = node.events.subscribe();
    for call in [
        "take",
        "has_ended",
        "acquire and give back",
        "publish until heard",
    ] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for _ in 0..RUNS {
                one(call, &node, &mut events).await;
            }
            let ours = begun.elapsed();
            let begun = Instant::now();
            for _ in 0..RUNS {
                least.ask().await;
            }
            rounds.push((ours, begun.elapsed()));
        }
        report(
            &format!("{}: {call} / {}", least.server(), least.describe()),
            RUNS,
            rounds,
        );
    }
}

async fn one(
    call: &str,
    node: &Shared,
    events: &mut futures::stream::BoxStream<'static, mcphub_core::Result<Event>>,
) {
    match call {
        "take" => {
            let rate: Rate = "1000000/s".parse().expect("a rate");
            node.limits.take("client 10.0.0.1", rate).await.map(drop)
        }
        "has_ended" => node
            .sessions
            .has_ended(&SessionKey::of("session"))
            .await
            .map(drop),
        "publish until heard" => {
            node.events
                .publish(Event::Lagged)
                .await
                .expect("it is told");
            events.next().await.expect("the stream goes on").map(drop)
        }
        _ => {
            let lease = node.leases.acquire("work", Duration::from_secs(60)).await;
            let lease = lease.expect("an answer").expect("it is free");
            node.leases.give_back(lease).await.map(drop)
        }
    }
    .expect("an answer");
}

/// The least that a server can be asked.
enum Least {
    Redis(redis::aio::ConnectionManager),
    Postgres(sqlx::PgPool),
}

impl Least {
    async fn connect(url: &str) -> Self {
        if url.starts_with("postgres") {
            let pool = PgPoolOptions::new().max_connections(4).connect(url).await;
            return Self::Postgres(pool.expect("a pool"));
        }
        let client = redis::Client::open(url).expect("a URL");
        let connection = client.get_connection_manager().await;
        Self::Redis(connection.expect("a connection"))
    }

    fn server(&self) -> &'static str {
        match self {
            Self::Redis(_) => "Redis",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Redis(_) => "PING",
            Self::Postgres(_) => "SELECT 1",
        }
    }

    async fn ask(&self) {
        match self {
            Self::Redis(connection) => {
                let mut connection = connection.clone();
                let answer = redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await;
                answer.map(drop).expect("PONG");
            }
            Self::Postgres(pool) => {
                sqlx::query("SELECT 1")
                    .execute(pool)
                    .await
                    .map(drop)
                    .expect("a row");
            }
        }
    }
}
