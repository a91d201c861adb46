//! One request and its answer, within the limits. What goes wrong is said for the model.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcphub_core::call::{HttpAnswer, HttpRequest};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, Request, Response};
use url::Url;

use super::settings::{NativeClient, NativeSettings};
use crate::upstream::http::{cause, host};

/// Sends a request and reads its answer whole. The error is a text for the model, without secrets.
pub(super) async fn send(
    client: &NativeClient,
    request: HttpRequest,
) -> Result<HttpAnswer, String> {
    let settings = &*client.settings;
    let host = host(&request.url);
    let safe = matches!(request.method, "GET" | "HEAD" | "OPTIONS");
    let exchange = async {
        let request = outgoing(&client.http, request, settings.timeout)?;
        let answer = client
            .http
            .execute(request)
            .await
            .map_err(|error| unreached(&error, &host, settings, safe))?;
        if let Some(text) = redirect(&answer, &host, settings.max_redirects) {
            return Err(text);
        }
        let status = answer.status().as_u16();
        let content_type = header(answer.headers(), &CONTENT_TYPE);
        let retry_after = header(answer.headers(), &RETRY_AFTER);
        let body = read(answer, settings.max_response, &host, settings, safe).await?;
        Ok(HttpAnswer {
            status,
            content_type,
            retry_after,
            body,
        })
    };
    exchange.await
}

fn outgoing(
    http: &reqwest::Client,
    request: HttpRequest,
    timeout: Duration,
) -> Result<Request, String> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("{} is not an HTTP method", request.method))?;
    // The builder turns a user and password in the URL into a header.
    let out = http.request(method, request.url).timeout(timeout).build();
    let mut out = out.map_err(|error| {
        format!(
            "The request cannot be made: {}",
            cause(&error.without_url())
        )
    })?;
    for (name, value) in request.headers {
        let known = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` cannot be the name of an HTTP header"))?;
        // The value may be a secret: it is not repeated.
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            format!(
                "The value for the HTTP header `{name}` has characters that a header cannot hold"
            )
        })?;
        value.set_sensitive(known == AUTHORIZATION || known == COOKIE);
        if known == AUTHORIZATION {
            out.headers_mut().insert(known, value);
        } else {
            out.headers_mut().append(known, value);
        }
    }
    if let Some(body) = request.body {
        *out.body_mut() = Some(body.bytes.into());
    }
    Ok(out)
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Why a redirect was not followed. Another origin gets neither the request nor its credentials.
fn redirect(answer: &Response, host: &str, max: usize) -> Option<String> {
    if !answer.status().is_redirection() {
        return None;
    }
    let target = answer
        .headers()
        .get(LOCATION)?
        .to_str()
        .ok()
        .and_then(|to| answer.url().join(to).ok())?;
    let status = answer.status().as_u16();
    if target.origin() == answer.url().origin() {
        return Some(format!(
            "The API at {host} redirected more than {max} times; the call was given up"
        ));
    }
    Some(format!(
        "The API at {host} answered HTTP {status} with a redirect to another origin, {}, which is not followed",
        origin(&target)
    ))
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Reads a body; it is counted as it arrives, after decompression.
async fn read(
    mut answer: Response,
    limit: usize,
    host: &str,
    settings: &NativeSettings,
    safe: bool,
) -> Result<Bytes, String> {
    let too_large = || {
        format!(
            "The API at {host} answered more than {}; ask for less",
            size(limit)
        )
    };
    if answer
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_large());
    }
    let mut whole = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let chunk = match answer.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) if error.is_timeout() => {
                return Err(timed_out(host, settings.timeout, safe));
            }
            Err(error) => {
                let read = whole.len().max(rest.len());
                return Err(format!(
                    "The answer of the API at {host} broke off after {read} bytes: {}",
                    cause(&error.without_url())
                ));
            }
        };
        if whole.len().max(rest.len()) + chunk.len() > limit {
            return Err(too_large());
        }
        // Most answers come in one piece, which is then not copied.
        if whole.is_empty() && rest.is_empty() {
            whole = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut whole));
            }
            rest.extend_from_slice(&chunk);
        }
    }
    Ok(if rest.is_empty() {
        whole
    } else {
        rest.freeze()
    })
}

fn unreached(error: &reqwest::Error, host: &str, settings: &NativeSettings, safe: bool) -> String {
    if error.is_connect() {
        let cause = if error.is_timeout() {
            format!(
                "no connection within {}",
                seconds(settings.connect_timeout.min(settings.timeout))
            )
        } else {
            cause(error)
        };
        return format!("The API at {host} could not be reached: {cause}");
    }
    if error.is_timeout() {
        return timed_out(host, settings.timeout, safe);
    }
    let doubt = if safe {
        ""
    } else {
        ". The request may have been carried out all the same"
    };
    format!(
        "The API at {host} did not answer as HTTP asks: {}{doubt}",
        cause(error)
    )
}

fn timed_out(host: &str, timeout: Duration, safe: bool) -> String {
    let doubt = if safe {
        ""
    } else {
        ". The request may have been carried out all the same"
    };
    format!(
        "The API at {host} did not answer within {}{doubt}",
        seconds(timeout)
    )
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn size(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    if bytes >= MIB && bytes % MIB == 0 {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}
