//! Lines from a stream that nobody has checked yet.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A line that is being read. What was read of it is kept when the read is given up.
#[derive(Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    too_long: bool,
}

pub(super) enum Read {
    Line(Bytes),
    TooLong,
    End,
}

impl Line {
    /// The next line without its end. One longer than `limit` is skipped to its end.
    pub(super) async fn next<R: AsyncBufRead + Unpin>(
        &mut self,
        reader: &mut R,
        limit: usize,
    ) -> io::Result<Read> {
        loop {
            let available = reader.fill_buf().await?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let ended = end.is_some() || available.is_empty();
            let part = &available[..end.unwrap_or(available.len())];
            self.too_long |= self.bytes.len() + part.len() > limit;
            if self.too_long {
                self.bytes = Vec::new();
            } else {
                self.bytes.extend_from_slice(part);
            }
            let at_end = available.is_empty();
            let used = part.len() + usize::from(end.is_some());
            reader.consume(used);
            if !ended {
                continue;
            }
            let bytes = std::mem::take(&mut self.bytes);
            return Ok(match (std::mem::take(&mut self.too_long), at_end) {
                (true, _) => Read::TooLong,
                (false, true) if bytes.is_empty() => Read::End,
                (false, _) => Read::Line(bytes.into()),
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
        let mut reader = BufReader::with_capacity(7, text.as_bytes());
        let mut line = Line::default();
        let mut seen = Vec::new();
        loop {
            match line.next(&mut reader, 10).await.unwrap() {
                Read::Line(bytes) => seen.push(String::from_utf8(bytes.to_vec()).unwrap()),
                Read::TooLong => seen.push("too long".into()),
                Read::End => break,
            }
        }
        assert_eq!(seen, ["one", "too long", "", "two"]);
    }
}
