//! Opening a store by its URL.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mcphub_core::secret::KeyProvider;
use mcphub_core::store::Store;
use mcphub_core::tenant::Scope;
use mcphub_core::{Error, Result};

#[cfg(feature = "postgres")]
use crate::postgres;
use crate::scheme::scheme;
use crate::sql::{Keys, SqlStore};
#[cfg(feature = "sqlite")]
use crate::sqlite;
use crate::{MasterKey, MasterKeys};

/// Where a store is and what encrypts its credentials.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoreSettings {
    /// `sqlite:PATH`, a plain path, `sqlite::memory:`, or `postgres://…` as
    /// [`PostgresSettings::from_url`](postgres::PostgresSettings::from_url) reads it. Default
    /// `sqlite:mcphub.db`, which is in the working directory.
    pub url: String,
    keys: Option<Keys>,
    /// Whether a store that is not there is made; otherwise it is `NotFound`. Default true.
    pub create: bool,
    /// Whose servers the handle sees, and whose its changes are. Default the tenant `default` and
    /// the actor `system`.
    pub scope: Scope,
}

impl StoreSettings {
    /// Settings for a store at that URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            keys: None,
            create: true,
            scope: Scope::default(),
        }
    }

    /// Sets the key that everything secret is encrypted with in the end. By default it is in the file
    /// `mcphub.key` next to the database, which is made when it is missing; for a store in memory
    /// it is random. A server needs one.
    #[must_use]
    pub fn with_master_key(self, key: MasterKey) -> Self {
        self.with_master_keys(key.into())
    }

    /// Sets several keys, of which the first encrypts.
    #[must_use]
    pub fn with_master_keys(mut self, keys: MasterKeys) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// Lets another system, such as a key management service, encrypt the keys.
    #[must_use]
    pub fn with_key_provider(mut self, provider: Arc<dyn KeyProvider>) -> Self {
        self.keys = Some(Keys {
            provider,
            master: None,
        });
        self
    }

    /// Binds the handle to another tenant and actor.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Makes no store where there is none.
    #[must_use]
    pub fn existing(mut self) -> Self {
        self.create = false;
        self
    }

    /// The same for every process over the same store, and no secret. A file that was replaced by
    /// another is another store, and so is every one in memory. Blocks for a look at the file.
    pub fn identity(&self) -> String {
        match Location::parse(&self.url) {
            Ok(Location::File(path)) => file_identity(Path::new(path)),
            #[cfg(feature = "postgres")]
            Ok(Location::Server(url)) => postgres::PostgresSettings::from_url(url)
                .map_or_else(|_| String::new(), |settings| settings.location()),
            _ => format!("memory of process {}", std::process::id()),
        }
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
            .field("keys", &self.keys)
            .field("create", &self.create)
            .field("scope", &self.scope)
            .finish()
    }
}

/// Opens a store; creates it, and the folder it is in, when they are missing.
///
/// # Errors
/// `InvalidInput` for a URL that names no store, `Unsupported` for a kind that this build leaves
/// out, `NotFound` for an unknown tenant, otherwise those of the backend: [`sqlite::open`],
/// [`postgres::open`].
pub async fn open(settings: &StoreSettings) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(connect(settings).await?))
}

/// Like [`open`], and gives the handle as what it is, which can more: see
/// [`Tenants`](mcphub_core::store::Tenants).
///
/// # Errors
/// As [`open`].
pub async fn connect(settings: &StoreSettings) -> Result<SqlStore> {
    let store = reach(settings).await?;
    store.within(settings.scope.clone()).await
}

/// The version of the schema that this build makes and needs.
pub const SCHEMA: i64 = 14;

/// The version of the schema that a store has, which is left as it is; `None` where there is no
/// store.
///
/// # Errors
/// Those of reaching the database.
pub async fn schema(settings: &StoreSettings) -> Result<Option<i64>> {
    match Location::parse(&settings.url)? {
        #[cfg(feature = "sqlite")]
        Location::File(path) => sqlite::schema(Path::new(path)).await,
        #[cfg(feature = "postgres")]
        Location::Server(url) => {
            postgres::schema(&postgres::PostgresSettings::from_url(url)?).await
        }
        _ => Ok(None),
    }
}

async fn reach(settings: &StoreSettings) -> Result<SqlStore> {
    let keys = settings.keys.clone();
    match Location::parse(&settings.url)? {
        #[cfg(feature = "sqlite")]
        Location::File(path) if settings.create || Path::new(path).exists() => {
            sqlite::open_with(Path::new(path), keys).await
        }
        #[cfg(feature = "sqlite")]
        Location::File(path) => Err(Error::not_found(
            "there is no store here; `mcphub up` makes one, --store names another",
        )
        .with("path", path)),
        #[cfg(feature = "sqlite")]
        Location::Memory => sqlite::in_memory_with(keys).await,
        #[cfg(feature = "postgres")]
        Location::Server(url) => {
            let mut server = postgres::PostgresSettings::from_url(url)?;
            server.create = settings.create;
            postgres::open_with(&server, keys).await
        }
        #[cfg(not(feature = "postgres"))]
        Location::Server(_) => Err(Error::new(
            mcphub_core::ErrorKind::Unsupported,
            "this build has no PostgreSQL store; build mcphub-store with its feature `postgres`",
        )),
        #[cfg(not(feature = "sqlite"))]
        Location::File(_) | Location::Memory => {
            drop(keys);
            Err(Error::new(
                mcphub_core::ErrorKind::Unsupported,
                "this build has no SQLite store; build mcphub-store with its feature `sqlite`",
            ))
        }
    }
}

#[cfg(unix)]
fn file_identity(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match std::fs::metadata(&path) {
        Ok(file) => format!("{} {} {}", path.display(), file.dev(), file.ino()),
        Err(_) => path.display().to_string(),
    }
}

#[cfg(not(unix))]
fn file_identity(path: &Path) -> String {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}

/// What a URL names.
#[derive(PartialEq, Eq)]
enum Location<'a> {
    File(&'a str),
    Memory,
    /// With whatever password is in it.
    Server(&'a str),
}

impl fmt::Debug for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Memory => f.write_str("Memory"),
            Self::Server(_) => f.write_str("Server"),
        }
    }
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
            Some("postgres" | "postgresql") => return Ok(Self::Server(url)),
            Some(other) => {
                return Err(Error::invalid(
                    "there is no store of this kind; known are sqlite:PATH, a plain path, \
                     sqlite::memory: and postgres://USER:PASSWORD@HOST/DATABASE",
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

#[cfg(test)]
mod tests {
    use super::*;
    use mcphub_core::ErrorKind;

    #[cfg(all(feature = "sqlite", feature = "postgres"))]
    #[test]
    fn both_engines_have_the_same_schema() {
        assert_eq!(sqlite::newest_schema(), SCHEMA);
        assert_eq!(postgres::newest_schema(), SCHEMA);
    }

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
    fn an_unknown_kind_is_refused_and_its_password_stays_unsaid() {
        let url = "mysql://user:s3cret@db/mcphub";
        let error = Location::parse(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.report().contains("sqlite:PATH") && error.report().contains("mysql"));
        assert!(!error.report().contains("s3cret"));
        for url in [url, "postgres://user:s3cret@db/mcphub"] {
            assert!(!format!("{:?}", StoreSettings::new(url)).contains("s3cret"));
        }
    }

    #[test]
    fn a_url_without_a_file_or_with_parameters_is_refused() {
        for url in ["", "sqlite:", "sqlite://", "sqlite:a.db?mode=ro"] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        }
    }
}
