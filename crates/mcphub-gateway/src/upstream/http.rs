//! What all upstreams over HTTP have in common: the client, and what its errors say.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::deployment::Endpoint;
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::{Error, ErrorKind, Fault, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Request, Response, StatusCode};
use rmcp::transport::common::http_header::{BASE64_HEADER_PREFIX, BASE64_HEADER_SUFFIX};
use url::Url;

/// What all requests say of who sends them.
pub(super) const AGENT: &str = concat!("mcphub/", env!("CARGO_PKG_VERSION"));

/// How long a request waits that goes again because there was no connection.
pub(super) const RECONNECT: Duration = Duration::from_millis(100);

/// A client that follows redirects within one origin only: what was meant for one origin, body and
/// credentials, never reaches another. A redirect elsewhere, or one too many, is the answer.
pub(crate) fn builder(
    connect_timeout: Duration,
    max_redirects: usize,
) -> Result<reqwest::ClientBuilder> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Error::internal(
            "no rustls crypto provider is installed; the program installs one when it starts",
        )
        .during("upstream::client"));
    }
    let policy = Policy::custom(move |attempt| {
        let here = attempt.previous().last();
        let within = here.is_some_and(|here| here.origin() == attempt.url().origin());
        if within && attempt.previous().len() <= max_redirects {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    Ok(reqwest::Client::builder()
        // Static values are passed on without counting who has them.
        .user_agent(HeaderValue::from_static(AGENT))
        .connect_timeout(connect_timeout)
        .redirect(policy)
        .referer(false))
}

/// A client that trusts further authorities and shows a certificate where a server asks for one.
///
/// # Errors
/// `InvalidInput` for what is no certificate in PEM, or a certificate without its private key.
pub(super) fn certified(
    mut builder: reqwest::ClientBuilder,
    authorities: Option<&str>,
    identity: Option<&SecretString>,
) -> Result<reqwest::Client> {
    if let Some(pem) = authorities {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes());
        let certificates = certificates.ok().filter(|found| !found.is_empty());
        let certificates = certificates.ok_or_else(|| {
            Error::invalid("the authorities that are trusted are not certificates in PEM")
        })?;
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(pem) = identity {
        // The reader's error could show a part of the key.
        let identity = Identity::from_pem(pem.expose_secret().as_bytes()).map_err(|_| {
            Error::invalid(
                "the client certificate needs a certificate and its private key, both in PEM",
            )
        })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|_| {
        Error::invalid("the certificates cannot be used: the private key belongs to another certificate, or an authority is none")
    })
}

pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        Error::internal("the HTTP client cannot be made")
            .caused_by(error)
            .during("upstream::client")
    })
}

/// The endpoint's own headers, which are credentials mostly.
///
/// # Errors
/// `InvalidInput` for a header that is not possible.
pub(super) fn endpoint_headers(endpoint: &Endpoint) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, secret) in &endpoint.headers {
        let wrong = || {
            let message = "a header of the MCP server's endpoint is not possible";
            Error::invalid(message).with("header", name)
        };
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(known, value);
    }
    Ok(headers)
}

/// Sends a request. Where there was no connection the server saw nothing of it, so that it goes once
/// more where that is wanted; whoever waits bounds it.
pub(super) async fn execute(
    client: &reqwest::Client,
    request: Request,
    reconnect: bool,
) -> reqwest::Result<Response> {
    let again = if reconnect { request.try_clone() } else { None };
    match (client.execute(request).await, again) {
        (Err(error), Some(again)) if error.is_connect() => {
            tokio::time::sleep(RECONNECT).await;
            client.execute(again).await
        }
        (sent, _) => sent,
    }
}

/// The error for a request that an MCP server gave no response to.
pub(super) fn unsent(host: &str, error: reqwest::Error) -> Error {
    unanswered(host, !error.is_connect(), &cause(&error.without_url()))
}

/// The same, for one that the server may have seen or not.
pub(super) fn unanswered(host: &str, seen: bool, cause: &str) -> Error {
    let (kind, text) = if !seen {
        let text = "the MCP server could not be reached";
        (ErrorKind::Unavailable, text)
    } else {
        let text = "the MCP server did not answer as HTTP asks";
        (ErrorKind::Upstream, text)
    };
    Error::new(kind, text)
        .with("server", host)
        .with("reason", cause)
}

/// The error for an MCP server that refuses a request with this status.
pub(super) fn refused(host: &str, status: StatusCode) -> Error {
    let text = format!("the MCP server answered HTTP {}", status.as_u16());
    let error = Error::new(ErrorKind::Upstream, text)
        .with("server", host)
        .set_retryable(status.is_server_error());
    // A server that refuses a request is well.
    let error = if status.is_client_error() {
        error.set_fault(Fault::Caller)
    } else {
        error
    };
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let reason = "it refuses the credentials that it is sent, or asks for some";
        return error.with("reason", reason);
    }
    error
}

/// Host and port of a URL, which is all that may be shown of it: a query can hold a key.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What is at the bottom of an error, in a few words and without a URL.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    let text = match bottom.downcast_ref::<io::Error>() {
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => match bottom.downcast_ref::<reqwest::Error>() {
            // Its text has the URL in it.
            Some(error) => kind(error).to_owned(),
            None => bottom.to_string(),
        },
    };
    clip(&text, 200)
}

fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_decode() {
        "the body cannot be decoded"
    } else if error.is_body() {
        "the body broke off"
    } else {
        "the request failed"
    }
}

/// The first characters of a text, with `…` where something is left out.
pub(super) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A value of `Mcp-Name` or `Mcp-Param-*` (MCP 2026-07-28, Streamable HTTP, Value Encoding).
pub(crate) fn encoded(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'))
        && text.trim_matches([' ', '\t']) == text
        && !(text.starts_with(BASE64_HEADER_PREFIX) && text.ends_with(BASE64_HEADER_SUFFIX));
    if plain {
        return Cow::Borrowed(text);
    }
    let encoded = STANDARD.encode(text);
    Cow::Owned([BASE64_HEADER_PREFIX, &encoded, BASE64_HEADER_SUFFIX].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_as_the_table_of_value_encoding_says() {
        for (text, header) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(encoded(text), header);
        }
    }
}
