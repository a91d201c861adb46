//! What a process prints: kept line by line, within bounds, without the secrets it was given.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::Result;
use mcphub_core::deployment::{LogLine, LogStream};
use mcphub_core::secret::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

/// The longest line, in bytes; what follows is dropped.
const MAX_LINE: usize = 8 * 1024;

/// Shorter values are no secrets, and would tear up every line they happen to occur in.
const MIN_SECRET: usize = 6;

/// The last lines of one process, through its restarts.
pub(super) struct Output {
    origin: String,
    limit: usize,
    secrets: Vec<SecretString>,
    ring: Mutex<Ring>,
    /// The number of lines so far; closed when there will be no more.
    printed: Mutex<Option<watch::Sender<u64>>>,
    follower: watch::Receiver<u64>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    /// The number of the first line in `lines`, from 0.
    first: u64,
}

impl Output {
    /// Keeps `limit` lines; `origin` is what the lines are traced under. The parts of `secrets`
    /// are replaced wherever they are printed.
    pub fn new(
        origin: impl Into<String>,
        limit: usize,
        secrets: impl IntoIterator<Item = SecretString>,
    ) -> Arc<Self> {
        let mut secrets: Vec<SecretString> = secrets
            .into_iter()
            .flat_map(|secret| {
                secret
                    .expose_secret()
                    .lines()
                    .map(|line| line.trim().into())
                    .collect::<Vec<_>>()
            })
            .filter(|secret: &SecretString| secret.expose_secret().len() >= MIN_SECRET)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        let (printed, follower) = watch::channel(0);
        Arc::new(Self {
            origin: origin.into(),
            limit: limit.max(1),
            secrets,
            ring: Mutex::default(),
            printed: Mutex::new(Some(printed)),
            follower,
        })
    }

    /// Reads a stream to its end.
    pub async fn read(self: Arc<Self>, source: impl AsyncRead + Unpin, stream: LogStream) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        // So much that a secret on the edge is seen whole.
        let limit = MAX_LINE
            + self
                .secrets
                .first()
                .map_or(1, |secret| secret.expose_secret().len());
        // A stream that fails has ended.
        while let Ok(chunk) = source.fill_buf().await {
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            line.extend_from_slice(&part[..part.len().min(limit.saturating_sub(line.len()))]);
            let used = part.len() + usize::from(end.is_some());
            source.consume(used);
            if end.is_some() {
                self.push(stream, &line);
                line.clear();
            }
        }
        if !line.is_empty() {
            self.push(stream, &line);
        }
    }

    /// Says that nothing more will be printed: streams end.
    pub fn close(&self) {
        self.printed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// The number of lines printed so far.
    pub fn mark(&self) -> u64 {
        let ring = self.ring();
        ring.first + ring.lines.len() as u64
    }

    /// The last `count` lines since `mark`.
    pub fn tail(&self, mark: u64, count: usize) -> LastOutput {
        let ring = self.ring();
        let since = usize::try_from(mark.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let from = since.max(ring.lines.len().saturating_sub(count));
        LastOutput(
            ring.lines
                .iter()
                .skip(from)
                .map(|line| line.text.clone())
                .collect(),
        )
    }

    /// The lines that are kept, then those that follow. A reader that is slower than the process
    /// misses the lines that the ring has dropped meanwhile.
    pub fn follow(self: &Arc<Self>) -> BoxStream<'static, Result<LogLine>> {
        let start = (Arc::clone(self), self.follower.clone(), 0);
        stream::unfold(start, |(output, mut printed, mut next)| async move {
            loop {
                printed.mark_unchanged();
                if let Some((number, line)) = output.at_or_after(next) {
                    next = number + 1;
                    return Some((Ok(line), (output, printed, next)));
                }
                // An error means that the output is closed; a line may have come just before.
                if printed.changed().await.is_err() {
                    let (number, line) = output.at_or_after(next)?;
                    return Some((Ok(line), (output, printed, number + 1)));
                }
            }
        })
        .boxed()
    }

    fn at_or_after(&self, number: u64) -> Option<(u64, LogLine)> {
        let ring = self.ring();
        let number = number.max(ring.first);
        let index = usize::try_from(number - ring.first).ok()?;
        Some((number, ring.lines.get(index)?.clone()))
    }

    fn push(&self, stream: LogStream, line: &[u8]) {
        let mut text =
            String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), "[redacted]");
            }
        }
        let mut end = text.len().min(MAX_LINE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        tracing::debug!(target: "mcphub_deploy::output", origin = %self.origin, ?stream, "{text}");
        let mut ring = self.ring();
        if ring.lines.len() == self.limit {
            ring.lines.pop_front();
            ring.first += 1;
        }
        ring.lines.push_back(LogLine { stream, text });
        drop(ring);
        if let Some(printed) = &*self.printed.lock().unwrap_or_else(PoisonError::into_inner) {
            printed.send_modify(|count| *count += 1);
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Every change of the ring is whole, so that a panic elsewhere leaves it usable.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of what a process printed, as the cause of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastOutput(pub Vec<String>);

impl fmt::Display for LastOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("it printed nothing");
        }
        f.write_str("its last output was:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl StdError for LastOutput {}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(output: &Arc<Output>, bytes: &[u8]) {
        Arc::clone(output).read(bytes, LogStream::Stdout).await;
    }

    #[tokio::test]
    async fn lines_are_cut_and_only_the_last_are_kept() {
        let output = Output::new("x", 3, []);
        let long = "x".repeat(3 * MAX_LINE);
        read(&output, format!("1\n2\r\n{long}\né\n5").as_bytes()).await;
        let texts = output.tail(0, 20).0;
        assert_eq!(texts.len(), 3);
        assert_eq!(texts[0].len(), MAX_LINE);
        assert_eq!(texts[2], "5");
        assert_eq!(output.mark(), 5);
        assert_eq!(output.tail(4, 20).0, ["5"]);
        assert_eq!(output.tail(0, 1).0, ["5"]);
    }

    #[tokio::test]
    async fn bytes_that_are_no_utf8_are_replaced() {
        let output = Output::new("x", 3, []);
        read(&output, b"a\xff\xfeb\r\n").await;
        assert_eq!(output.tail(0, 1).0, ["a\u{fffd}\u{fffd}b"]);
    }

    #[tokio::test]
    async fn secrets_are_replaced_and_short_values_are_none() {
        let output = Output::new(
            "x",
            9,
            [
                "sesame-open".into(),
                "line-one\nline-two".into(),
                "ab".into(),
            ],
        );
        read(&output, b"about sesame-open sesame\nline-two\n").await;
        assert_eq!(
            output.tail(0, 9).0,
            ["about [redacted] sesame", "[redacted]"]
        );
    }

    #[tokio::test]
    async fn followers_get_what_is_kept_then_what_comes_then_the_end() {
        let output = Output::new("x", 2, []);
        read(&output, b"1\n2\n3\n").await;
        let mut lines = output.follow().map(|line| line.unwrap().text);
        assert_eq!(lines.next().await.unwrap(), "2");
        assert_eq!(lines.next().await.unwrap(), "3");
        let writer = async {
            tokio::task::yield_now().await;
            read(&output, b"4\n").await;
            output.close();
        };
        let (rest, ()) = tokio::join!(lines.collect::<Vec<_>>(), writer);
        assert_eq!(rest, ["4"]);
    }
}
