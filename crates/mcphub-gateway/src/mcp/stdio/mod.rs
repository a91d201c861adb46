//! Stdio: one client over a pair of byte streams, one message a line.

mod line;

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::line::Lines;
use super::connection::{self, DRAIN, OUTPUT_QUEUE};
use crate::federation::Scope;
use crate::gateway::Inner;

/// Serves a client until its reader ends.
pub(crate) async fn serve<R, W>(
    gateway: &Arc<Inner>,
    scope: Scope,
    reader: R,
    writer: W,
) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin,
{
    let (output, lines) = mpsc::channel(OUTPUT_QUEUE);
    let messages = Lines::new(BufReader::new(reader), gateway.settings.body_limit);
    let reading = connection::serve(Arc::clone(gateway), scope, None, messages, output)?;
    tokio::pin!(reading);
    let writing = write(lines, writer);
    tokio::pin!(writing);
    tokio::select! {
        // The queue is closed once the client is dropped, so the writer ends after the reader.
        read = &mut reading => {
            let written = timeout(DRAIN, writing).await.unwrap_or(Ok(()));
            read.and(written)
        }
        // Nobody reads any more.
        written = &mut writing => written,
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut lines: mpsc::Receiver<String>,
    mut writer: W,
) -> io::Result<()> {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        writer.write_all(line.as_bytes()).await?;
        if lines.is_empty() {
            writer.flush().await?;
        }
    }
    writer.flush().await
}
