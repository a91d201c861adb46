//! `ProcessLauncher` behaves as every launcher does.
#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use mcphub_core::conformance::launcher::{FORKS, LauncherGround};
use mcphub_core::launch::{Launch, Launcher};
use mcphub_deploy::process::{LauncherSettings, ProcessLauncher};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

mcphub_core::launcher_conformance!(async || {
    let mut settings = LauncherSettings::default();
    settings.max_line = 1024 * 1024;
    settings.stop_timeout = Duration::from_secs(4);
    let ground = Ground {
        launcher: ProcessLauncher::new(settings),
        mark: common::new_mark(),
    };
    (Box::new(ground), ())
});

struct Ground {
    launcher: ProcessLauncher,
    mark: String,
}

#[async_trait]
impl LauncherGround for Ground {
    fn launcher(&self) -> &dyn Launcher {
        &self.launcher
    }

    fn mark(&self) -> &str {
        &self.mark
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
            if line.contains("launched") {
                break;
            }
        }
        assert!(
            self.left_behind().await.len() >= 2,
            "a program and its child"
        );
        host.kill().await.expect("SIGKILL");
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

const MARK: &str = "MCPHUB_TEST_LAUNCHER_MARK";

/// The host that is killed.
#[tokio::test]
#[ignore = "a process of the test programs_end_with_their_host"]
async fn a_host() {
    let mark = std::env::var(MARK).expect("a mark: this is started by another test");
    let launch = Launch {
        server: "forks".parse().expect("a name"),
        command: "sh".to_owned(),
        arguments: ["-c", FORKS, "sh", &mark].map(Into::into).into(),
        directory: None,
        environment: Default::default(),
    };
    let launcher = ProcessLauncher::default();
    let mut channel = launcher.launch(launch).await.expect("a program");
    channel
        .incoming
        .next()
        .await
        .expect("ready")
        .expect("ready");
    let mut stdout = std::io::stdout();
    stdout
        .write_all(b"\nlaunched\n")
        .and_then(|()| stdout.flush())
        .expect("to say so");
    std::future::pending::<()>().await;
}
