//! Limits of the requests that the gateway makes itself, and the client that keeps them.

use std::sync::Arc;
use std::time::Duration;

use mcphub_core::Result;
use mcphub_core::secret::SecretString;

use super::address::PublicOnly;
use super::budget::Budget;
use super::propagators::Propagators;
use crate::upstream::direct::Direct;
use crate::upstream::general::General;
use crate::upstream::http;

/// The most connections to one API without TLS that are kept while nobody uses them.
const MAX_IDLE: usize = 512;

/// Limits of one HTTP request of a native tool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeSettings {
    /// How long connecting may take, name lookup and TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// How long the whole call may take, to the last byte of the answer. Default 30 s.
    pub timeout: Duration,
    /// The largest answer in bytes, after decompression. Default 10 MiB.
    pub max_response: usize,
    /// How many bytes of large answers, those over 64 KiB, there may be at once over all calls,
    /// from the first byte read to the last one that the caller took. Another one waits within its
    /// `timeout`. One whose size is not stated counts as `max_response` until it is read. Default
    /// 64 MiB. As results they take up to three times that.
    pub max_held: usize,
    /// How many redirects are followed, all within one origin. Default 5.
    pub max_redirects: usize,
    /// How often a request that is safe to repeat goes again where the API answers 429 or 503 with
    /// `Retry-After`, all within `timeout`. Default 2; none are repeated at 0. Otherwise one goes
    /// once more, after 100 ms, where there was no connection, so that nothing was sent, and one
    /// that is safe to repeat also where the connection broke before there was an answer.
    pub max_retries: u32,
    /// The longest `Retry-After` that is waited for; a longer one is told in the error. Default 10 s.
    pub max_retry_wait: Duration,
    /// The largest structured answer in bytes that is checked against the tool's output schema; a
    /// check takes many times the memory of the answer. Default 1 MiB.
    pub max_checked_output: usize,
    /// Whether calls to addresses of this machine and of private networks are refused, whatever
    /// document or base URL leads there; names are judged by what they resolve to. A proxy of the
    /// system's would resolve them elsewhere, and is not used then. Default false.
    pub refuse_private_addresses: bool,
    /// What of a call's trace goes to the API.
    pub propagators: Propagators,
}

impl Default for NativeSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_response: 10 * 1024 * 1024,
            max_held: 64 * 1024 * 1024,
            max_redirects: 5,
            max_retries: 2,
            max_retry_wait: Duration::from_secs(10),
            max_checked_output: 1024 * 1024,
            refuse_private_addresses: false,
            propagators: Propagators::default(),
        }
    }
}

/// The connections of native tools, pooled by host, and their limits. A clone shares both.
#[derive(Debug, Clone)]
pub struct NativeClient {
    http: General,
    /// Those to APIs that need neither TLS nor a proxy.
    pub(super) direct: Direct,
    pub(in crate::upstream) settings: Arc<NativeSettings>,
    pub(super) budget: Budget,
    /// Trusted besides the system's, in PEM.
    authorities: Option<Arc<str>>,
}

impl NativeClient {
    /// A client that keeps these limits.
    ///
    /// # Errors
    /// `Internal` when the process has not installed a rustls crypto provider.
    pub fn new(settings: NativeSettings) -> Result<Self> {
        let settings = Arc::new(settings);
        let public_only = settings.refuse_private_addresses;
        let ours = Arc::clone(&settings);
        Ok(Self {
            http: General::later(move || builder(&ours))?,
            direct: Direct::new(settings.connect_timeout, MAX_IDLE, public_only),
            budget: Budget::new(settings.max_held),
            settings,
            authorities: None,
        })
    }

    /// This client, or one with connections of its own that trusts further authorities.
    ///
    /// # Errors
    /// `InvalidInput` when there is no certificate in PEM, or one that cannot be read.
    pub fn trusting(&self, authorities: Option<&str>) -> Result<Self> {
        match authorities {
            None => Ok(self.clone()),
            Some(pem) => Self {
                authorities: Some(pem.into()),
                ..self.clone()
            }
            .rebuilt(None),
        }
    }

    /// A client with connections of its own that shows a certificate where a server asks for one.
    ///
    /// # Errors
    /// `InvalidInput` when there is no certificate with its private key in PEM.
    pub fn identified(&self, identity: &SecretString) -> Result<Self> {
        self.rebuilt(Some(identity))
    }

    fn rebuilt(&self, identity: Option<&SecretString>) -> Result<Self> {
        let builder = builder(&self.settings)?;
        let http = http::certified(builder, self.authorities.as_deref(), identity)?;
        Ok(Self {
            http: http.into(),
            ..self.clone()
        })
    }

    /// What goes over TLS or a proxy, and what leads elsewhere.
    ///
    /// # Errors
    /// As [`General::get`].
    pub(in crate::upstream) async fn http(&self) -> Result<&reqwest::Client> {
        self.http.get().await
    }
}

fn builder(settings: &NativeSettings) -> Result<reqwest::ClientBuilder> {
    let builder = http::builder(settings.connect_timeout, settings.max_redirects)?;
    Ok(if settings.refuse_private_addresses {
        builder.dns_resolver(Arc::new(PublicOnly)).no_proxy()
    } else {
        builder
    })
}
