//! A process group that ends with its host.
//!
//! A host that is killed runs no code, so the kernel has to tell its servers. Linux has a signal
//! for it (`PR_SET_PDEATHSIG`), which fires when the forking *thread* ends, reaches the child alone
//! and not what the child started, is lost over a set-user-id `exec`, and takes `unsafe` code
//! between fork and exec. A pipe has none of these faults and works on every Unix: the group's
//! standard input is a pipe whose only write end is the host's. A shell puts a watcher into the
//! group, then becomes the server. When the host ends, however it ends, the kernel closes the pipe,
//! the watcher reads the end of file and kills the group, itself included.
//!
//! The watcher has two more uses. As a member it keeps the group's id from being used again, so
//! that killing what a server left behind can not hit a stranger. And it is no child of the server
//! (it is forked twice), so that a server which waits for all its children does not wait for it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

/// The server's standard input is empty, and it does not inherit the life-line. Signals that ask a
/// group to end are for the server; the watcher stays until the pipe is closed or it is killed.
const LIFELINE: &str = "\
exec 3<&0 </dev/null
( ( trap '' HUP INT QUIT TERM PIPE; exec >/dev/null 2>&1; read -r _ <&3; kill -KILL 0 ) & )
exec 3<&-
exec \"$@\"
";

/// The same for a program that is spoken to, whose input is its own: the life-line is the other
/// direction of the socket that is its standard error.
const SPOKEN_TO: &str = "\
exec 3<&2
( ( trap '' HUP INT QUIT TERM PIPE; exec </dev/null >/dev/null 2>&1; read -r _ <&3; kill -KILL 0 ) & )
exec 3<&-
exec \"$@\"
";

/// How long the kernel gets to end a killed group. A process in an uninterruptible wait takes longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Clone)]
pub(super) struct Start {
    pub executable: PathBuf,
    pub arguments: Vec<OsString>,
    pub directory: PathBuf,
    /// The whole environment. Names are POSIX names: a shell drops others.
    pub environment: Vec<(OsString, OsString)>,
}

impl Start {
    /// The command under a shell script, in a group of its own, with pipes for input and output.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, "sh"])
            .arg(&self.executable)
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        command
    }
}

/// A running group. Dropping it kills every process in it.
pub(super) struct Group {
    leader: Child,
    id: Pid,
    gone: bool,
    _lifeline: Lifeline,
}

/// The host's end, which the kernel closes when the host ends.
enum Lifeline {
    Input { _pipe: Option<ChildStdin> },
    Error { _socket: OwnedWriteHalf },
}

/// A group that is spoken to, with its standard input, output and error.
pub(super) type SpokenTo = (Group, ChildStdin, ChildStdout, OwnedReadHalf);

impl Group {
    /// Starts a command as the leader of a group of its own, and gives its output.
    pub fn start(start: &Start) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut leader = start.command(LIFELINE).stderr(Stdio::piped()).spawn()?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        // A child that was just started has all of these; taking `stdin` out matters, since
        // waiting for the child would close it.
        let (Some(id), Some(stdout), Some(stderr)) =
            (id, leader.stdout.take(), leader.stderr.take())
        else {
            return Err(io::Error::other("the process has no id or no output"));
        };
        let lifeline = leader.stdin.take();
        Ok((
            Self {
                leader,
                id: Pid::from_raw(id),
                gone: false,
                _lifeline: Lifeline::Input { _pipe: lifeline },
            },
            stdout,
            stderr,
        ))
    }

    /// Starts a command like [`Group::start`], and gives what it is spoken to through.
    pub fn start_spoken_to(start: &Start) -> io::Result<SpokenTo> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let stderr = Stdio::from(OwnedFd::from(theirs));
        let mut leader = start.command(SPOKEN_TO).stderr(stderr).spawn()?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        let (Some(id), Some(stdin), Some(stdout)) = (id, leader.stdin.take(), leader.stdout.take())
        else {
            return Err(io::Error::other("the process has no id, input or output"));
        };
        let (stderr, lifeline) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let group = Self {
            leader,
            id: Pid::from_raw(id),
            gone: false,
            _lifeline: Lifeline::Error { _socket: lifeline },
        };
        Ok((group, stdin, stdout, stderr))
    }

    /// Waits until the leader ends. May be dropped and called again.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait().await
    }

    /// Whether the leader has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.leader.try_wait(), Ok(None))
    }

    /// Asks the group to end, and kills what is left of it as soon as the leader has ended, at the
    /// latest after `patience`.
    pub async fn stop(&mut self, patience: Duration) {
        if self.is_running() {
            // An error means that the group is gone already.
            let _ = killpg(self.id, Signal::SIGTERM);
            let _ = timeout(patience, self.leader.wait()).await;
        }
        self.kill().await;
    }

    /// Kills every process of the group and waits until none runs, at most [`KILL_TIMEOUT`].
    pub async fn kill(&mut self) {
        let deadline = Instant::now() + KILL_TIMEOUT;
        let _ = killpg(self.id, Signal::SIGKILL);
        let _ = timeout(KILL_TIMEOUT, self.leader.wait()).await;
        while !self.is_empty().await && Instant::now() < deadline {
            sleep(Duration::from_millis(2)).await;
            // A process that was being forked when the signal came can be missed by it.
            let _ = killpg(self.id, Signal::SIGKILL);
        }
        self.gone = true;
    }

    /// Whether no process of the group runs. Its zombies are no longer there for anybody, and an
    /// init that reaps them late is not waited for.
    async fn is_empty(&self) -> bool {
        // Where this process is process 1 of a container, orphans are its own to reap.
        let members = Pid::from_raw(-self.id.as_raw());
        while let Ok(status) = waitpid(members, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                return false;
            }
        }
        if killpg(self.id, None) == Err(Errno::ESRCH) {
            return true;
        }
        let id = self.id.as_raw();
        cfg!(target_os = "linux")
            && tokio::task::spawn_blocking(move || only_zombies(id))
                .await
                .unwrap_or(false)
    }
}

/// Whether `/proc` shows no process of the group but zombies.
fn only_zombies(group: i32) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let runs = |stat: String| {
        // proc(5): `pid (name) state ppid pgrp …`; the name may have any character.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let (state, _, member_of) = (fields.next()?, fields.next()?, fields.next()?);
        Some(!matches!(state, "Z" | "X") && member_of.parse() == Ok(group))
    };
    !processes
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .any(|stat| runs(stat).unwrap_or(false))
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.gone {
            let _ = killpg(self.id, Signal::SIGKILL);
        }
    }
}

/// How a process ended, for a person.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was ended by {}", signal.as_str()),
            Err(_) => format!("was ended by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}
