//! Alerts over HTTP.

use std::fmt;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use mcphub_core::event::{Alert, AlertState};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};
use reqwest::redirect::Policy;
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::time::sleep;
use url::Url;

use crate::roster::Watcher;
use crate::upstream::{build, builder, cause, host};

/// The most alerts that wait to be sent; more are in the log alone.
const MAX_WAITING: usize = 256;

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses before further tries.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Where alerts are posted.
///
/// # Behavior
/// - Each alert is a POST of JSON: `server`, `alert`, `state` (`firing` or `resolved`) and `time`, in
///   Unix seconds. Alerts are sent in their order, one at a time.
/// - With a secret, `X-Mcphub-Signature` is `t=TIME,v1=HEX`, where `HEX` is the HMAC-SHA256 (RFC
///   2104) of `TIME.BODY`. `TIME` is that of the try, in Unix seconds.
/// - What is answered with another status than 2xx, or not at all within 10 s, is sent again after 1,
///   5 and 30 s, and then is in the log alone. A redirect is not followed.
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    secret: Option<SecretString>,
    client: reqwest::Client,
    pauses: [Duration; 3],
}

/// What sends alerts, until it is dropped.
#[derive(Debug)]
pub(super) struct Post {
    waiting: mpsc::Sender<Message>,
    _sender: Watcher,
}

#[derive(Debug, Serialize)]
struct Message {
    server: ServerName,
    alert: Alert,
    state: AlertState,
    time: u64,
}

impl Webhook {
    /// A webhook at a URL, which is shown nowhere: its path often is a secret.
    ///
    /// # Errors
    /// `InvalidInput` for what is no http(s) URL; `Internal` when the process has not installed a
    /// rustls crypto provider.
    pub fn new(url: Url, secret: Option<SecretString>) -> Result<Self> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::invalid("a webhook has an http(s) URL"));
        }
        let client = builder(TIMEOUT, 0)?
            .redirect(Policy::none())
            .timeout(TIMEOUT);
        Ok(Self {
            url,
            secret,
            client: build(client)?,
            pauses: PAUSES,
        })
    }

    pub(super) fn start(&self) -> Post {
        let (waiting, mut messages) = mpsc::channel::<Message>(MAX_WAITING);
        let webhook = self.clone();
        let sending = async move {
            while let Some(message) = messages.recv().await {
                webhook.deliver(&message).await;
            }
        };
        Post {
            waiting,
            _sender: Watcher(tokio::spawn(sending)),
        }
    }

    async fn deliver(&self, message: &Message) {
        let Ok(body) = serde_json::to_vec(message) else {
            return;
        };
        let mut pauses = self.pauses.iter();
        loop {
            let why = match self.post(&body).await {
                Ok(status) if status.is_success() => return,
                Ok(status) => format!("HTTP {}", status.as_u16()),
                Err(error) => cause(&error.without_url()),
            };
            let host = host(&self.url);
            match pauses.next() {
                Some(pause) => {
                    tracing::info!(host, why, "an alert is sent again");
                    sleep(*pause).await;
                }
                None => {
                    tracing::warn!(host, why, server = %message.server, alert = ?message.alert, "an alert could not be sent");
                    return;
                }
            }
        }
    }

    async fn post(&self, body: &[u8]) -> reqwest::Result<reqwest::StatusCode> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json");
        if let Some(secret) = &self.secret {
            request = request.header("x-mcphub-signature", signature(secret, now(), body));
        }
        let response = request.body(body.to_vec()).send().await?;
        Ok(response.status())
    }
}

impl Post {
    pub(super) fn send(&self, server: &ServerName, alert: Alert, state: AlertState) {
        let message = Message {
            server: server.clone(),
            alert,
            state,
            time: now(),
        };
        if self.waiting.try_send(message).is_err() {
            tracing::warn!(%server, ?alert, ?state, "too many alerts wait to be sent; this one is not");
        }
    }
}

fn signature(secret: &SecretString, time: u64, body: &[u8]) -> String {
    let mut text = format!("t={time},v1=");
    // Keys of any length are taken.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) {
        mac.update(time.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &host(&self.url))
            .field("signed", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;

    use super::*;

    #[test]
    fn a_signature_is_that_of_any_other_program() {
        // printf '17.{}' | openssl dgst -sha256 -hmac secret
        let signed = signature(&"secret".into(), 17, b"{}");
        assert_eq!(
            signed,
            "t=17,v1=8af83b0673ef7fdabfca93bc1f9c0893a4de95938051a9959b16f9e2a9e16802"
        );
    }

    #[tokio::test]
    async fn an_alert_is_sent_until_it_is_taken_and_shows_no_secret() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let taken = Arc::new(Mutex::new(Vec::<(HeaderMap, Bytes)>::new()));
        let notes = Arc::clone(&taken);
        let router = Router::new().route(
            "/s3cret",
            post(move |headers: HeaderMap, body: Bytes| async move {
                let mut notes = notes.lock().unwrap();
                notes.push((headers, body));
                match notes.len() {
                    1 => StatusCode::BAD_GATEWAY,
                    _ => StatusCode::NO_CONTENT,
                }
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/s3cret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let mut webhook = Webhook::new(url.parse().unwrap(), Some("k3y".into())).unwrap();
        webhook.pauses = [Duration::from_millis(1); 3];
        let shown = format!("{webhook:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("k3y"),
            "{shown}"
        );
        let message = Message {
            server: ServerName::new("shop").unwrap(),
            alert: Alert::ServerDown,
            state: AlertState::Firing,
            time: 17,
        };
        webhook.deliver(&message).await;
        let taken = taken.lock().unwrap();
        assert_eq!(taken.len(), 2);
        let (headers, body) = &taken[1];
        assert_eq!(
            body,
            r#"{"server":"shop","alert":"server-down","state":"firing","time":17}"#
        );
        let given = headers["x-mcphub-signature"].to_str().unwrap();
        let time = given[2..].split(',').next().unwrap().parse().unwrap();
        assert_eq!(given, signature(&"k3y".into(), time, body));
    }
}
