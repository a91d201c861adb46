//! `ProcessDeployer` behaves as every deployer does.
#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::artifact::Artifact;
use mcphub_core::conformance::deployer::{DeployerGround, Fixture};
use mcphub_core::deployment::{Deployer, DeploymentSpec, Endpoint};
use mcphub_core::secret::ExposeSecret;
use mcphub_deploy::process::{ProcessDeployer, ProcessSettings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

mcphub_core::deployer_conformance!(async || {
    let deployer = ProcessDeployer::new(ProcessSettings::default());
    (
        Box::new(Ground {
            deployer,
            mark: common::new_mark(),
        }),
        (),
    )
});

struct Ground {
    deployer: ProcessDeployer,
    mark: String,
}

#[async_trait]
impl DeployerGround for Ground {
    fn deployer(&self) -> &dyn Deployer {
        &self.deployer
    }

    fn artifact(&self, fixture: Fixture) -> Artifact {
        let behaviour = match fixture {
            Fixture::Good => "good",
            Fixture::NeverReady => "never-ready",
            Fixture::EndsAtOnce => "ends-at-once",
            Fixture::EndsAfterReady => "ends-after-ready",
            Fixture::IgnoresStop => "ignores-stop",
            Fixture::Forks => "forks",
        };
        common::fixture(behaviour, &self.mark)
    }

    async fn answers(&self, endpoint: &Endpoint) -> bool {
        timeout(Duration::from_secs(5), ask(endpoint))
            .await
            .is_ok_and(|answer| answer.is_ok_and(|it| it.contains("\"result\"")))
    }

    async fn left_behind(&self) -> Vec<String> {
        common::processes_with(&self.mark)
    }

    async fn kill_a_host(&self) {
        let mut host = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "a_host", "--nocapture"])
            .env(MARK, &self.mark)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a host");
        let mut lines = BufReader::new(host.stdout.take().expect("its output")).lines();
        while let Some(line) = lines.next_line().await.expect("its output") {
            if line.contains("applied") {
                break;
            }
        }
        assert!(
            self.left_behind().await.len() >= 3,
            "a server, its child and the watcher"
        );
        host.kill().await.expect("SIGKILL");
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

const MARK: &str = "MCPHUB_TEST_HOST_MARK";

/// The host that is killed.
#[tokio::test]
#[ignore = "a process of the test deployments_end_with_their_host"]
async fn a_host() {
    let mark = std::env::var(MARK).expect("a mark: this is started by another test");
    let deployer = ProcessDeployer::new(ProcessSettings::default());
    let spec = DeploymentSpec::new(
        "forks".parse().expect("a name"),
        common::fixture("forks", &mark),
    );
    deployer.apply(spec).await.expect("a deployment");
    let mut stdout = std::io::stdout();
    stdout
        .write_all(b"\napplied\n")
        .and_then(|()| stdout.flush())
        .expect("to say so");
    std::future::pending::<()>().await;
}

async fn ask(endpoint: &Endpoint) -> std::io::Result<String> {
    let url = &endpoint.url;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
    let mut request = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
        url.path(),
        url.authority(),
        body.len()
    );
    for (name, value) in &endpoint.headers {
        request += &format!("{name}: {}\r\n", value.expose_secret());
    }
    let mut stream = TcpStream::connect(url.authority()).await?;
    stream
        .write_all(format!("{request}\r\n{body}").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
