//! What is counted while the gateway serves, and how an operator reads it: OpenMetrics 1.0 text,
//! which Prometheus scrapes.
//!
//! Counting is a few atomic additions in places of the gateway's own and is always on; text is made
//! of it when somebody asks, off the runtime. Labels are names of servers, of which so many are told
//! apart, and words that are written in here: never anything that a client sends.

mod exposition;
mod meter;
mod process;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mcphub_core::server::ServerName;

use crate::gateway::Inner;
use crate::health;

pub use self::meter::Meter;
pub(crate) use self::meter::{CallKind, Counted, Ended, Looked};

/// The most servers that are counted each for itself, the first that come; the others are counted
/// together.
pub(crate) const MAX_NAMED: usize = 1_000;

/// OpenMetrics 1.0, "Content Type".
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The statuses of answers that are told apart.
const STATUSES: [u16; 16] = [
    200, 202, 204, 400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 429, 500, 503,
];

/// What a gateway counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    servers: Mutex<HashMap<ServerName, Arc<Meter>>>,
    /// Of servers that are too many to be told apart.
    others: Arc<Meter>,
    /// By [`STATUSES`], and then all others.
    answers: [AtomicU64; STATUSES.len() + 1],
    sessions_begun: AtomicU64,
    sessions_ended: AtomicU64,
    snapshots: AtomicU64,
    snapshot_micros: AtomicU64,
    catalogs: AtomicU64,
    catalog_micros: AtomicU64,
}

impl Metrics {
    /// What counts a server. It stays the same for its name, also when it is registered anew.
    pub(crate) fn of(&self, server: &ServerName) -> Arc<Meter> {
        let mut servers = self.servers();
        if let Some(meter) = servers.get(server) {
            return Arc::clone(meter);
        }
        if servers.len() >= MAX_NAMED {
            return Arc::clone(&self.others);
        }
        let meter = Arc::<Meter>::default();
        servers.insert(server.clone(), Arc::clone(&meter));
        meter
    }

    /// An answer goes to a client over HTTP.
    pub(crate) fn answered(&self, response: Response) -> Response {
        let status = response.status().as_u16();
        let at = STATUSES.binary_search(&status).unwrap_or(STATUSES.len());
        if let Some(counter) = self.answers.get(at) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        response
    }

    pub(crate) fn session_begun(&self) {
        self.sessions_begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn session_ended(&self) {
        self.sessions_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// The lists were made anew, which took so long.
    pub(crate) fn published(&self, took: Duration) {
        count(&self.snapshots, &self.snapshot_micros, took);
    }

    /// A catalogue was read and taken over, which took so long.
    pub(crate) fn caught_up(&self, took: Duration) {
        count(&self.catalogs, &self.catalog_micros, took);
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<ServerName, Arc<Meter>>> {
        // Each change is made whole before anything in it can panic.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(times: &AtomicU64, micros: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    times.fetch_add(1, Ordering::Relaxed);
    micros.fetch_add(took, Ordering::Relaxed);
}

/// `GET /metrics`, and `GET /healthz` with all that it has, for operators.
pub(crate) fn router(gateway: Arc<Inner>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(whole_health))
        .with_state(gateway)
}

async fn metrics(State(gateway): State<Arc<Inner>>) -> Response {
    // With many servers that is a lot of text.
    let text = tokio::task::spawn_blocking(move || exposition::text(gateway)).await;
    match text {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn whole_health(State(gateway): State<Arc<Inner>>) -> Response {
    health::answer(&gateway, &health::Seen::All)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_servers_are_told_apart_and_those_stay_who_they_are() {
        let metrics = Metrics::default();
        let name = |number: usize| ServerName::new(format!("s{number}")).unwrap();
        let first = metrics.of(&name(0));
        for number in 1..MAX_NAMED {
            assert!(!Arc::ptr_eq(&metrics.of(&name(number)), &metrics.others));
        }
        assert!(Arc::ptr_eq(&metrics.of(&name(MAX_NAMED)), &metrics.others));
        assert!(Arc::ptr_eq(&metrics.of(&name(0)), &first));
        assert_eq!(metrics.servers().len(), MAX_NAMED);
    }

    #[test]
    fn statuses_are_in_order_as_they_are_searched() {
        assert!(STATUSES.is_sorted());
    }
}
