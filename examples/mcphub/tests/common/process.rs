//! Child processes: read line by line, waited for with a bound, ended with all their group.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const POLL: Duration = Duration::from_millis(10);
/// How much of a child's standard error is kept for the message of a failed test.
const KEPT_STDERR: usize = 64 * 1024;
/// How long the rest of standard error is waited for after the end of a process: one that it
/// started, and that is still there, may hold it open.
const REST_OF_STDERR: Duration = Duration::from_secs(5);

/// A running child in a process group of its own, which is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    /// Tells nothing, and is disconnected when all of standard error was read.
    stderr_end: Receiver<()>,
}

impl Running {
    /// Starts `command` and gives it all of `input`.
    pub fn start(name: &str, command: &mut Command, input: &str) -> Self {
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut stdin = child.stdin.take().expect("a pipe was asked for");
        stdin
            .write_all(input.as_bytes())
            .unwrap_or_else(|error| panic!("{name} reads no input: {error}"));
        drop(stdin);
        let (send, stdout) = channel();
        let pipe = child.stdout.take().expect("a pipe was asked for");
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let pipe = child.stderr.take().expect("a pipe was asked for");
        let kept = stderr.clone();
        let (at_end, stderr_end) = channel();
        thread::spawn(move || {
            let _at_end = at_end;
            keep(pipe, &kept);
        });
        Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
            stderr_end,
        }
    }

    /// The next line of standard output; `None` when there will be no more.
    pub fn line(&self, deadline: Instant) -> Option<String> {
        match self
            .stdout
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail("said nothing more in time"),
        }
    }

    /// What was written to standard error so far, or the first 64 KiB of it.
    pub fn stderr(&self) -> String {
        self.stderr
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The id of the process, which is that of its group too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process, not to its group.
    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.group(), signal)
            .unwrap_or_else(|error| self.fail(&format!("cannot be sent {signal}: {error}")));
    }

    /// Waits until the process ends by itself, and has [`Self::stderr`] complete then.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                let _ = self.stderr_end.recv_timeout(REST_OF_STDERR);
                return status;
            }
            if Instant::now() > deadline {
                self.fail("did not end in time");
            }
            thread::sleep(POLL);
        }
    }

    /// Fails the test, with what the process said on standard error.
    pub fn fail(&self, what: &str) -> ! {
        panic!(
            "{} {what}; its standard error:\n{}",
            self.name,
            self.stderr()
        );
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id is an i32"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when the group is gone already, which is as good.
        let _ = killpg(self.group(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn keep(mut pipe: impl Read, kept: &Mutex<String>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_STDERR {
            kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }
}
