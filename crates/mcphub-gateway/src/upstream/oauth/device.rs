//! A person lets the gateway in with another device (RFC 8628).

use std::fmt;
use std::time::Duration;

use mcphub_core::secret::{ExposeSecret, Grant, SecretString};
use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use url::Url;

use super::login::{Login, Place, denied, upstream};
use super::server::{Failure, id_and_password};

/// The pause between two questions where the server does not say (RFC 8628, 3.2).
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often in a row a server may give no answer that helps.
const MAX_FAILURES: u32 = 3;
/// The longest that a person is waited for, whatever the server says.
const LONGEST: Duration = Duration::from_secs(1_800);
/// The longest text that is shown to the person, in bytes.
const MAX_SHOWN: usize = 2_048;

/// A login that waits for a person with another device.
pub struct DeviceLogin {
    login: Login,
    place: Place,
    url: Url,
    complete_url: Option<Url>,
    code: String,
    device_code: SecretString,
    pause: Duration,
    end: Instant,
}

/// RFC 8628, 3.2.
#[derive(Deserialize)]
struct Answer {
    device_code: String,
    user_code: String,
    // Servers from before the RFC have another name.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

impl DeviceLogin {
    pub(super) async fn begin(login: Login) -> Result<Self> {
        let Some(place) = login.device.clone() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this server has no login with another device; use a browser of this machine",
            ));
        };
        let scopes = login.settings.scopes.as_deref();
        let client = login.client()?;
        // RFC 8628, 3.1: the client names itself in the form, however else it shows who it is.
        let mut form = vec![];
        if let (id, Some(_)) = id_and_password(client) {
            form.push(("client_id", id));
        }
        form.extend(scopes.map(|scopes| ("scope", scopes)));
        form.extend(login.resource.as_deref().map(|it| ("resource", it)));
        let answer = login
            .server()
            .as_client(&place.url, client, &form)
            .await
            .map_err(upstream)?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|_| upstream(Failure::new("the server gave no code (RFC 8628, 3.2)")))?;
        let shown = |text: &str| {
            let legal = text.len() <= MAX_SHOWN && !text.chars().any(char::is_control);
            legal.then(|| text.to_owned())
        };
        let url = |text: &str| {
            let url = shown(text).and_then(|text| Url::parse(&text).ok());
            url.filter(|url| matches!(url.scheme(), "http" | "https"))
        };
        let illegible = || upstream(Failure::new("the server's code cannot be shown"));
        let pause = answer.interval.map_or(PAUSE, Duration::from_secs);
        Ok(Self {
            url: url(&answer.verification_uri).ok_or_else(illegible)?,
            complete_url: answer.verification_uri_complete.as_deref().and_then(url),
            code: shown(&answer.user_code).ok_or_else(illegible)?,
            device_code: answer.device_code.into(),
            pause: pause.clamp(Duration::from_secs(1), LONGEST_PAUSE),
            end: Instant::now() + Duration::from_secs(answer.expires_in).min(LONGEST),
            place,
            login,
        })
    }

    /// Where the person enters the code.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The same with the code in it, where the server has one.
    pub fn complete_url(&self) -> Option<&Url> {
        self.complete_url.as_ref()
    }

    /// What the person enters.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Waits until the person has decided, at most as long as the code is good, or half an hour.
    ///
    /// # Errors
    /// `PermissionDenied` when the person refused, `Timeout` when nobody decided in time, `Upstream`
    /// when the server gives no tokens.
    pub async fn finish(self) -> Result<Grant> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.device_code.expose_secret()),
        ];
        let (mut pause, mut failures) = (self.pause, 0);
        loop {
            if Instant::now() + pause >= self.end {
                return Err(late());
            }
            sleep(pause).await;
            let failure = match self.login.grant(&self.place, &form).await {
                Ok(grant) => return Ok(grant),
                Err(failure) => failure,
            };
            match failure.code.as_deref() {
                Some("authorization_pending") => failures = 0,
                Some("slow_down") => pause += self.login.settings.slow_down,
                Some("expired_token") => return Err(late()),
                Some(code @ "access_denied") => return Err(denied(code)),
                // RFC 8628, 3.5: a server that cannot be reached is asked less often.
                None if failures < MAX_FAILURES => {
                    failures += 1;
                    pause *= 2;
                }
                _ => return Err(upstream(failure)),
            }
            pause = pause.min(LONGEST_PAUSE);
        }
    }
}

fn late() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "nobody entered the code in time; log in again",
    )
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}
