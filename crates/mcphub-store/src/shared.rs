//! State that the nodes of a hub share: which backend, by URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(all(feature = "redis", feature = "postgres")))]
use mcphub_core::ErrorKind;
use mcphub_core::shared::Shared;
use mcphub_core::{Error, Result};
use url::Url;

use crate::memory::MemoryCache;
use crate::scheme::scheme;

/// Where the shared state of a hub is.
#[derive(Clone)]
#[non_exhaustive]
pub struct SharedSettings {
    /// `memory:` for a hub with one node, the default; `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`,
    /// `rediss://…` with TLS, `redis+unix://PATH`; `postgres://…` as a store has it. After `?` it can
    /// set [`prefix`](Self::prefix), and `call_timeout`, in seconds, 1 to 60; that of a Redis cluster can
    /// name more of its servers, `addr=HOST:PORT` each, 15 at most.
    pub url: String,
    /// What names in Redis begin with, for several hubs on one. Default `mcphub`; lower-case letters,
    /// digits and `_`, 32 at most. In PostgreSQL the schema of the URL separates hubs.
    pub prefix: String,
    /// Whose state it is: tenants share nothing with each other. Default `default`.
    pub tenant: String,
    /// How many bytes of answers are kept; none without it, the default. In memory it is kept to at
    /// once, in PostgreSQL within a minute; Redis has its own `maxmemory`.
    pub cache: Option<u64>,
    /// How long one call may take. Default 1 s. After one that failed, others fail at once for 1 s.
    pub timeout: Duration,
}

impl SharedSettings {
    /// Settings for shared state at that URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Another prefix than `mcphub`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The state of another tenant than `default`.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Keeps so many bytes of answers.
    #[must_use]
    pub fn with_cache(mut self, size: u64) -> Self {
        self.cache = Some(size);
        self
    }

    /// Another limit than 1 s.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// The settings with what the URL says of them, and the URL without that.
    fn resolved(&self) -> Result<Self> {
        let mut resolved = self.clone();
        if self.url.contains('?') {
            // What is wrong with it is not told: it could show a part of a password.
            let malformed = || Error::invalid("the URL of the shared state cannot be read");
            let mut url = Url::parse(&self.url).map_err(|_| malformed())?;
            let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            url.set_query(None);
            for (name, value) in parameters {
                match name.as_str() {
                    "prefix" => resolved.prefix = value,
                    "call_timeout" => resolved.timeout = seconds(&value)?,
                    _ => {
                        url.query_pairs_mut().append_pair(&name, &value);
                    }
                }
            }
            resolved.url = url.into();
        }
        check_prefix(&resolved.prefix)?;
        if resolved.timeout.is_zero() {
            return Err(Error::invalid("a call of the shared state needs some time"));
        }
        Ok(resolved)
    }
}

fn seconds(value: &str) -> Result<Duration> {
    let seconds = value
        .parse()
        .ok()
        .filter(|seconds| (1..=60).contains(seconds));
    let seconds = seconds.ok_or_else(|| Error::invalid("call_timeout is from 1 to 60 seconds"))?;
    Ok(Duration::from_secs(seconds))
}

/// Names that need no quotes anywhere.
fn check_prefix(prefix: &str) -> Result<()> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = prefix.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && prefix.len() <= 32 && prefix.bytes().all(legal) {
        return Ok(());
    }
    Err(Error::invalid(
        "a prefix is 1 to 32 lower-case letters, digits and underscores, a letter first",
    ))
}

impl Default for SharedSettings {
    fn default() -> Self {
        Self {
            url: "memory:".to_owned(),
            prefix: "mcphub".to_owned(),
            tenant: "default".to_owned(),
            cache: None,
            timeout: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest of the URL can hold a password.
        f.debug_struct("SharedSettings")
            .field(
                "url",
                &format_args!("{}:…", scheme(&self.url).unwrap_or_default()),
            )
            .field("prefix", &self.prefix)
            .field("tenant", &self.tenant)
            .field("cache", &self.cache)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Connects to the shared state of a hub. It is reached within 5 s or not at all; what becomes of it
/// later is told by its calls.
///
/// # Errors
/// `InvalidInput` for a URL or a prefix that is none or not known, `Unsupported` for a backend that
/// this build leaves out; otherwise those of the backend.
pub async fn shared(settings: &SharedSettings) -> Result<Shared> {
    let settings = &settings.resolved()?;
    match scheme(&settings.url) {
        Some("memory") => Ok(match settings.cache {
            Some(size) => crate::memory::shared().with_cache(Arc::new(MemoryCache::new(size))),
            None => crate::memory::shared(),
        }),
        #[cfg(feature = "redis")]
        Some("redis" | "rediss" | "redis+unix" | "unix") => crate::redis::shared(settings).await,
        #[cfg(feature = "postgres")]
        Some("postgres" | "postgresql") => crate::postgres::shared(settings).await,
        #[cfg(not(feature = "postgres"))]
        Some("postgres" | "postgresql") => Err(left_out("PostgreSQL", "postgres")),
        #[cfg(not(feature = "redis"))]
        Some("redis" | "rediss" | "redis+unix" | "unix") => Err(left_out("Redis", "redis")),
        Some(other) => Err(Error::invalid(
            "there is no shared state of this kind; known are redis://, rediss:// and postgres://",
        )
        .with("kind", other.chars().take(32).collect::<String>())),
        None => Err(Error::invalid(
            "the shared state is named by a URL, such as redis://127.0.0.1:6379",
        )),
    }
}

#[cfg(not(all(feature = "redis", feature = "postgres")))]
fn left_out(system: &str, feature: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("this build knows no {system}; build mcphub-store with its feature `{feature}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcphub_core::ErrorKind;

    async fn refused(settings: SharedSettings) -> Error {
        shared(&settings).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_url_of_another_kind_is_refused_without_its_password() {
        let error = refused(SharedSettings::new("etcd://user:s3cret@host")).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.report().contains("etcd") && !error.report().contains("s3cret"));
        let error = refused(SharedSettings::new("127.0.0.1:6379")).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let debug = format!("{:?}", SharedSettings::new("redis://user:s3cret@host"));
        assert!(
            debug.contains("redis:…") && !debug.contains("s3cret"),
            "{debug}"
        );
    }

    #[test]
    fn a_url_can_set_prefix_and_limit() {
        let url = "redis://:s%20t@host:7/3?prefix=two&protocol=resp3&call_timeout=5";
        let settings = SharedSettings::new(url).resolved().unwrap();
        assert_eq!(settings.url, "redis://:s%20t@host:7/3?protocol=resp3");
        assert_eq!(
            (settings.prefix.as_str(), settings.timeout.as_secs()),
            ("two", 5)
        );
        let plain = SharedSettings::new("postgres://host/hub?prefix=two")
            .resolved()
            .unwrap();
        assert_eq!(plain.url, "postgres://host/hub");
        for wrong in [
            "call_timeout=0",
            "call_timeout=61",
            "call_timeout=x",
            "prefix=A",
        ] {
            assert!(
                SharedSettings::new(format!("redis://host?{wrong}"))
                    .resolved()
                    .is_err()
            );
        }
    }

    #[tokio::test]
    async fn a_prefix_is_a_name() {
        for prefix in ["", "A", "1a", "a-b", "a:b", "a b", &"a".repeat(33)] {
            let error = refused(SharedSettings::default().with_prefix(prefix)).await;
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{prefix:?}");
        }
    }
}
