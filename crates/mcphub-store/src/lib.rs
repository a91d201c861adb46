//! What mcphub keeps.
//!
//! | module | holds |
//! |---|---|
//! | [`sqlite`] | the [`Store`] in one file, the default |
//! | [`memory`] | the event bus of a single process |
//! | [`master_key`], [`vault`] | how credentials are encrypted before any backend sees them |
//!
//! [`open`] picks the backend by URL. It needs a tokio runtime, which the host starts.

use std::fmt;
use std::sync::Arc;

use mcphub_core::store::Store;
use mcphub_core::{Error, ErrorKind, Result};

pub mod master_key;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod vault;

pub use master_key::MasterKey;

/// Where a store is and what encrypts its credentials.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoreSettings {
    /// `sqlite:PATH`, a plain path, or `sqlite::memory:`. Default `sqlite:mcphub.db`, which is in
    /// the working directory.
    pub url: String,
    /// The key that credentials are encrypted with. By default the file `mcphub.key` next to the
    /// database, made when it is missing; for a store in memory a random key.
    pub master_key: Option<MasterKey>,
}

impl StoreSettings {
    /// Settings for a store at that URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            master_key: None,
        }
    }

    /// Replaces the key file by a key.
    #[must_use]
    pub fn with_master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::new("sqlite:mcphub.db")
    }
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL of a database server can hold a password.
        let url = match Location::parse(&self.url) {
            Ok(location) => format!("{location:?}"),
            Err(_) => "…".to_owned(),
        };
        f.debug_struct("StoreSettings")
            .field("url", &url)
            .field("master_key", &self.master_key)
            .finish()
    }
}

/// Opens a store; creates it, and the folder it is in, when they are missing.
///
/// # Errors
/// `Unsupported` for a URL of no known kind, otherwise those of the backend, such as
/// [`sqlite::SqliteStore::open`].
pub async fn open(settings: &StoreSettings) -> Result<Arc<dyn Store>> {
    let key = settings.master_key.clone();
    match Location::parse(&settings.url)? {
        #[cfg(feature = "sqlite")]
        Location::File(path) => Ok(Arc::new(sqlite::SqliteStore::open(path, key).await?)),
        #[cfg(feature = "sqlite")]
        Location::Memory => Ok(Arc::new(sqlite::SqliteStore::in_memory(key).await?)),
        #[cfg(not(feature = "sqlite"))]
        Location::File(_) | Location::Memory => {
            drop(key);
            Err(Error::new(
                ErrorKind::Unsupported,
                "this build has no SQLite store; build mcphub-store with its feature `sqlite`",
            ))
        }
    }
}

/// What a URL names.
#[derive(Debug, PartialEq, Eq)]
enum Location<'a> {
    File(&'a str),
    Memory,
}

impl<'a> Location<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let path = match scheme(url) {
            None => url,
            Some("sqlite") => {
                let rest = &url["sqlite:".len()..];
                if rest == ":memory:" {
                    return Ok(Self::Memory);
                }
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.contains('?') {
                    return Err(Error::invalid(
                        "a store's `sqlite:PATH` takes no parameters after `?`",
                    ));
                }
                path
            }
            Some(other) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "there is no store of this kind; known are sqlite:PATH, a plain path, and \
                     sqlite::memory:",
                )
                .with("kind", other.chars().take(32).collect::<String>()));
            }
        };
        if path.is_empty() || path.contains('\0') {
            return Err(Error::invalid(
                "the store's URL names no file; write sqlite:PATH, such as sqlite:mcphub.db",
            ));
        }
        Ok(Self::File(path))
    }
}

/// The scheme (RFC 3986 section 3.1). A single letter is the drive of a Windows path.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(legal);
    is_scheme.then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_or_a_path_names_a_file() {
        for (url, path) in [
            ("sqlite:mcphub.db", "mcphub.db"),
            ("sqlite://mcphub.db", "mcphub.db"),
            ("sqlite:///var/lib/mcphub.db", "/var/lib/mcphub.db"),
            ("./a:b.db", "./a:b.db"),
            ("C:\\mcphub.db", "C:\\mcphub.db"),
        ] {
            assert_eq!(Location::parse(url).unwrap(), Location::File(path), "{url}");
        }
        assert_eq!(
            Location::parse("sqlite::memory:").unwrap(),
            Location::Memory
        );
    }

    #[test]
    fn an_unknown_kind_is_unsupported_and_its_password_stays_unsaid() {
        let url = "postgres://user:s3cret@db/mcphub";
        let error = Location::parse(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.report().contains("sqlite:PATH") && error.report().contains("postgres"));
        assert!(!error.report().contains("s3cret"));
        assert!(!format!("{:?}", StoreSettings::new(url)).contains("s3cret"));
    }

    #[test]
    fn a_url_without_a_file_or_with_parameters_is_refused() {
        for url in ["", "sqlite:", "sqlite://", "sqlite:a.db?mode=ro"] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        }
    }
}
