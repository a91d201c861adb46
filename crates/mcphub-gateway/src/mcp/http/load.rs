//! Load shedding: what is too much is refused before its body is read, so that what is under way
//! ends in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use serde_json::value::to_raw_value;

use super::Refusal;
use crate::gateway::Inner;
use crate::mcp::error::RpcError;
use crate::mcp::result::RETRY_AFTER;

/// When to come again, in seconds: by then some requests have ended.
const AFTER: u64 = 1;

/// The requests that are under way over HTTP.
#[derive(Debug)]
pub(crate) struct Load {
    running: AtomicUsize,
    most: usize,
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Room<'a>(&'a Load);

/// One whose answer is a stream, until that ends.
#[derive(Debug)]
pub(super) struct Kept(Arc<Inner>);

impl Load {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            running: AtomicUsize::new(0),
            most,
        }
    }

    /// Room for one more request; `None` where there are as many as there may be.
    pub(super) fn room(&self) -> Option<Room<'_>> {
        let running = self.running.fetch_add(1, Ordering::Relaxed);
        let room = Room(self);
        (running < self.most).then_some(room)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Kept {
    /// Goes on counting a request that has room.
    pub(super) fn of(gateway: &Arc<Inner>) -> Self {
        gateway.load.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(gateway))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.load.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// HTTP 503 with `Retry-After` (RFC 9110, 15.6.4).
#[cold]
pub(super) fn shed() -> Response {
    let mut error = RpcError::refused(
        503,
        format!("The gateway is at as many requests as it may be; try again in {AFTER} s"),
    );
    error.data = to_raw_value(&json!({ RETRY_AFTER: AFTER })).ok();
    let mut response = Refusal::from(error).into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(AFTER));
    response
}
