//! Jobs: work that is done once, by whichever node, and that outlives each of them.
//!
//! A node [claims](crate::store::JobStore::claim_job) a job for a time. When that runs out, because
//! the node is gone, the job is due again; so a job is done at least once, and has to bear being done
//! twice.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::server::ServerName;
use crate::{Error, Result};

/// What a job is called: what is to be done and, where there is more than one of that, a `/` and which.
/// Both have the form of a [`ServerName`]: `purge`, `refresh/shop`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct JobName(Arc<str>);

impl JobName {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = |part: &str| ServerName::new(part).is_ok();
        let is_legal = match name.split_once('/') {
            None => legal(name),
            Some((kind, which)) => legal(kind) && legal(which),
        };
        is_legal.then(|| Self(name.into())).ok_or_else(|| {
            Error::invalid("a job's name is KIND or KIND/WHICH, each of a-z, 0-9 and inner `-`")
                .with("name", name.chars().take(64).collect::<String>())
        })
    }

    /// What is to be done.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(kind, _)| kind)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for JobName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A job that is to be done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewJob {
    /// Unique in its tenant.
    pub name: JobName,
    /// What whoever does it has to know: JSON of at most [`Job::MAX_DETAIL`] bytes, without a secret.
    /// Default `null`.
    pub detail: Value,
    /// Not before, in Unix milliseconds. Default at once.
    pub due_at: i64,
    /// How often it is begun at most; 1 to [`Job::MAX_ATTEMPTS`]. Default 10.
    pub attempts: u32,
}

impl NewJob {
    /// A job that is due at once.
    pub fn new(name: JobName) -> Self {
        Self {
            name,
            detail: Value::Null,
            due_at: 0,
            attempts: 10,
        }
    }
}

/// A job that is not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Unique in its tenant.
    pub name: JobName,
    /// What whoever does it has to know.
    pub detail: Value,
    /// When it was made, in Unix milliseconds, as all times.
    pub created_at: i64,
    /// When somebody may claim it; of one that is claimed, when the claim ends.
    pub due_at: i64,
    /// How often it was begun.
    pub begun: u32,
    /// How often it is begun at most.
    pub attempts: u32,
    /// Why it failed the last time, if it did.
    pub error: Option<String>,
    /// Since when nobody tries any more, because it failed too often.
    pub failed_at: Option<i64>,
}

impl Job {
    /// The largest detail, in bytes.
    pub const MAX_DETAIL: usize = 64 * 1024;
    /// The most attempts.
    pub const MAX_ATTEMPTS: u32 = 100;
    /// The longest error that is kept, in characters.
    pub const MAX_ERROR: usize = 1_000;

    /// How long a job waits that failed so often, in milliseconds: a second, and twice as long each
    /// time, up to an hour.
    pub fn backoff(begun: u32) -> i64 {
        (1_000_i64 << begun.saturating_sub(1).min(12)).min(60 * 60 * 1_000)
    }
}

/// A job that a node does.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    /// The job; `begun` tells this claim from those before.
    pub job: Job,
}

impl ClaimedJob {
    /// What it is called.
    pub fn name(&self) -> &JobName {
        &self.job.name
    }
}

/// A page of jobs.
#[derive(Debug, Clone, Default)]
pub struct JobListing {
    /// Sorted by name.
    pub jobs: Vec<Job>,
    /// What to continue after, if there is more.
    pub next: Option<JobName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_done_and_to_what() {
        assert_eq!(JobName::new("purge").unwrap().kind(), "purge");
        assert_eq!(JobName::new("refresh/shop").unwrap().kind(), "refresh");
        for wrong in ["", "/", "a/", "/a", "a/b/c", "A", "a b"] {
            assert!(JobName::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_job_that_fails_waits_longer_each_time_up_to_an_hour() {
        let waits: Vec<_> = (0..5).map(Job::backoff).collect();
        assert_eq!(waits, [1_000, 1_000, 2_000, 4_000, 8_000]);
        assert_eq!(Job::backoff(13), 3_600_000);
        assert_eq!(Job::backoff(u32::MAX), 3_600_000);
    }
}
