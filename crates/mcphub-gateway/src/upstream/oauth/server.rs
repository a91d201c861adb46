//! One exchange with an authorization server: over TLS, and bounded.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use mcphub_core::secret::{ExposeSecret, Grant, SecretString};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::upstream::http::{cause, host};
use crate::upstream::native::{NativeClient, is_private_literal};

/// The largest answer in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Authorization servers, as one API's document and base URL, or an MCP server, lead to them.
#[derive(Clone, Copy)]
pub(super) struct Server<'a> {
    pub(super) http: &'a NativeClient,
    /// What relative URLs are relative to.
    pub(super) base_url: &'a Url,
}

/// Why there is no answer that helps. The text is for a model or a person, without secrets.
#[derive(Debug)]
pub(super) struct Failure {
    /// The error code (RFC 6749, 5.2), where the server gave one.
    pub(super) code: Option<String>,
    /// The HTTP status of its answer, where that was an error.
    pub(super) status: Option<u16>,
    /// Whether the server did not know the client by its password.
    unknown_client: bool,
    pub(super) text: String,
}

/// Tokens (RFC 6749, 5.1).
pub(super) struct TokenAnswer {
    pub(super) access_token: SecretString,
    pub(super) refresh_token: Option<SecretString>,
    pub(super) life: Option<Duration>,
    pub(super) scopes: Option<String>,
    /// Which type of token it is (RFC 8693, 2.2.1).
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
struct RawTokens {
    access_token: String,
    token_type: Option<String>,
    /// A number of seconds, which some write as text.
    expires_in: Option<Value>,
    refresh_token: Option<String>,
    scope: Option<String>,
    issued_token_type: Option<String>,
}

/// RFC 6749, 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// A client: its name, and its password where it has one. A name that is a URL, of a client that
/// describes itself there, has none.
pub(super) fn id_and_password(client: &SecretString) -> (&str, Option<&str>) {
    let client = client.expose_secret();
    match client.split_once(':') {
        Some(("https", _)) | None => (client, None),
        Some((id, password)) => (id, Some(password)),
    }
}

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            code: None,
            status: None,
            unknown_client: false,
            text: text.into(),
        }
    }

    /// Whether there was nothing at the URL.
    pub(super) fn is_nowhere(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the server said so.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl TokenAnswer {
    /// The grant that these tokens are. What the answer leaves out stays as it was.
    pub(super) fn into_grant(self, client: SecretString, token_url: Url) -> Grant {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        Grant {
            client,
            token_url,
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_at: self.life.map(|life| now.saturating_add(life.as_secs())),
            scopes: self.scopes,
            resource: None,
        }
    }
}

impl Server<'_> {
    /// A URL to which a secret may go: over TLS, to this machine, or where the API itself is. `what`
    /// names it in errors.
    pub(super) fn url(&self, text: &str, what: &str) -> Result<Url, Failure> {
        let url = self.base_url.join(text);
        let url = url.map_err(|_| Failure::new(format!("the {what} is no URL")))?;
        let local = url.host_str().is_some_and(|host| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        });
        if self.http.settings.refuse_private_addresses && is_private_literal(&url) {
            return Err(Failure::new(format!(
                "the address of the {what} is private"
            )));
        }
        let near = local || url.origin() == self.base_url.origin();
        if url.scheme() == "https" || (near && url.scheme() == "http") {
            return Ok(url);
        }
        Err(Failure::new(format!(
            "the {what} is not https, and a secret does not go there"
        )))
    }

    /// Asks a token endpoint (RFC 6749, 3.2) as a client, which is `id` or `id:secret`.
    pub(super) async fn tokens(
        &self,
        url: &Url,
        client: &SecretString,
        form: &[(&str, &str)],
    ) -> Result<TokenAnswer, Failure> {
        let answer = self.as_client(url, client, form).await?;
        // What is in the answer may be a secret: the reader's error is not shown.
        let raw: RawTokens = serde_json::from_slice(&answer)
            .map_err(|_| said(url, "what is no token (RFC 6749, 5.1)"))?;
        let kind = raw.token_type.unwrap_or_default();
        if !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer") {
            return Err(said(url, "a token that is no bearer token"));
        }
        let seconds = raw.expires_in.and_then(|life| match life {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        Ok(TokenAnswer {
            access_token: raw.access_token.into(),
            refresh_token: raw.refresh_token.map(SecretString::from),
            life: seconds.map(Duration::from_secs),
            scopes: raw.scope,
            kind: raw.issued_token_type,
        })
    }

    /// Posts a form as a client and gives the answer's JSON. A server takes the password as HTTP
    /// basic (RFC 6749, 2.3.1); one that does not know the client by it gets it in the form.
    pub(super) async fn as_client(
        &self,
        url: &Url,
        client: &SecretString,
        form: &[(&str, &str)],
    ) -> Result<Bytes, Failure> {
        let (id, password) = id_and_password(client);
        let Some(password) = password else {
            // A public client has a name and no secret (RFC 6749, 3.2.1).
            return self.post(url, form, &[("client_id", id)], None).await;
        };
        let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", escaped(id), escaped(password)));
        match self.post(url, form, &[], Some(&pair)).await {
            Err(failure) if failure.unknown_client => {
                let client = [("client_id", id), ("client_secret", password)];
                self.post(url, form, &client, None).await
            }
            other => other,
        }
    }

    async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        client: &[(&str, &str)],
        basic: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let mut request = self
            .client()
            .await?
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(form, client));
        if let Some(pair) = basic {
            let mut value = HeaderValue::try_from(format!("Basic {pair}"))
                .map_err(|_| Failure::new("the client's secret cannot be sent"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        self.exchange(url, request).await
    }

    /// The JSON at a URL.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, Failure> {
        let answer = self
            .exchange(url, self.client().await?.get(url.clone()))
            .await?;
        serde_json::from_slice(&answer).map_err(|_| said(url, "what is not understood"))
    }

    /// Posts JSON and gives the answer's.
    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        url: &Url,
        body: &Value,
    ) -> Result<T, Failure> {
        let request = self.client().await?.post(url.clone());
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = self.exchange(url, request.body(body.to_string())).await?;
        // What is in the answer may be a secret: the reader's error is not shown.
        serde_json::from_slice(&answer).map_err(|_| said(url, "what is not understood"))
    }

    async fn client(&self) -> Result<&reqwest::Client, Failure> {
        let client = self.http.http().await;
        client.map_err(|error| Failure::new(error.to_string()))
    }

    async fn exchange(&self, url: &Url, request: RequestBuilder) -> Result<Bytes, Failure> {
        let limit = self.http.settings.timeout;
        let exchange = async {
            let unreachable = |error: reqwest::Error| {
                let why = cause(&error.without_url());
                Failure::new(format!("{} cannot be reached: {why}", host(url)))
            };
            let request = request.header(ACCEPT, "application/json");
            let mut answer = request.send().await.map_err(unreachable)?;
            let mut body = BytesMut::new();
            while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(said(url, "too much to be an answer"));
                }
                body.extend_from_slice(&chunk);
            }
            let status = answer.status();
            if status.is_success() {
                Ok(body.freeze())
            } else {
                Err(refused(url, status, &body))
            }
        };
        timeout(limit, exchange).await.unwrap_or_else(|_| {
            let text = format!("{} gave no answer within {} s", host(url), limit.as_secs());
            Err(Failure::new(text))
        })
    }
}

fn encoded(form: &[(&str, &str)], client: &[(&str, &str)]) -> String {
    let mut out = Serializer::new(String::new());
    out.extend_pairs(form).extend_pairs(client).finish()
}

fn said(url: &Url, what: &str) -> Failure {
    Failure::new(format!("{} says {what}", host(url)))
}

fn refused(url: &Url, status: StatusCode, body: &[u8]) -> Failure {
    let code = serde_json::from_slice::<Refusal>(body).ok();
    // RFC 6749, 5.2: what the code is made of; another one may be anything, a secret too.
    let code = code.map(|refusal| refusal.error).filter(|code| {
        let legal = |b: u8| b.is_ascii_graphic() && b != b'"';
        code.len() <= 64 && code.bytes().all(legal)
    });
    let shown = code.as_deref().unwrap_or("nothing that OAuth 2 knows");
    Failure {
        status: Some(status.as_u16()),
        unknown_client: status == StatusCode::UNAUTHORIZED
            || code.as_deref() == Some("invalid_client"),
        text: format!("{} says {shown} (HTTP {})", host(url), status.as_u16()),
        code,
    }
}
