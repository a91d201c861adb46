//! What becomes of shared state when its server is killed, hangs, loses everything or its
//! connections: against real servers of its own, which `scripts/test-servers.sh` starts. They run
//! where `MCPHUB_TEST_REDIS` or `MCPHUB_TEST_POSTGRES` says that such servers are installed.
//!
//! `scripts/fault-table.py` writes what this prints into docs/reliability.md.

#![allow(clippy::print_stdout, reason = "the table of what was measured")]

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "this process keeps its own clock")]
#[path = "faults/clock.rs"]
mod clock;
#[cfg(any(feature = "postgres", feature = "redis"))]
#[allow(dead_code, reason = "nothing is cut here")]
#[path = "faults/relay.rs"]
mod relay;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcphub_core::event::Event;
use mcphub_core::server::ServerName;
use mcphub_core::shared::{CacheKey, Decision, Rate, SessionKey, Shared};
use mcphub_store::{SharedSettings, shared};
use tokio::time::{sleep, timeout};

/// How long a fault lasts.
const OUTAGE: Duration = Duration::from_secs(4);
/// The bound of a call.
const LIMIT: Duration = Duration::from_secs(1);
/// What the machine may take longer, which other tests keep busy.
const SLACK: Duration = Duration::from_secs(2);
/// How soon after a fault everything has to work again.
const RESUMED: Duration = Duration::from_secs(20);

/// How far a clock is set back.
#[cfg(target_os = "linux")]
const HOUR: Duration = Duration::from_secs(60 * 60);

/// One Redis, one PostgreSQL and a Redis cluster, gone when this is dropped.
struct Servers {
    folder: tempfile::TempDir,
    #[cfg(target_os = "linux")]
    clock: clock::Clock,
}

impl Servers {
    fn start() -> Self {
        let servers = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            #[cfg(target_os = "linux")]
            clock: clock::Clock::new(),
        };
        servers.script(&["start"]);
        servers
    }

    /// Runs the script with the folder as the second argument.
    fn script(&self, args: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test-servers.sh");
        let mut command = Command::new(script);
        command
            .arg(args[0])
            .arg(self.folder.path())
            .args(&args[1..]);
        #[cfg(target_os = "linux")]
        self.clock.given_to(&mut command);
        // What it starts goes on, and must not keep a pipe of this test open.
        let log = std::fs::File::create(self.folder.path().join("script.log")).expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let status = command.status().expect("the script is there");
        let said = || std::fs::read_to_string(self.folder.path().join("script.log"));
        assert!(status.success(), "{args:?}: {:?}", said());
    }

    fn url(&self, variable: &str) -> String {
        let env = std::fs::read_to_string(self.folder.path().join("env.sh")).expect("env.sh");
        let assignment = format!("export {variable}=");
        let url = env.lines().find_map(|line| line.strip_prefix(&assignment));
        url.expect("the script writes the variable").to_owned()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if self.folder.path().exists() {
            self.script(&["stop"]);
        }
    }
}

/// A server, and how it is broken from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redis,
    RedisCluster,
    Postgres,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Killed,
    Hangs,
    Emptied,
    Cut,
    #[cfg(target_os = "linux")]
    SetBack,
    SlotsMove,
    MasterHangs,
    MasterKilled,
}

impl Fault {
    const OF_A_CLUSTER: &[Self] = &[Self::SlotsMove, Self::MasterHangs, Self::MasterKilled];
    const OF_A_SERVER: &[Self] = &[
        Self::Killed,
        Self::Hangs,
        Self::Emptied,
        Self::Cut,
        #[cfg(target_os = "linux")]
        Self::SetBack,
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::Killed => "killed (SIGKILL), started again after 4 s",
            Self::Hangs => "stopped (SIGSTOP), goes on after 4 s",
            Self::Emptied => "loses everything that it holds",
            Self::Cut => "loses all connections",
            #[cfg(target_os = "linux")]
            Self::SetBack => "its clock is set back by an hour, and right again after 4 s",
            Self::SlotsMove => "slots in use move to another master, with a pause midway",
            Self::MasterHangs => "a master is stopped (SIGSTOP), and its replica takes over",
            Self::MasterKilled => "a master is killed (SIGKILL), and its replica takes over",
        }
    }
}

impl Kind {
    fn variable(self) -> &'static str {
        match self {
            Self::Redis => "MCPHUB_TEST_REDIS",
            Self::RedisCluster => "MCPHUB_TEST_REDIS_CLUSTER",
            Self::Postgres => "MCPHUB_TEST_POSTGRES",
        }
    }

    /// Of the server that is broken: of a cluster the first, whose replica is the fourth.
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RedisCluster => "cluster-1",
            Self::Postgres => "postgres",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::RedisCluster => "Redis cluster",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Breaks the server, and returns when it is whole again, or another should take over.
    async fn suffer(self, servers: &Servers, fault: Fault, nodes: [&Shared; 2]) {
        match fault {
            #[cfg(target_os = "linux")]
            Fault::SetBack => hold_while_set_back(&servers.clock, nodes).await,
            Fault::Killed => {
                servers.script(&["kill", self.name()]);
                sleep(OUTAGE).await;
                servers.script(&["start"]);
            }
            Fault::Hangs => {
                servers.script(&["pause", self.name()]);
                sleep(OUTAGE).await;
                servers.script(&["resume", self.name()]);
            }
            Fault::SlotsMove => move_slots(servers).await,
            Fault::MasterHangs => servers.script(&["pause", self.name()]),
            Fault::MasterKilled => {
                // It hung before, and is the replica now.
                let taken_over = async {
                    while !servers.tell(4, &["INFO", "replication"]).contains("state=online")
                        || !servers.tell(1, &["INFO", "replication"]).contains("link_status:up")
                    {
                        sleep(Duration::from_millis(50)).await;
                    }
                };
                let whole = timeout(RESUMED, taken_over).await;
                whole.expect("a replica that was a master follows the new one");
                servers.script(&["kill", "cluster-4"]);
            }
            Fault::Emptied => self.command(servers, match self {
                Self::Redis | Self::RedisCluster => &["FLUSHALL", "SYNC"],
                Self::Postgres => &[
                    "TRUNCATE mcphub.shared_limits, mcphub.shared_ended_sessions, mcphub.shared_leases, \
                     mcphub.shared_cache",
                ],
            }),
            Fault::Cut => match self {
                Self::Redis | Self::RedisCluster => {
                    self.command(servers, &["CLIENT", "KILL", "TYPE", "normal"]);
                    self.command(servers, &["CLIENT", "KILL", "TYPE", "pubsub"]);
                }
                Self::Postgres => self.command(servers, &[
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = 'mcphub'",
                ]),
            },
        }
    }

    /// Tells the server something, by its own client.
    fn command(self, servers: &Servers, words: &[&str]) {
        let url = servers.url(self.variable());
        let mut command = match self {
            Self::Redis | Self::RedisCluster => {
                let mut command = Command::new("redis-cli");
                command.args(["--no-auth-warning", "-u", &url]).args(words);
                command
            }
            Self::Postgres => {
                let mut command = Command::new("psql");
                command
                    .arg(&url)
                    .args(["-q", "-v", "ON_ERROR_STOP=1", "-c"])
                    .args(words);
                command
            }
        };
        let output = command.output().expect("the server's client is installed");
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
}

impl Servers {
    /// Tells one server of the cluster something.
    fn tell(&self, number: usize, words: &[&str]) -> String {
        let (port, password) = self.of_cluster(number);
        let output = Command::new("redis-cli")
            .args(["--no-auth-warning", "-a", &password, "-p", &port])
            .args(words)
            .output()
            .expect("the server's client is installed");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Port and password of a server of the cluster.
    fn of_cluster(&self, number: usize) -> (String, String) {
        let file = self.folder.path().join(format!("cluster-{number}/port"));
        let port = std::fs::read_to_string(file).expect("the script writes the port");
        let url = self.url(Kind::RedisCluster.variable());
        let password = url.split([':', '@']).nth(2).expect("a password");
        (port.trim().to_owned(), password.to_owned())
    }
}

/// Moves the slots of all keys of the second master to the third as the specification says, and rests
/// while the keys are there already and the slots not.
async fn move_slots(servers: &Servers) {
    let (from, to) = (
        servers.tell(2, &["CLUSTER", "MYID"]),
        servers.tell(3, &["CLUSTER", "MYID"]),
    );
    let (port, password) = servers.of_cluster(3);
    let keys = servers.tell(2, &["KEYS", "*"]);
    assert!(!keys.is_empty(), "no key is there to move");
    let slots: Vec<_> = keys
        .lines()
        .map(|key| servers.tell(2, &["CLUSTER", "KEYSLOT", key]))
        .collect();
    for (key, slot) in keys.lines().zip(&slots) {
        servers.tell(3, &["CLUSTER", "SETSLOT", slot, "IMPORTING", &from]);
        servers.tell(2, &["CLUSTER", "SETSLOT", slot, "MIGRATING", &to]);
        let migrate = [
            "MIGRATE",
            "127.0.0.1",
            &port,
            key,
            "0",
            "5000",
            "REPLACE",
            "AUTH",
            &password,
        ];
        let moved = servers.tell(2, &migrate);
        assert!(moved == "OK" || moved == "NOKEY", "{moved}");
    }
    sleep(Duration::from_secs(1)).await;
    for slot in &slots {
        for number in [3, 2] {
            servers.tell(number, &["CLUSTER", "SETSLOT", slot, "NODE", &to]);
        }
    }
}

/// What calls came to.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    failed: usize,
    longest: Duration,
}

/// Calls everything again and again until it is told to stop. An error that is not retryable fails.
async fn load(node: Shared, stop: Arc<AtomicBool>, number: usize) -> Tally {
    let rate: Rate = "1000000/s".parse().expect("a legal rate");
    let session = SessionKey::of("load");
    let cache = node.cache.clone().expect("a cache was asked for");
    let answer = CacheKey::of([&number.to_be_bytes()[..]]);
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        for turn in 0..6 {
            let begun = Instant::now();
            let outcome = match turn {
                0 => node.limits.take("load", rate).await.map(drop),
                1 => node.sessions.has_ended(&session).await.map(drop),
                2 => {
                    let name = format!("load {number}");
                    node.leases
                        .acquire(&name, Duration::from_millis(1))
                        .await
                        .map(drop)
                }
                3 => cache.put(&answer, "load".into(), OUTAGE).await,
                4 => cache.get(&answer).await.map(drop),
                _ => node.events.publish(Event::Lagged).await,
            };
            tally.longest = tally.longest.max(begun.elapsed());
            tally.calls += 1;
            if let Err(error) = outcome {
                assert!(error.is_retryable(), "{}", error.report());
                tally.failed += 1;
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
    tally
}

/// Waits until every trait answers again, for keys all over a cluster, and events of one node reach the
/// other.
async fn resumed(one: &Shared, other: &Shared) {
    let names: Vec<_> = (0..16).map(|number| format!("after {number}")).collect();
    let mut events = other.events.subscribe();
    let server = ServerName::new("after").expect("a legal name");
    let again = async {
        let (ours, theirs) = (one.cache.as_ref(), other.cache.as_ref());
        let answer = CacheKey::of([&b"after"[..]]);
        let kept = async || {
            ours?
                .put(&answer, "after".into(), OUTAGE * 100)
                .await
                .ok()?;
            theirs?.get(&answer).await.ok()?
        };
        while kept().await.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
        for name in &names {
            let key = SessionKey::of(name);
            while one.sessions.end(&key, OUTAGE * 100).await.is_err()
                || !other.sessions.has_ended(&key).await.unwrap_or(false)
            {
                sleep(Duration::from_millis(20)).await;
            }
            while one.leases.acquire(name, OUTAGE * 100).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        }
        loop {
            let told = Event::CatalogChanged {
                server: server.clone(),
            };
            let _ = one.events.publish(told.clone()).await;
            let heard = async {
                while events
                    .next()
                    .await
                    .is_some_and(|event| event.ok() != Some(told.clone()))
                {}
            };
            if timeout(Duration::from_millis(100), heard).await.is_ok() {
                break;
            }
        }
    };
    timeout(RESUMED, again)
        .await
        .expect("service goes on by itself");
}

/// What was promised before holds while the server's clock is wrong, and after.
#[cfg(target_os = "linux")]
async fn hold_while_set_back(clock: &clock::Clock, [one, other]: [&Shared; 2]) {
    let (work, time) = ("held while set back", HOUR / 6);
    let lease = one.leases.acquire(work, time).await.expect("an answer");
    let lease = lease.expect("it is free");
    let (ended, spent) = (SessionKey::of("ended before"), "spent before");
    one.sessions.end(&ended, time).await.expect("an answer");
    let rate: Rate = "1/s".parse().expect("a legal rate");
    let before = one.limits.take(spent, rate).await.expect("an answer");
    assert!(matches!(before, Decision::Allowed { .. }), "{before:?}");
    clock.set_back(HOUR);
    let (back, mut allowed, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while back.elapsed() < OUTAGE {
        let second = other.leases.acquire(work, time).await.expect("an answer");
        assert_eq!(second, None, "two have one lease");
        assert!(other.sessions.has_ended(&ended).await.expect("an answer"));
        match other.limits.take(spent, rate).await.expect("an answer") {
            Decision::Allowed { .. } => allowed += 1,
            Decision::Limited { retry_after } => longest = longest.max(retry_after),
        }
        sleep(Duration::from_millis(20)).await;
    }
    // Neither shut for the hour, nor more than a call for each second and the first.
    let most = back.elapsed().as_secs() + 1;
    assert!((1..=most).contains(&allowed), "{allowed} calls of 1/s");
    assert!(longest <= Duration::from_secs(1), "{longest:?}");
    assert!(one.leases.renew(&lease, time).await.expect("an answer"));
    clock.set_back(Duration::ZERO);
    // It was for ten minutes of an hour ago; the next holder is known from the one before.
    let next = other.leases.acquire(work, time).await.expect("an answer");
    assert!(next.expect("it has run out").token > lease.token);
    assert!(!one.leases.renew(&lease, time).await.expect("an answer"));
    assert!(one.sessions.has_ended(&ended).await.expect("an answer"));
}

async fn suffers(kind: Kind, servers: &Servers, fault: Fault) {
    let settings = SharedSettings::new(servers.url(kind.variable()))
        .with_timeout(LIMIT)
        .with_cache(8 << 20);
    let one = shared(&settings).await.expect("the server is there");
    let other = shared(&settings).await.expect("the server is there");
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..8)
        .map(|number| tokio::spawn(load(one.clone(), stop.clone(), number)))
        .collect();
    sleep(Duration::from_millis(500)).await;
    let token = async || {
        let lease = one.leases.acquire("token", Duration::from_millis(1)).await;
        lease.expect("an answer").expect("it is free").token
    };
    let before = token().await;
    kind.suffer(servers, fault, [&one, &other]).await;
    let whole = Instant::now();
    resumed(&one, &other).await;
    let resumed = whole.elapsed();
    if matches!(fault, Fault::MasterHangs) {
        // It learns that another has its slots, while it is called.
        servers.script(&["resume", kind.name()]);
        sleep(Duration::from_secs(1)).await;
    }
    assert!(token().await > before, "a lease has an older token");
    stop.store(true, Ordering::Relaxed);
    let mut sum = Tally::default();
    for load in loads {
        let tally = load.await.expect("every error is retryable");
        sum.calls += tally.calls;
        sum.failed += tally.failed;
        sum.longest = sum.longest.max(tally.longest);
    }
    println!(
        "| {} | {} | {} | {} | {:.1} s | {:.1} s |",
        kind.describe(),
        fault.describe(),
        sum.calls,
        sum.failed,
        sum.longest.as_secs_f64(),
        resumed.as_secs_f64(),
    );
    assert!(sum.calls > sum.failed, "nothing ever worked");
    if matches!(fault, Fault::SlotsMove) {
        assert_eq!(sum.failed, 0, "a slot that moves was not followed");
    }
    assert!(sum.longest < LIMIT + SLACK, "a call took {:?}", sum.longest);
}

async fn suffers_everything(kind: Kind) {
    if std::env::var_os(kind.variable()).is_none() {
        println!(
            "NOT RUN: set {}, as `scripts/test-servers.sh run` does",
            kind.variable()
        );
        return;
    }
    let servers = Servers::start();
    let mut faults = Fault::OF_A_SERVER;
    if kind == Kind::RedisCluster {
        faults = Fault::OF_A_CLUSTER;
        for number in 1..=4 {
            servers.tell(number, &["CONFIG", "SET", "cluster-node-timeout", "1000"]);
        }
    }
    for fault in faults {
        suffers(kind, &servers, *fault).await;
    }
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_fail() {
    suffers_everything(Kind::Redis).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_a_redis_cluster_may_fail() {
    suffers_everything(Kind::RedisCluster).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_may_fail() {
    suffers_everything(Kind::Postgres).await;
}

/// Connections that hang for good are replaced.
#[cfg(any(feature = "postgres", feature = "redis"))]
async fn works_again_though_old_connections_hang(kind: Kind) {
    if std::env::var_os(kind.variable()).is_none() {
        println!("NOT RUN: set {}", kind.variable());
        return;
    }
    let servers = Servers::start();
    let url = servers.url(kind.variable());
    let address = url.split(['@', '/']).nth(3).expect("a host and a port");
    let network = relay::Relay::to(address.to_owned()).await;
    let through = url.replace(address, &network.address.to_string());
    let settings = SharedSettings::new(through)
        .with_timeout(LIMIT)
        .with_cache(8 << 20);
    let node = shared(&settings).await.expect("the server is there");
    network.set(relay::Network::Silent);
    // After 4 s the node connects anew, and says so on the old connection, where it is lost.
    sleep(OUTAGE * 2).await;
    network.set(relay::Network::Whole);
    resumed(&node, &node).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgresql_works_again_though_old_connections_hang() {
    works_again_though_old_connections_hang(Kind::Postgres).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn redis_works_again_though_old_connections_hang() {
    works_again_though_old_connections_hang(Kind::Redis).await;
}

/// While a server is away, rates are counted by each node, and a session that ended stays ended for
/// the gateway that ended it: what the traits say of it is an error, not a wrong answer.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_still_holds_at_each_node_while_redis_is_away() {
    if std::env::var_os(Kind::Redis.variable()).is_none() {
        println!("NOT RUN: set {}", Kind::Redis.variable());
        return;
    }
    let servers = Servers::start();
    let settings = SharedSettings::new(servers.url(Kind::Redis.variable()));
    let node = shared(&settings).await.expect("the server is there");
    servers.script(&["kill", Kind::Redis.name()]);
    let rate: Rate = "5/d".parse().expect("a legal rate");
    let mut allowed = 0;
    for _ in 0..20 {
        let decision = node.limits.take("key", rate).await.expect("a decision");
        allowed += usize::from(matches!(
            decision,
            mcphub_core::shared::Decision::Allowed { .. }
        ));
    }
    assert_eq!(allowed, 5);
    let session = node.sessions.has_ended(&SessionKey::of("any")).await;
    assert!(session.is_err_and(|error| error.is_retryable()));
}
