//! How a [`Launcher`] behaves.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};

use crate::launch::{Channel, Launch, Launcher};
use crate::server::ServerName;
use crate::{Error, ErrorKind, Fault, Result};

/// What the checks need besides a launcher. Programs are scripts of `sh`.
#[async_trait]
pub trait LauncherGround: Send + Sync + 'static {
    /// A launcher that takes lines of 1 MiB at most, and has killed a program that does not want to
    /// end after 10 s at most.
    fn launcher(&self) -> &dyn Launcher;

    /// An argument for each program, which tells those of this ground from all others.
    fn mark(&self) -> &str;

    /// What still runs with the mark among its arguments, such as a line for each process.
    async fn left_behind(&self) -> Vec<String>;

    /// Starts another host, which starts [`FORKS`] with a launcher of the same kind, and kills that
    /// host, once the program runs, in a way that lets it clean up nothing.
    async fn kill_a_host(&self);

    /// Waits.
    async fn sleep(&self, pause: Duration);
}

/// A script that does not end when it is asked to, and has another process that does not either. The
/// mark is its first argument. Prints `ready`.
pub const FORKS: &str = "
    trap '' TERM
    sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' \"$1\" &
    echo ready
    while :; do sleep 0.1; done";

/// Makes tests of all checks of [`launcher`](crate::conformance::launcher). The factory is an async
/// function without arguments that gives a smart pointer to a
/// [`LauncherGround`](crate::conformance::launcher::LauncherGround), and a guard.
#[macro_export]
macro_rules! launcher_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            launcher: what_is_not_there_is_named,
            lines_arrive_whole_and_in_order,
            a_line_that_is_too_long_ends_the_program,
            an_end_is_told_after_what_was_written,
            dropping_ends_a_program_politely,
            dropping_ends_what_does_not_want_to_end,
            a_program_gets_its_variables_and_few_others,
            no_secret_shows_in_an_error,
            programs_end_with_their_host,
        );
    };
}

/// Longer than any launcher needs for what it does.
const SOON: Duration = Duration::from_secs(40);

fn launch(ground: &dyn LauncherGround, script: &str) -> Launch {
    let arguments = ["-c", script, "sh", ground.mark()];
    Launch {
        server: ServerName::new("program").expect("a legal name"),
        command: "sh".to_owned(),
        arguments: arguments.map(Into::into).into(),
        directory: None,
        environment: Default::default(),
    }
}

async fn start(ground: &dyn LauncherGround, script: &str) -> Channel {
    let launched = ground.launcher().launch(launch(ground, script)).await;
    launched.expect("it is started")
}

/// All lines, then the error at the end.
async fn rest(channel: Channel) -> (Vec<Bytes>, Error) {
    let mut lines = Vec::new();
    let mut incoming = channel.incoming;
    while let Some(line) = incoming.next().await {
        match line {
            Ok(line) => lines.push(line),
            Err(error) => {
                assert!(
                    incoming.next().await.is_none(),
                    "nothing comes after the end"
                );
                return (lines, error);
            }
        }
    }
    panic!("the end was not told");
}

async fn nothing_is_left(ground: &dyn LauncherGround) {
    let deadline = Instant::now() + SOON;
    loop {
        let left = ground.left_behind().await;
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?}");
        ground.sleep(Duration::from_millis(20)).await;
    }
}

/// A program, and a folder to start it in.
pub async fn what_is_not_there_is_named(ground: &dyn LauncherGround) {
    let nothing = |outcome: Result<Channel>, named: &str| {
        let error = outcome.expect_err("it is not there");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.report().contains(named), "{}", error.report());
    };
    let mut missing = launch(ground, "");
    missing.command = "no-such-program-anywhere".to_owned();
    nothing(
        ground.launcher().launch(missing).await,
        "no-such-program-anywhere",
    );
    let mut missing = launch(ground, "");
    missing.directory = Some("/no/such/folder".into());
    nothing(ground.launcher().launch(missing).await, "/no/such/folder");
}

/// Also one of half a MiB, more than a pipe holds, and an empty one.
pub async fn lines_arrive_whole_and_in_order(ground: &dyn LauncherGround) {
    let Channel {
        mut outgoing,
        mut incoming,
    } = start(ground, "cat").await;
    let long = "x".repeat(512 * 1024);
    let sent: Vec<String> = (0..200)
        .map(|number| number.to_string())
        .chain([String::new(), long, "é".to_owned()])
        .collect();
    let sending = async {
        for line in &sent {
            let line = Bytes::copy_from_slice(line.as_bytes());
            outgoing.send(line).await.expect("it is taken");
        }
    };
    let reading = async {
        for line in &sent {
            let got = incoming.next().await.expect("a line").expect("a line");
            assert!(got == line.as_bytes(), "{} bytes", got.len());
        }
    };
    futures::join!(sending, reading);
}

/// With the fault where it is, and nothing of the program left.
pub async fn a_line_that_is_too_long_ends_the_program(ground: &dyn LauncherGround) {
    let script = "echo first; head -c 3000000 /dev/zero | tr '\\0' x; sleep 1000";
    let (lines, error) = rest(start(ground, script).await).await;
    assert_eq!(lines, ["first"]);
    assert_eq!(
        (error.kind(), error.fault()),
        (ErrorKind::TooLarge, Fault::Upstream)
    );
    nothing_is_left(ground).await;
}

/// A last line without its end is none: it may be the beginning of one.
pub async fn an_end_is_told_after_what_was_written(ground: &dyn LauncherGround) {
    let script = "echo out; printf half; echo oops >&2; exit 3";
    let (lines, error) = rest(start(ground, script).await).await;
    assert_eq!(lines, ["out"]);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let report = error.report();
    assert!(
        report.contains("status 3") && report.contains("oops"),
        "{report}"
    );
    let (_, error) = rest(start(ground, "kill -9 $$").await).await;
    assert!(error.report().contains("SIGKILL"), "{}", error.report());
}

/// By the end of its input, which a program can take as it likes.
pub async fn dropping_ends_a_program_politely(ground: &dyn LauncherGround) {
    let folder = std::env::temp_dir().join(format!("{}-goodbye", ground.mark()));
    let mut polite = launch(ground, "echo ready; cat >&2; touch \"$GOODBYE\"");
    let path = folder.display().to_string();
    polite.environment.insert("GOODBYE".to_owned(), path.into());
    let launched = ground.launcher().launch(polite).await;
    let mut channel = launched.expect("it is started");
    channel
        .incoming
        .next()
        .await
        .expect("ready")
        .expect("ready");
    drop(channel);
    nothing_is_left(ground).await;
    let said = std::fs::remove_file(&folder);
    said.expect("it had the time to end by itself");
}

/// With all that it started.
pub async fn dropping_ends_what_does_not_want_to_end(ground: &dyn LauncherGround) {
    let mut channel = start(ground, FORKS).await;
    channel
        .incoming
        .next()
        .await
        .expect("ready")
        .expect("ready");
    assert!(
        ground.left_behind().await.len() >= 2,
        "the program and its child"
    );
    drop(channel);
    nothing_is_left(ground).await;
}

/// `PATH` is one that programs need.
pub async fn a_program_gets_its_variables_and_few_others(ground: &dyn LauncherGround) {
    let mut given = launch(
        ground,
        "echo \"$GIVEN\"; echo \"${PATH:+path}\"; env | grep -c CARGO_",
    );
    given
        .environment
        .insert("GIVEN".to_owned(), "a b\"c".into());
    let launched = ground
        .launcher()
        .launch(given)
        .await
        .expect("it is started");
    let (lines, _) = rest(launched).await;
    assert_eq!(lines, ["a b\"c", "path", "0"]);
    let mut illegal = launch(ground, "");
    illegal
        .environment
        .insert("NOT LEGAL".to_owned(), "s3cret".into());
    let error = ground
        .launcher()
        .launch(illegal)
        .await
        .expect_err("no such name");
    assert!(!error.report().contains("s3cret"), "{}", error.report());
}

/// Though it was an argument, too.
pub async fn no_secret_shows_in_an_error(ground: &dyn LauncherGround) {
    let mut talks = launch(ground, "echo \"about $KEY and $2\" >&2; exit 1");
    talks
        .environment
        .insert("KEY".to_owned(), "s3cret-variable".into());
    talks.arguments.push("--key=s3cret-variable".into());
    let launched = ground
        .launcher()
        .launch(talks)
        .await
        .expect("it is started");
    let (_, error) = rest(launched).await;
    let report = error.report();
    assert!(
        report.contains("about ") && !report.contains("s3cret"),
        "{report}"
    );
}

/// Whatever the end was, and soon.
pub async fn programs_end_with_their_host(ground: &dyn LauncherGround) {
    ground.kill_a_host().await;
    nothing_is_left(ground).await;
}
