//! How a [`Deployer`] behaves.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::{Either, select};
use futures::stream::BoxStream;
use futures::{StreamExt, pin_mut};

use crate::artifact::Artifact;
use crate::deployment::{Deployer, Deployment, DeploymentSpec, Endpoint, Phase, RestartPolicy};
use crate::server::ServerName;
use crate::{ErrorKind, Result};

/// What the checks need besides a deployer.
#[async_trait]
pub trait DeployerGround: Send + Sync + 'static {
    /// A deployer without deployments.
    fn deployer(&self) -> &dyn Deployer;

    /// Something to run.
    fn artifact(&self, fixture: Fixture) -> Artifact;

    /// Whether an MCP request to that endpoint gets a result. Bounded by a few seconds.
    async fn answers(&self, endpoint: &Endpoint) -> bool;

    /// What is still there of everything that ran of [`DeployerGround::artifact`], such as a line
    /// for each process.
    async fn left_behind(&self) -> Vec<String>;

    /// Starts another host, which applies [`Fixture::Forks`] with a deployer of the same kind, and
    /// kills that host, once the server is ready, in a way that lets it clean up nothing.
    async fn kill_a_host(&self);

    /// Waits.
    async fn sleep(&self, pause: Duration);
}

/// The servers that the checks run. Each prints `hello 1` and `hello 2` to its standard output
/// before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fixture {
    /// Answers MCP; prints `asked` for each request, and `goodbye` when it is asked to stop.
    Good,
    /// Runs, and accepts no connection.
    NeverReady,
    /// Prints `nothing to do here` to its standard error and ends at once.
    EndsAtOnce,
    /// Answers, and ends 200 ms after its first answer.
    EndsAfterReady,
    /// Answers, and does not stop when it is asked to.
    IgnoresStop,
    /// Answers, and has another process, which does not stop when it is asked to.
    Forks,
}

/// Makes tests of all checks of [`deployer`](crate::conformance::deployer). The factory is an async
/// function without arguments that gives a smart pointer to a
/// [`DeployerGround`](crate::conformance::deployer::DeployerGround), and a guard.
#[macro_export]
macro_rules! deployer_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            deployer: apply_returns_when_the_server_has_answered,
            apply_gives_the_end_of_the_output_of_a_server_that_ends,
            apply_gives_up_on_a_server_that_does_not_get_ready,
            a_replacement_is_ready_before_the_old_one_stops,
            a_replacement_that_fails_leaves_the_old_one,
            a_server_that_ends_is_started_again_until_it_was_too_often,
            a_server_that_may_not_be_restarted_fails,
            remove_stops_politely,
            remove_kills_what_does_not_stop,
            remove_leaves_no_process_of_the_servers,
            remove_of_an_unknown_name_is_false,
            logs_are_oldest_first_and_go_on,
            watch_gives_every_change_of_every_deployment,
            deployments_end_with_their_host,
        );
    };
}

/// Longer than any deployer needs for what it does without being told a time.
const SOON: Duration = Duration::from_secs(15);

fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("a legal name")
}

fn spec(ground: &dyn DeployerGround, server: &str, fixture: Fixture) -> DeploymentSpec {
    let mut spec = DeploymentSpec::new(name(server), ground.artifact(fixture));
    spec.stop_timeout = Duration::from_secs(10);
    spec.restart.initial_backoff = Duration::from_millis(20);
    spec
}

async fn apply(ground: &dyn DeployerGround, spec: DeploymentSpec) -> (Deployment, Endpoint) {
    let deployment = ground.deployer().apply(spec).await.expect("a deployment");
    let endpoint = deployment.endpoint.clone().expect("an endpoint");
    (deployment, endpoint)
}

async fn status(ground: &dyn DeployerGround, server: &str) -> Option<Deployment> {
    ground
        .deployer()
        .status(&name(server))
        .await
        .expect("a status")
}

async fn nothing_is_left(ground: &dyn DeployerGround) {
    let deadline = Instant::now() + SOON;
    loop {
        let left = ground.left_behind().await;
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:#?}");
        ground.sleep(Duration::from_millis(20)).await;
    }
}

async fn next(changes: &mut BoxStream<'static, Result<Deployment>>) -> Deployment {
    changes
        .next()
        .await
        .expect("the stream goes on")
        .expect("a change")
}

/// And the deployment is listed under its name, with what it was applied with.
pub async fn apply_returns_when_the_server_has_answered(ground: &dyn DeployerGround) {
    let mut applied = spec(ground, "good", Fixture::Good);
    applied.revision = 7;
    let digest = applied.artifact.digest.clone();
    let (deployment, endpoint) = apply(ground, applied).await;
    assert!(
        ground.answers(&endpoint).await,
        "applied, and does not answer"
    );
    assert_eq!((deployment.phase, deployment.restarts), (Phase::Ready, 0));
    assert_eq!((deployment.revision, &deployment.digest), (7, &digest));

    apply(ground, spec(ground, "also", Fixture::Good)).await;
    let listed = ground.deployer().list().await.expect("a list");
    let names: Vec<&str> = listed
        .iter()
        .map(|deployment| deployment.name.as_str())
        .collect();
    assert_eq!(names, ["also", "good"]);
    assert_eq!(status(ground, "good").await.map(|it| it.revision), Some(7));
    assert!(status(ground, "unknown").await.is_none());
}

/// And nothing of it is left behind.
pub async fn apply_gives_the_end_of_the_output_of_a_server_that_ends(ground: &dyn DeployerGround) {
    let outcome = ground
        .deployer()
        .apply(spec(ground, "ends", Fixture::EndsAtOnce))
        .await;
    let error = outcome.expect_err("the server has ended");
    assert!(
        error.report().contains("nothing to do here"),
        "{}",
        error.report()
    );
    assert!(status(ground, "ends").await.is_none());
    nothing_is_left(ground).await;
}

/// After the spec's time, with the output, and with nothing left behind.
pub async fn apply_gives_up_on_a_server_that_does_not_get_ready(ground: &dyn DeployerGround) {
    let mut never = spec(ground, "never", Fixture::NeverReady);
    never.ready_timeout = Duration::from_secs(2);
    let start = Instant::now();
    let error = ground
        .deployer()
        .apply(never)
        .await
        .expect_err("it is never ready");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.report().contains("hello 2"), "{}", error.report());
    let took = start.elapsed();
    assert!(
        (Duration::from_secs(2)..SOON).contains(&took),
        "gave up after {took:?}"
    );
    assert!(status(ground, "never").await.is_none());
    nothing_is_left(ground).await;
}

/// At any moment one of the two answers.
pub async fn a_replacement_is_ready_before_the_old_one_stops(ground: &dyn DeployerGround) {
    let (_, old) = apply(ground, spec(ground, "good", Fixture::Good)).await;
    let mut new = spec(ground, "good", Fixture::Good);
    new.artifact.digest = "another".into();
    let replaced = ground.deployer().apply(new);
    let watched = async {
        loop {
            if !ground.answers(&old).await {
                let now = status(ground, "good").await.and_then(|it| it.endpoint);
                let now = now.expect("neither the old one nor the new one");
                assert!(
                    ground.answers(&now).await,
                    "neither the old one nor the new one answers"
                );
            }
            ground.sleep(Duration::from_millis(5)).await;
        }
    };
    pin_mut!(watched);
    // The watch has no end.
    let Either::Left((replaced, _)) = select(replaced, watched).await;
    let replaced = replaced.expect("a deployment");
    assert_eq!(replaced.digest, "another");
    let endpoint = replaced.endpoint.expect("an endpoint");
    assert!(
        ground.answers(&endpoint).await,
        "applied, and does not answer"
    );

    let deadline = Instant::now() + SOON;
    while ground.answers(&old).await {
        assert!(Instant::now() < deadline, "the old one goes on");
        ground.sleep(Duration::from_millis(20)).await;
    }
    assert!(
        ground.answers(&endpoint).await,
        "the new one has stopped with the old one"
    );
    assert_eq!(
        status(ground, "good").await.map(|it| it.phase),
        Some(Phase::Ready)
    );
    assert_eq!(ground.deployer().list().await.expect("a list").len(), 1);
}

/// As if nothing had been applied.
pub async fn a_replacement_that_fails_leaves_the_old_one(ground: &dyn DeployerGround) {
    let (old, endpoint) = apply(ground, spec(ground, "good", Fixture::Good)).await;
    let outcome = ground
        .deployer()
        .apply(spec(ground, "good", Fixture::EndsAtOnce))
        .await;
    assert!(outcome.is_err(), "the new one has ended");
    let now = status(ground, "good").await.expect("the old one");
    assert_eq!((now.phase, now.digest), (Phase::Ready, old.digest));
    assert_eq!(now.endpoint.map(|it| it.url), Some(endpoint.url.clone()));
    assert!(ground.answers(&endpoint).await, "the old one has stopped");
}

/// On the same endpoint; then it has failed and is still listed.
pub async fn a_server_that_ends_is_started_again_until_it_was_too_often(
    ground: &dyn DeployerGround,
) {
    let mut changes = ground.deployer().watch();
    let mut ends = spec(ground, "ends", Fixture::EndsAfterReady);
    ends.restart.max_restarts = 2;
    let (_, endpoint) = apply(ground, ends).await;
    let mut ready = 0;
    let failed = loop {
        let change = next(&mut changes).await;
        match change.phase {
            Phase::Ready => {
                assert_eq!(change.restarts, ready, "{change:?}");
                let url = change.endpoint.map(|it| it.url);
                assert_eq!(
                    url.as_ref(),
                    Some(&endpoint.url),
                    "the endpoint has changed"
                );
                ready += 1;
            }
            Phase::Failed => break change,
            Phase::Restarting => assert!(change.message.is_some(), "does not say why"),
            phase => assert_eq!(phase, Phase::Starting),
        }
    };
    assert_eq!((ready, failed.restarts), (3, 2), "{failed:?}");
    assert!(failed.message.is_some(), "does not say why");
    assert_eq!(
        status(ground, "ends").await.map(|it| it.phase),
        Some(Phase::Failed)
    );
    nothing_is_left(ground).await;
    assert!(
        ground
            .deployer()
            .remove(&name("ends"))
            .await
            .expect("removed")
    );
    assert!(status(ground, "ends").await.is_none());
}

/// The limit may be none at all.
pub async fn a_server_that_may_not_be_restarted_fails(ground: &dyn DeployerGround) {
    let mut changes = ground.deployer().watch();
    let mut ends = spec(ground, "ends", Fixture::EndsAfterReady);
    ends.restart = RestartPolicy {
        max_restarts: 0,
        ..ends.restart
    };
    apply(ground, ends).await;
    let mut phases = Vec::new();
    while phases.last() != Some(&Phase::Failed) {
        phases.push(next(&mut changes).await.phase);
    }
    assert_eq!(phases, [Phase::Starting, Phase::Ready, Phase::Failed]);
}

/// The server learns of it and may say goodbye.
pub async fn remove_stops_politely(ground: &dyn DeployerGround) {
    apply(ground, spec(ground, "good", Fixture::Good)).await;
    let logs = ground.deployer().logs(&name("good"));
    assert!(
        ground
            .deployer()
            .remove(&name("good"))
            .await
            .expect("removed")
    );
    assert!(status(ground, "good").await.is_none());
    let lines: Vec<String> = logs.map(|line| line.expect("a line").text).collect().await;
    assert!(lines.iter().any(|line| line == "goodbye"), "{lines:?}");
    nothing_is_left(ground).await;
}

/// Not before [`DeploymentSpec::stop_timeout`], and soon after it.
pub async fn remove_kills_what_does_not_stop(ground: &dyn DeployerGround) {
    let mut stubborn = spec(ground, "stubborn", Fixture::IgnoresStop);
    stubborn.stop_timeout = Duration::from_secs(1);
    apply(ground, stubborn).await;
    let start = Instant::now();
    assert!(
        ground
            .deployer()
            .remove(&name("stubborn"))
            .await
            .expect("removed")
    );
    let took = start.elapsed();
    assert!(
        (Duration::from_secs(1)..SOON).contains(&took),
        "stopped after {took:?}"
    );
    nothing_is_left(ground).await;
}

/// Also what the server started itself.
pub async fn remove_leaves_no_process_of_the_servers(ground: &dyn DeployerGround) {
    let (_, endpoint) = apply(ground, spec(ground, "forks", Fixture::Forks)).await;
    assert!(
        !ground.left_behind().await.is_empty(),
        "the ground does not see what runs"
    );
    assert!(
        ground
            .deployer()
            .remove(&name("forks"))
            .await
            .expect("removed")
    );
    let left = ground.left_behind().await;
    assert!(left.is_empty(), "left behind: {left:#?}");
    assert!(!ground.answers(&endpoint).await);
}

/// And so is the second removal.
pub async fn remove_of_an_unknown_name_is_false(ground: &dyn DeployerGround) {
    assert!(
        !ground
            .deployer()
            .remove(&name("good"))
            .await
            .expect("no error")
    );
    apply(ground, spec(ground, "good", Fixture::Good)).await;
    assert!(
        ground
            .deployer()
            .remove(&name("good"))
            .await
            .expect("no error")
    );
    assert!(
        !ground
            .deployer()
            .remove(&name("good"))
            .await
            .expect("no error")
    );
}

/// What was printed before the stream was asked for, then what is printed after.
pub async fn logs_are_oldest_first_and_go_on(ground: &dyn DeployerGround) {
    let (_, endpoint) = apply(ground, spec(ground, "good", Fixture::Good)).await;
    let mut logs = ground.deployer().logs(&name("good"));
    let mut line = async || logs.next().await.expect("a line").expect("a line").text;
    assert_eq!(line().await, "hello 1");
    assert_eq!(line().await, "hello 2");
    // At least one request was made to see that the server is ready.
    assert_eq!(line().await, "asked");
    let mut later = ground.deployer().logs(&name("good"));
    assert!(ground.answers(&endpoint).await);
    ground
        .deployer()
        .remove(&name("good"))
        .await
        .expect("removed");
    let mut asked = 0;
    while let Some(line) = later.next().await {
        asked += usize::from(line.expect("a line").text == "asked");
    }
    assert!(asked >= 2, "the stream does not go on");
}

/// In the order they happen in.
pub async fn watch_gives_every_change_of_every_deployment(ground: &dyn DeployerGround) {
    let mut changes = ground.deployer().watch();
    for server in ["a", "b"] {
        apply(ground, spec(ground, server, Fixture::Good)).await;
    }
    ground.deployer().remove(&name("a")).await.expect("removed");
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let change = next(&mut changes).await;
        seen.push((change.name.as_str().to_owned(), change.phase));
    }
    let expected = [
        ("a", Phase::Starting),
        ("a", Phase::Ready),
        ("b", Phase::Starting),
        ("b", Phase::Ready),
        ("a", Phase::Stopped),
    ];
    assert_eq!(
        seen,
        expected.map(|(server, phase)| (server.to_owned(), phase))
    );
}

/// Whatever the end was, and soon.
pub async fn deployments_end_with_their_host(ground: &dyn DeployerGround) {
    ground.kill_a_host().await;
    nothing_is_left(ground).await;
}
