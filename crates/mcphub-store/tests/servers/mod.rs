//! The servers that tests run against.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcphub_store::SharedSettings;

pub mod double;

/// Settings for fresh shared state in the Redis that `MCPHUB_TEST_REDIS` names; `None`, with a word
/// about it, where it is not set.
pub fn redis() -> Option<SharedSettings> {
    let url = url("MCPHUB_TEST_REDIS")?;
    Some(patient(SharedSettings::new(url).with_prefix(unique())))
}

/// The same in the cluster that `MCPHUB_TEST_REDIS_CLUSTER` names.
pub fn redis_cluster() -> Option<SharedSettings> {
    let url = url("MCPHUB_TEST_REDIS_CLUSTER")?;
    Some(patient(SharedSettings::new(url).with_prefix(unique())))
}

/// The same in the PostgreSQL that `MCPHUB_TEST_POSTGRES` names.
pub fn postgres() -> Option<SharedSettings> {
    let url = url("MCPHUB_TEST_POSTGRES")?;
    Some(patient(SharedSettings::new(format!(
        "{url}?schema={}",
        unique()
    ))))
}

/// How soon it answers is another matter than what: other tests keep the machine busy.
fn patient(settings: SharedSettings) -> SharedSettings {
    settings.with_timeout(Duration::from_secs(20))
}

#[allow(clippy::print_stderr, reason = "a test has no other way to say it")]
fn url(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        eprintln!("NOT RUN: set {variable}, as `scripts/test-servers.sh run` does");
    }
    url
}

/// A name that no other test has, on servers that are used for long.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let began = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_micros();
    format!("t{:x}_{began:x}_{number}", std::process::id())
}
