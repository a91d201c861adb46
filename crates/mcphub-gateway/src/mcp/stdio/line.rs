//! Lines from a stream that nobody has checked yet.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use crate::mcp::connection::{Messages, Read};

/// Lines without their ends, each of at most `limit` bytes. What was read of one is kept when the
/// read is given up.
pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    bytes: Vec<u8>,
    too_long: bool,
}

impl<R> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            limit,
            bytes: Vec::new(),
            too_long: false,
        }
    }
}

impl<R: AsyncBufRead + Send + Unpin> Messages for Lines<R> {
    /// A line that is longer is skipped to its end.
    async fn next(&mut self) -> io::Result<Read> {
        loop {
            let available = self.reader.fill_buf().await?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let ended = end.is_some() || available.is_empty();
            let part = &available[..end.unwrap_or(available.len())];
            self.too_long |= self.bytes.len() + part.len() > self.limit;
            if self.too_long {
                self.bytes = Vec::new();
            } else {
                self.bytes.extend_from_slice(part);
            }
            let at_end = available.is_empty();
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if !ended {
                continue;
            }
            let bytes = std::mem::take(&mut self.bytes);
            return Ok(match (std::mem::take(&mut self.too_long), at_end) {
                (true, _) => Read::TooLong,
                (false, true) if bytes.is_empty() => Read::End,
                (false, _) => Read::Message(bytes.into()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    #[tokio::test]
    async fn lines_are_bounded_and_the_next_one_is_read() {
        let text = format!("one\n{}\n\ntwo", "x".repeat(100));
        let mut lines = Lines::new(BufReader::with_capacity(7, text.as_bytes()), 10);
        let mut seen = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Read::Message(bytes) => seen.push(String::from_utf8(bytes.to_vec()).unwrap()),
                Read::TooLong => seen.push("too long".into()),
                Read::End => break,
            }
        }
        assert_eq!(seen, ["one", "too long", "", "two"]);
    }
}
