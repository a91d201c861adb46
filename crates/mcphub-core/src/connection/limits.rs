//! How patient a gateway is with a server at a URL.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Time-outs of a server at a URL, and how many connections to it are kept. What is not said is as
/// the gateway has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Limits {
    /// How long connecting may take, name lookup and TLS included, in seconds, 1 to 60. Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<u64>,
    /// How long the headers of an answer may take, connecting included, in seconds, 1 to 3,600.
    /// Default as long as a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout: Option<u64>,
    /// How long a streamed answer may be silent between two messages, in seconds, 1 to 3,600.
    /// Default as long as a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u64>,
    /// How long a request may take with all that is said until its answer, besides the time in which
    /// its client is asked, in seconds, 1 to 3,600. Default 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_timeout: Option<u64>,
    /// How many connections that are not in use are kept for each host, 0 to 1,024, each for at most
    /// 90 s. Default 1,024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_idle_connections: Option<u32>,
}

impl Limits {
    /// The longest that connecting may be given, in seconds.
    pub const MAX_CONNECT: u64 = 60;

    /// The longest that anything else may be given, in seconds.
    pub const MAX_SECONDS: u64 = 3_600;

    /// The most connections that are kept for a host.
    pub const MAX_IDLE: u32 = 1_024;

    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// A time in seconds, as one.
    pub fn seconds(given: Option<u64>) -> Option<Duration> {
        given.map(Duration::from_secs)
    }

    /// # Errors
    /// `InvalidInput` for what is out of its range, by its name.
    pub(super) fn check(&self) -> Result<()> {
        for (name, given, most) in [
            ("connect timeout", self.connect_timeout, Self::MAX_CONNECT),
            (
                "first byte timeout",
                self.first_byte_timeout,
                Self::MAX_SECONDS,
            ),
            ("idle timeout", self.idle_timeout, Self::MAX_SECONDS),
            ("total timeout", self.total_timeout, Self::MAX_SECONDS),
        ] {
            if given.is_some_and(|seconds| !(1..=most).contains(&seconds)) {
                let text = format!("the {name} of a server is 1 to {most} seconds");
                return Err(Error::invalid(text).with("seconds", given.unwrap_or_default()));
            }
        }
        match self
            .max_idle_connections
            .filter(|most| *most > Self::MAX_IDLE)
        {
            None => Ok(()),
            Some(most) => Err(Error::invalid(
                "at most 1,024 connections to a server are kept that are not in use",
            )
            .with("connections", most)),
        }
    }
}
