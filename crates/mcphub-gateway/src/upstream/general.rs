//! The general HTTP client: TLS, proxies, redirects.

use std::fmt;
use std::sync::Arc;

use mcphub_core::{Error, Result};
use reqwest::{Client, ClientBuilder};
use tokio::sync::OnceCell;

use super::http;

/// A client that is made by whoever needs it first. Making one reads all authorities that the system
/// trusts, a good part of what a start takes, and where all servers speak plain HTTP nobody needs it.
/// A clone shares it.
#[derive(Clone)]
pub(crate) struct General(Arc<Inner>);

type Settings = Arc<dyn Fn() -> Result<ClientBuilder> + Send + Sync>;

enum Inner {
    Made(Client),
    Later {
        client: OnceCell<Client>,
        settings: Settings,
    },
}

impl General {
    /// One with these settings.
    ///
    /// # Errors
    /// Those of the settings, which are asked for now and again when the client is made.
    pub(super) fn later(
        settings: impl Fn() -> Result<ClientBuilder> + Send + Sync + 'static,
    ) -> Result<Self> {
        drop(settings()?);
        Ok(Self(Arc::new(Inner::Later {
            client: OnceCell::new(),
            settings: Arc::new(settings),
        })))
    }

    /// The client.
    ///
    /// # Errors
    /// `Internal` when it cannot be made; whoever needs it next tries again.
    pub(crate) async fn get(&self) -> Result<&Client> {
        match &*self.0 {
            Inner::Made(client) => Ok(client),
            Inner::Later { client, settings } => {
                client.get_or_try_init(|| make(Arc::clone(settings))).await
            }
        }
    }
}

/// Reads files: not on the runtime.
async fn make(settings: Settings) -> Result<Client> {
    let making = tokio::task::spawn_blocking(move || http::build(settings()?));
    making
        .await
        .map_err(|error| Error::internal("making an HTTP client broke off").caused_by(error))?
}

impl From<Client> for General {
    fn from(client: Client) -> Self {
        Self(Arc::new(Inner::Made(client)))
    }
}

impl fmt::Debug for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = match &*self.0 {
            Inner::Made(_) => true,
            Inner::Later { client, .. } => client.initialized(),
        };
        f.debug_struct("General").field("made", &made).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_client_is_made_once_by_who_needs_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let general = General::later(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            http::builder(Duration::from_secs(1), 0)
        });
        let general = general.unwrap();
        assert_eq!(format!("{general:?}"), "General { made: false }");
        let clone = general.clone();
        let (one, other) = futures::join!(general.get(), clone.get());
        assert!(one.is_ok() && other.is_ok());
        // Once more than the settings were checked.
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(format!("{general:?}"), "General { made: true }");
    }
}
