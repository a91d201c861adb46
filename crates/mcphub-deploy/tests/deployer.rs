//! What `ProcessDeployer` does besides what every deployer does.
#![cfg(target_os = "linux")]

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcphub_core::ErrorKind;
use mcphub_core::artifact::Program;
use mcphub_core::deployment::{Deployer, Deployment, DeploymentSpec, Phase};
use mcphub_core::secret::ExposeSecret;
use mcphub_core::server::ServerName;
use mcphub_deploy::process::{ProcessDeployer, ProcessSettings};
use tokio::time::{sleep, timeout};

const API_KEY: &str = "sesame-open-thyself";

fn deployer() -> ProcessDeployer {
    ProcessDeployer::new(ProcessSettings::default())
}

fn name() -> ServerName {
    "shop".parse().expect("a name")
}

fn spec(behaviour: &str, mark: &str) -> DeploymentSpec {
    let mut spec = DeploymentSpec::new(name(), common::fixture(behaviour, mark));
    spec.environment.insert("API_KEY".into(), API_KEY.into());
    spec.restart.initial_backoff = Duration::from_millis(20);
    spec
}

/// Everything that was printed until now.
async fn printed(deployer: &ProcessDeployer) -> Vec<String> {
    let lines = deployer
        .logs(&name())
        .map(|line| line.expect("a line").text);
    lines
        .take_until(sleep(Duration::from_millis(300)))
        .collect()
        .await
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn nothing_runs_with(mark: &str) {
    eventually("every process is gone", async || {
        common::processes_with(mark).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_server_of_the_legacy_era_gets_ready() {
    let deployment = deployer()
        .apply(spec("legacy", &common::new_mark()))
        .await
        .unwrap();
    assert_eq!(deployment.phase, Phase::Ready);
}

#[tokio::test]
async fn a_server_finds_its_own_variables_and_none_of_the_hosts_secrets() {
    let deployer = deployer();
    deployer
        .apply(spec("environment", &common::new_mark()))
        .await
        .unwrap();
    let line = printed(&deployer)
        .await
        .into_iter()
        .find(|line| line.starts_with('{'))
        .expect("the environment");
    let environment: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&line).unwrap();
    let host: Vec<&str> = environment
        .keys()
        .map(String::as_str)
        .filter(|name| std::env::var(name).is_ok())
        .filter(|name| {
            !mcphub_deploy::process::INHERITED.contains(name) && !name.starts_with("LC_")
        })
        .collect();
    // The deployer sets the first, a shell the others.
    assert!(
        host.iter()
            .all(|name| ["PYTHONUNBUFFERED", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)),
        "leaked: {host:?}"
    );
    assert!(environment.contains_key("PATH") && environment.contains_key("API_KEY"));
}

#[tokio::test]
async fn secrets_are_in_no_log_error_or_debug_text() {
    let deployer = deployer();
    let deployment = deployer
        .apply(spec("environment", &common::new_mark()))
        .await
        .unwrap();
    let endpoint = deployment.endpoint.clone().unwrap();
    let token = endpoint.headers[0]
        .1
        .expose_secret()
        .strip_prefix("Bearer ")
        .unwrap();
    assert_eq!(token.len(), 64);
    let error = deployer
        .apply(spec("ends-at-once", &common::new_mark()))
        .await
        .unwrap_err();
    assert!(
        error.report().contains("token [redacted] key [redacted]"),
        "{}",
        error.report()
    );
    let shown = format!(
        "{:?} {error:?} {} {deployment:?} {deployer:?} {:?}",
        printed(&deployer).await,
        error.report(),
        spec("good", "")
    );
    assert!(
        !shown.contains(token) && !shown.contains(API_KEY),
        "{shown}"
    );
}

#[tokio::test]
async fn a_port_that_somebody_took_is_changed_at_the_next_start() {
    let deployer = deployer();
    let mut ends = spec("ends-after-ready", &common::new_mark());
    ends.restart.initial_backoff = Duration::from_secs(2);
    let first = deployer.apply(ends).await.unwrap().endpoint.unwrap().url;
    let phase = async |wanted| {
        deployer
            .status(&name())
            .await
            .unwrap()
            .is_some_and(|it: Deployment| it.phase == wanted)
    };
    eventually("it has ended", async || phase(Phase::Restarting).await).await;
    let _stranger = TcpListener::bind(first.socket_addrs(|| None).unwrap()[0]).unwrap();
    eventually("it is ready again", async || phase(Phase::Ready).await).await;
    let second = deployer
        .status(&name())
        .await
        .unwrap()
        .unwrap()
        .endpoint
        .unwrap()
        .url;
    assert_ne!(first.port(), second.port());
}

#[tokio::test]
async fn a_server_that_pauses_before_a_restart_is_removed_at_once() {
    let deployer = deployer();
    let mut ends = spec("ends-after-ready", &common::new_mark());
    ends.restart.initial_backoff = Duration::from_secs(60);
    ends.restart.max_backoff = Duration::from_secs(60);
    deployer.apply(ends).await.unwrap();
    eventually("it has ended", async || {
        deployer
            .status(&name())
            .await
            .unwrap()
            .is_some_and(|it| it.phase == Phase::Restarting)
    })
    .await;
    assert!(
        timeout(Duration::from_secs(2), deployer.remove(&name()))
            .await
            .unwrap()
            .unwrap()
    );
}

#[tokio::test]
async fn dropping_the_deployer_kills_its_servers() {
    let mark = common::new_mark();
    let deployer = deployer();
    deployer.apply(spec("forks", &mark)).await.unwrap();
    let logs = deployer.logs(&name());
    drop(deployer);
    nothing_runs_with(&mark).await;
    timeout(Duration::from_secs(5), logs.count())
        .await
        .expect("the logs end as well");
}

#[tokio::test]
async fn dropping_an_apply_leaves_nothing() {
    let mark = common::new_mark();
    let deployer = deployer();
    let dropped = timeout(
        Duration::from_millis(500),
        deployer.apply(spec("never-ready", &mark)),
    )
    .await;
    assert!(dropped.is_err(), "it was ready");
    nothing_runs_with(&mark).await;
    assert!(deployer.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn removing_a_server_that_starts_ends_the_start() {
    let mark = common::new_mark();
    let deployer = deployer();
    let name = name();
    let remove = async {
        eventually("it is listed", async || {
            !common::processes_with(&mark).is_empty()
        })
        .await;
        deployer.remove(&name).await
    };
    let both = async { tokio::join!(deployer.apply(spec("never-ready", &mark)), remove) };
    let (applied, removed) = timeout(Duration::from_secs(15), both)
        .await
        .expect("no wait for readiness");
    assert_eq!(applied.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(removed.unwrap());
    nothing_runs_with(&mark).await;
}

#[tokio::test]
async fn a_failed_replacement_tells_watchers_nothing() {
    let deployer = deployer();
    deployer
        .apply(spec("good", &common::new_mark()))
        .await
        .unwrap();
    let mut changes = deployer.watch();
    deployer
        .apply(spec("ends-at-once", &common::new_mark()))
        .await
        .unwrap_err();
    deployer.remove(&name()).await.unwrap();
    assert_eq!(changes.next().await.unwrap().unwrap().phase, Phase::Stopped);
}

#[tokio::test]
async fn shutdown_stops_everything_also_what_was_replaced() {
    let mark = common::new_mark();
    let deployer = deployer();
    for _ in 0..2 {
        deployer.apply(spec("good", &mark)).await.unwrap();
    }
    deployer.shutdown().await;
    assert!(deployer.list().await.unwrap().is_empty());
    nothing_runs_with(&mark).await;
}

#[tokio::test]
async fn applies_of_one_name_take_turns_and_the_last_one_stays() {
    let mark = common::new_mark();
    let deployer = Arc::new(deployer());
    let applies = (0..4).map(|_| deployer.apply(spec("good", &mark)));
    let endpoints: Vec<_> = futures::future::join_all(applies)
        .await
        .into_iter()
        .map(|it| it.unwrap().endpoint.unwrap().url)
        .collect();
    let now = deployer
        .status(&name())
        .await
        .unwrap()
        .unwrap()
        .endpoint
        .unwrap()
        .url;
    assert_eq!(endpoints.last(), Some(&now));
    // A server and its watcher.
    eventually("one is left", async || {
        common::processes_with(&mark).len() == 2
    })
    .await;
}

#[tokio::test]
async fn only_the_last_lines_are_kept() {
    let mut settings = ProcessSettings::default();
    settings.log_lines = 3;
    let deployer = ProcessDeployer::new(settings);
    let mut chatty = spec("good", &common::new_mark());
    let Program::Command { arguments, .. } = &mut chatty.artifact.program else {
        panic!("not a command")
    };
    let code = "import sys; [print(n) for n in range(100_000)]; sys.argv[:] = ['s', 'good', '']; exec(open('server.py').read())";
    *arguments = vec!["-c".into(), code.into()];
    deployer.apply(chatty).await.unwrap();
    assert_eq!(printed(&deployer).await, ["hello 1", "hello 2", "asked"]);
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_and_not_listed() {
    let deployer = deployer();
    let mut without_port = spec("good", "");
    without_port
        .artifact
        .environment
        .retain(|variable| variable.name != "FIXTURE_PORT");
    let mut bad_name = spec("good", "");
    bad_name.environment.insert("A-B".into(), "v".into());
    let mut gone = spec("good", "");
    gone.artifact.program = Program::Command {
        executable: "/nonexistent/python".into(),
        arguments: vec![],
        directory: "/".into(),
    };
    let mut elsewhere = spec("good", "");
    if let Program::Command { directory, .. } = &mut elsewhere.artifact.program {
        *directory = "/nonexistent".into();
    }
    for (spec, kind) in [
        (without_port, ErrorKind::InvalidInput),
        (bad_name, ErrorKind::InvalidInput),
        (gone, ErrorKind::Unavailable),
        (elsewhere, ErrorKind::Unavailable),
    ] {
        let error = deployer.apply(spec).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(deployer.list().await.unwrap().is_empty());
    }
    assert!(deployer.logs(&name()).next().await.unwrap().is_err());
}
