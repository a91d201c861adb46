//! A request on its way: directly where that is possible, else by the general client.

use axum::http;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::Either;
use http_body_util::Full;
use mcphub_core::call::HttpRequest;
use mcphub_core::spec::Method;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName,
    HeaderValue, InvalidHeaderValue, LOCATION, TRANSFER_ENCODING, USER_AGENT,
};
use reqwest::{Request, Response, StatusCode};
use url::Url;

use super::settings::NativeClient;
use crate::upstream::direct::{self, Direct};
use crate::upstream::http::{AGENT, cause};
use crate::upstream::turn;

/// An answer, whose body is still to be read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where a redirect came from. `None` for one that is still to be followed.
    from: Option<Box<Url>>,
    body: Body,
}

enum Body {
    Direct(direct::Body),
    /// Without its headers.
    Client(Response),
}

/// Why there is no answer.
pub(super) enum Failure {
    Direct(direct::Failed),
    Client(reqwest::Error),
    /// There is no client.
    Unmade(mcphub_core::Error),
}

impl Answer {
    /// The next bytes of the body. The error is what is wrong, in a few words.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        let chunk = match &mut self.body {
            Body::Direct(body) => body.chunk().await.map_err(|error| cause(&*error)),
            Body::Client(answer) => {
                let chunk = answer.chunk().await;
                chunk.map_err(|error| cause(&error.without_url()))
            }
        }?;
        turn::took(chunk.as_ref().map_or(0, Bytes::len)).await;
        Ok(chunk)
    }

    /// How many bytes of the body are left, where the API says.
    pub(super) fn stated(&self) -> Option<u64> {
        match &self.body {
            Body::Direct(body) => body.stated(),
            Body::Client(answer) => answer.content_length(),
        }
    }

    /// Whether it answers another URL than was asked, to which that led.
    pub(super) fn is_of_another(&self, asked: &Url) -> bool {
        match (&self.from, &self.body) {
            (Some(from), _) => **from != *asked,
            (None, Body::Client(answer)) => answer.url() != asked,
            (None, Body::Direct(_)) => false,
        }
    }

    /// From where the answer to what was asked leads, and where to, if it is a redirect.
    pub(super) fn redirect<'a>(&'a self, asked: &'a Url) -> Option<(&'a Url, Url)> {
        if !self.status.is_redirection() {
            return None;
        }
        let from = self.from.as_deref().unwrap_or(asked);
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        Some((from, from.join(location).ok()?))
    }
}

impl From<http::Response<direct::Body>> for Answer {
    fn from(answer: http::Response<direct::Body>) -> Self {
        let (head, body) = answer.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            from: None,
            body: Body::Direct(body),
        }
    }
}

impl From<Response> for Answer {
    fn from(mut answer: Response) -> Self {
        let status = answer.status();
        let from = status.is_redirection();
        Self {
            status,
            headers: std::mem::take(answer.headers_mut()),
            from: from.then(|| Box::new(answer.url().clone())),
            body: Body::Client(answer),
        }
    }
}

/// Sends a request, and follows redirects within its origin. What may be wrong with the request itself
/// is told at once.
pub(super) fn send<'a>(
    client: &'a NativeClient,
    request: &HttpRequest,
) -> Result<impl Future<Output = Result<Answer, Failure>> + use<'a>, String> {
    if let Some(sending) = directly(&client.direct, request)? {
        return Ok(Either::Left(sending));
    }
    let request = general(request)?;
    // Boxed, because it is large.
    Ok(Either::Right(Box::pin(async move {
        let http = client.http().await.map_err(Failure::Unmade)?;
        let sent = http.execute(request).await;
        sent.map(Answer::from).map_err(Failure::Client)
    })))
}

/// Follows the redirects of a request that went directly, as the general client does by itself: as far
/// as they stay within its origin and are not too many. The last one is the answer.
pub(super) async fn follow(
    client: &NativeClient,
    asked: &HttpRequest,
    mut answer: Answer,
) -> Result<Answer, Failure> {
    let mut request = asked.clone();
    if answer.from.is_some() {
        return Ok(answer);
    }
    for _ in 0..client.settings.max_redirects {
        let next = match answer.redirect(&request.url) {
            Some((from, next)) if from.origin() == next.origin() => next,
            _ => break,
        };
        if !redirected(&mut request, answer.status) {
            break;
        }
        request.url = next;
        let Ok(Some(sending)) = directly(&client.direct, &request) else {
            break;
        };
        answer = sending.await?;
    }
    answer.from = Some(Box::new(request.url));
    Ok(answer)
}

/// Makes of a request what a redirect with this status asks for (RFC 9110, 15.4.2 to 15.4.9).
fn redirected(request: &mut HttpRequest, status: StatusCode) -> bool {
    let bare = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::Post,
        StatusCode::SEE_OTHER => true,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return false,
    };
    if bare {
        if request.method != Method::Head {
            request.method = Method::Get;
        }
        request.body = None;
        let of_body = [
            CONTENT_TYPE,
            CONTENT_LENGTH,
            CONTENT_ENCODING,
            TRANSFER_ENCODING,
        ];
        let headers = &mut request.headers;
        headers.retain(|(name, _)| !of_body.iter().any(|known| known == name.as_str()));
    }
    true
}

/// The same request again, over a connection without TLS and without a proxy; `None` where it needs
/// more than that.
fn directly(
    direct: &Direct,
    request: &HttpRequest,
) -> Result<Option<impl Future<Output = Result<Answer, Failure>> + use<>>, String> {
    let url = &request.url;
    let (Some(origin), Some(target)) = (direct.origin(url), direct::target(url)) else {
        return Ok(None);
    };
    let mut out = http::Request::new(Full::default());
    *out.method_mut() = method(request)?;
    *out.uri_mut() = target;
    let headers = out.headers_mut();
    // With those that are added on the way.
    headers.reserve(request.headers.len() + 3);
    fill(headers, request)?;
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(AGENT));
    if let Some(body) = &request.body {
        *out.body_mut() = Full::new(body.bytes.clone());
    }
    Ok(Some(async move {
        let sent = origin.send(out, None).await;
        sent.map(Answer::from).map_err(Failure::Direct)
    }))
}

fn general(request: &HttpRequest) -> Result<Request, String> {
    let mut url = request.url.clone();
    let login = login(&mut url);
    let mut out = Request::new(method(request)?, url);
    out.headers_mut().reserve(request.headers.len() + 1);
    if let Some(login) = login {
        out.headers_mut().insert(AUTHORIZATION, login);
    }
    fill(out.headers_mut(), request)?;
    if let Some(body) = &request.body {
        *out.body_mut() = Some(body.bytes.clone().into());
    }
    Ok(out)
}

/// The header that a user and password in a URL stand for (RFC 7617, 2), which are taken out of it.
fn login(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    // Only a URL without a host, which is none of HTTP, refuses.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn method(request: &HttpRequest) -> Result<http::Method, String> {
    http::Method::from_bytes(request.method.as_str().as_bytes())
        .map_err(|_| format!("{} is not an HTTP method", request.method))
}

fn fill(headers: &mut HeaderMap, request: &HttpRequest) -> Result<(), String> {
    for (name, value) in &request.headers {
        let known = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` cannot be the name of an HTTP header"))?;
        // The value may be a secret: it is not repeated.
        let mut value = header_value(value).map_err(|_| {
            format!(
                "The value for the HTTP header `{name}` has characters that a header cannot hold"
            )
        })?;
        if known == AUTHORIZATION {
            value.set_sensitive(true);
            headers.insert(known, value);
        } else {
            value.set_sensitive(known == COOKIE);
            headers.append(known, value);
        }
    }
    Ok(())
}

/// The commonest value is static, which is passed on without a copy.
fn header_value(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    const JSON: &str = "application/json";
    if text == JSON {
        return Ok(HeaderValue::from_static(JSON));
    }
    HeaderValue::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_password_in_a_url_are_a_header() {
        let mut url: Url = "https://us%20er:p%3Aw@api.test/a?b".parse().unwrap();
        let header = login(&mut url).unwrap();
        assert_eq!(header, "Basic dXMgZXI6cDp3");
        assert!(header.is_sensitive());
        assert_eq!(url.as_str(), "https://api.test/a?b");
        assert_eq!(login(&mut url), None);
    }
}
