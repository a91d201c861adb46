//! Reading that leaves others their turn.
//!
//! What a server sends may be there faster than it is read, so that whoever reads never waits and a
//! thread does nothing else. A task has a turn of 128 steps (Tokio's `coop`), and one of reading a
//! socket can be as long as hyper's buffer, 400 KiB: of a long answer, bytes are steps, too.

use tokio::task::coop::consume_budget;

/// How many bytes are a step, so that a turn is about half a megabyte. Most answers are shorter.
const STEP: usize = 4 * 1024;

/// Ends the turn of whoever has taken so many bytes, where it has been long enough.
pub(super) async fn took(bytes: usize) {
    for _ in 0..bytes / STEP {
        consume_budget().await;
    }
}
