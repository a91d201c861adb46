//! Requests go to the API, and its answers come back as tool results.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION, RETRY_AFTER,
    USER_AGENT, WWW_AUTHENTICATE,
};
use reqwest::{Certificate, Client, Identity, Method, Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use crate::about;
use crate::credentials::{Credentials, Kind};
use crate::digest::{Digest, Given};
use crate::pages::{PageRequest, Pages, Paging};
use crate::request::{ArgumentError, HttpRequest};
use crate::rest::Rest;
use crate::result::{Answer, Output, ToolResult, error_text, is_text};
use crate::retry::{MAX_RETRIES, wait_for};
use crate::settings::{SCHEMES, Settings};
use crate::stream::{self, Chunks, Tell};

/// The longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for a whole answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes after decompression.
pub const MAX_ANSWER: usize = 10 * 1024 * 1024;
/// How many redirects are followed, always to the same origin: credentials never leave it.
pub const MAX_REDIRECTS: usize = 5;

/// The answer to one request, or why there is none.
pub type Sending = Pin<Box<dyn Future<Output = reqwest::Result<Response>> + Send>>;

/// What sends a request, or a stub of it. It follows no redirect.
pub trait Transport: Send + Sync {
    /// Sends one request.
    fn send(&self, request: Request) -> Sending;
}

impl Transport for Client {
    fn send(&self, request: Request) -> Sending {
        Box::pin(self.execute(request))
    }
}

/// The API at the base URL of the settings, with their credentials. Clones share connections.
#[derive(Clone)]
pub struct Api {
    settings: Arc<Settings>,
    transport: Arc<dyn Transport>,
    /// Connections that show the client certificate serve no call that should show none.
    certified: Arc<dyn Transport>,
    /// By the name of the scheme.
    digests: Arc<HashMap<&'static str, Digest>>,
    /// Who hears of streams.
    tell: Option<Tell>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Api");
        shown
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// The API over HTTP. Fails when this machine has no TLS certificates to trust, or those of the
    /// settings cannot be used.
    pub fn new(settings: Settings) -> reqwest::Result<Self> {
        // A host that has chosen a provider keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = connections(&settings.credentials, None)?;
        let certified = match &settings.credentials.identity {
            Some(identity) => connections(&settings.credentials, Some(identity))?,
            None => client.clone(),
        };
        let api = Self::with_transport(settings, Arc::new(client));
        Ok(Self {
            certified: Arc::new(certified),
            ..api
        })
    }

    /// The API over something else, such as a stub.
    pub fn with_transport(settings: Settings, transport: Arc<dyn Transport>) -> Self {
        let secrets = &settings.credentials.schemes;
        let digests = SCHEMES.iter().filter_map(|scheme| {
            let secret = secrets.get(scheme.name)?;
            (scheme.kind == Kind::Digest).then(|| (scheme.name, Digest::new(secret.clone())))
        });
        Self {
            digests: Arc::new(digests.collect()),
            settings: Arc::new(settings),
            certified: transport.clone(),
            transport,
            tell: None,
        }
    }

    /// The same API over the same connections. While a stream of it comes, `tell` hears of what it
    /// has.
    pub fn telling(&self, tell: Tell) -> Self {
        let tell = Some(tell);
        Self {
            tell,
            ..self.clone()
        }
    }

    /// Sends a request; whatever goes wrong on the way is a tool error. Of a list, the pages that are
    /// wanted are read and joined, all within the time and the size of one answer; of a JSON answer,
    /// the fields that are wanted stay.
    ///
    /// Fails when an argument cannot be sent.
    pub async fn call(
        &self,
        mut request: HttpRequest,
        output: Output,
    ) -> Result<ToolResult, ArgumentError> {
        let body = request.finish()?;
        let base = match request.server {
            Some(server) => self.settings.base_url.join(server).ok(),
            None => Some(self.settings.base_url.clone()),
        };
        let Some(base) = base.filter(Url::has_host) else {
            let text = "The request cannot be made: its server and its path do not make a URL";
            return Ok(ToolResult::error(text));
        };
        let shown = without_login(request.url(&base));
        let credentials = &self.settings.credentials;
        credentials.authorize(&mut request, SCHEMES);
        log_in(&mut request, &base);
        let exchange = Exchange {
            transport: match request.certified {
                true => &*self.certified,
                false => &*self.transport,
            },
            digest: request.login.and_then(|scheme| self.digests.get(scheme)),
            tell: self.tell.as_ref(),
            end: Instant::now() + TIMEOUT,
            host: host(&base),
            safe: matches!(
                request.method,
                "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY"
            ),
        };
        let url = without_login(request.url(&base));
        let paging = request.pages.filter(|paging| paging.count() > 1);
        let first = body.clone().filter(|_| paging.is_some());
        let mut answer = match exchange.send(&request, url, body).await {
            Ok(answer) => answer,
            Err(text) => return Ok(ToolResult::error(text)),
        };
        let mut notes: Vec<_> = answer.note.clone().into_iter().collect();
        let is_whole = answer.note.is_none();
        if let Some(paging) = paging.filter(|_| is_whole) {
            let pages = exchange.pages(&mut request, paging, &shown, first, &mut answer);
            notes.extend(pages.await);
        }
        if let Some(fields) = &request.fields {
            notes.extend(fields.pick_from(&mut answer));
        }
        Ok(ToolResult::from_answer(answer, output, shown.as_str()).noted(notes))
    }
}

/// One call. Its errors are texts for the model, without secrets.
struct Exchange<'a> {
    transport: &'a dyn Transport,
    /// What answers the questions of the API.
    digest: Option<&'a Digest>,
    /// Who hears of a stream.
    tell: Option<&'a Tell>,
    /// One clock for all of it: connecting, redirects, waiting for another answer, and all pages to
    /// their last byte.
    end: Instant,
    /// The part of the URL that may be shown.
    host: String,
    /// Whether the request asks for no change (RFC 9110, 9.2.1).
    safe: bool,
}

impl Exchange<'_> {
    async fn send(
        &self,
        request: &HttpRequest,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, String> {
        let method = method(request)?;
        let headers = headers(request)?;
        let rest = request.rest.as_ref();
        let retries = if request.repeatable { MAX_RETRIES } else { 0 };
        let answer = async {
            for _ in 0..retries {
                let (method, url) = (method.clone(), url.clone());
                let answer = self.follow(method, url, headers.clone(), body.clone(), rest);
                let answer = answer.await?;
                match wait_for(&answer) {
                    Some(wait) if Instant::now() + wait < self.end => sleep(wait).await,
                    _ => return Ok(answer),
                }
            }
            self.follow(method, url, headers, body, rest).await
        };
        let answer = timeout_at(self.end, answer).await;
        answer.unwrap_or_else(|_| Err(self.late()))
    }

    /// Reads the pages after the first one into the answer; gives a line about them. Nothing
    /// where the answer is no page.
    async fn pages(
        &self,
        request: &mut HttpRequest,
        paging: Paging,
        url: &Url,
        body: Option<Vec<u8>>,
        answer: &mut Answer,
    ) -> Option<String> {
        let secrets = SCHEMES.iter().filter_map(|scheme| match scheme.kind {
            Kind::Query(name) => Some(name),
            _ => None,
        });
        let mut pages = Pages::new(paging, secrets.collect());
        let member = paging.member().zip(body.as_deref());
        let asked = PageRequest {
            url: url.clone(),
            member: member.and_then(|(name, body)| {
                let body: Value = serde_json::from_slice(body).ok()?;
                body.get(name).cloned()
            }),
        };
        if !pages.add(asked, answer) {
            return None;
        }
        let why = loop {
            let Some(asked) = pages.wants() else {
                break String::new();
            };
            let body = match (paging.member(), &asked.member) {
                (Some(name), Some(value)) => {
                    Some(request.page_body(body.as_deref(), name, value.clone()))
                }
                _ => body.clone(),
            };
            let url = request.page(&asked.url);
            let failed = match self.page(request, url, body).await {
                Ok(page) if pages.size + page.body.len() > MAX_ANSWER => {
                    break format!("more would be over {} MiB; ", MAX_ANSWER >> 20);
                }
                Ok(page) if pages.add(asked.clone(), &page) => continue,
                Ok(page) if (200..300).contains(&page.status) => {
                    "its answer has no list".to_owned()
                }
                Ok(page) => error_text(&page),
                Err(text) => text,
            };
            let line = failed.lines().next().unwrap_or_default();
            break format!("the next one failed: {line}; ");
        };
        let note = pages.note(&why, &request.arguments);
        answer.body = pages.merged().into_bytes();
        Some(note)
    }

    async fn page(
        &self,
        request: &HttpRequest,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, String> {
        let answer = self.follow(method(request)?, url, headers(request)?, body, None);
        let answer = timeout_at(self.end, answer).await;
        answer.unwrap_or_else(|_| Err(self.late()))
    }

    async fn follow(
        &self,
        mut method: Method,
        mut url: Url,
        mut headers: HeaderMap,
        mut body: Option<Vec<u8>>,
        rest: Option<&Rest>,
    ) -> Result<Answer, String> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(&method, &url, &headers, &body).await?;
            let status = response.status();
            let location = response.headers().get(LOCATION);
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return self.read(response, rest).await;
            };
            url = self.target(status, location, &url)?;
            // RFC 9110, 15.4: 307 and 308 repeat the request; a POST that moved, and every 303,
            // becomes a GET.
            let see_other = status == StatusCode::SEE_OTHER && method != Method::HEAD;
            if see_other || (status < StatusCode::SEE_OTHER && method == Method::POST) {
                method = Method::GET;
                body = None;
                headers.remove(CONTENT_TYPE);
            }
        }
        Err(format!(
            "The API at {} redirected more than {MAX_REDIRECTS} times; the call was given up",
            self.host
        ))
    }

    /// Sends a request, and once more with the answer to what the API asks.
    async fn exchange(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &Option<Vec<u8>>,
    ) -> Result<Response, String> {
        let (response, given) = self.once(method, url, headers, body).await?;
        let Some(digest) = self.digest.filter(|_| is_refusal(&response)) else {
            return Ok(response);
        };
        let asked = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let asked: Vec<_> = asked.filter_map(|value| value.to_str().ok()).collect();
        if !digest.ask(&asked.join(", "), given.as_ref()) {
            return Ok(response);
        }
        let (response, _) = self.once(method, url, headers, body).await?;
        if is_refusal(&response) {
            digest.forget();
        }
        Ok(response)
    }

    /// Sends a request with the answer to what was asked last.
    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &Option<Vec<u8>>,
    ) -> Result<(Response, Option<Given>), String> {
        let mut request = Request::new(method.clone(), url.clone());
        *request.headers_mut() = headers.clone();
        *request.body_mut() = body.clone().map(Into::into);
        let digest = self.digest;
        let given = digest.and_then(|it| it.answer(method.as_str(), url, body.as_deref()));
        if let Some(given) = &given {
            let value = HeaderValue::from_str(&given.header);
            let mut value = value.map_err(|_| "The API asks what no header can answer")?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let sent = self.transport.send(request).await;
        Ok((sent.map_err(|error| self.unanswered(&error))?, given))
    }

    /// Where a redirect leads. Another origin gets neither the request nor its credentials.
    fn target(&self, status: StatusCode, location: &HeaderValue, url: &Url) -> Result<Url, String> {
        let target = location.to_str().ok().and_then(|text| url.join(text).ok());
        let target = target.ok_or_else(|| {
            format!(
                "The API at {} redirected to an address that cannot be read",
                self.host
            )
        })?;
        if target.origin() != url.origin() {
            return Err(format!(
                "The API at {} answered HTTP {} with a redirect to another origin, {}, which is not followed",
                self.host,
                status.as_u16(),
                target.origin().ascii_serialization()
            ));
        }
        Ok(without_login(target))
    }

    /// Reads an answer, counted as it arrives, after decompression.
    async fn read(&self, response: Response, rest: Option<&Rest>) -> Result<Answer, String> {
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let mut answer = Answer {
            status: response.status().as_u16(),
            content_type: header(CONTENT_TYPE).unwrap_or_default(),
            retry_after: header(RETRY_AFTER),
            link: links(response.headers()),
            body: Vec::new(),
            note: None,
        };
        let broken = |error: reqwest::Error| {
            let why = cause(&error);
            format!("The answer of the API at {} broke off: {why}", self.host)
        };
        let rest = rest.filter(|_| response.status().is_success());
        let kind = match rest {
            Some(rest) if rest.offset > 0 => None,
            _ => stream::Kind::of(&answer.content_type),
        };
        let mut chunks = match kind {
            Some(kind) => Chunks::of(response, kind, self.tell, self.end),
            None => Chunks::whole(response),
        };
        if let Some(rest) = rest {
            let piece = rest.read(&mut chunks, MAX_ANSWER, is_text(&answer.content_type));
            let piece = piece.await.map_err(broken)?.ok_or_else(|| {
                format!(
                    "The answer of the API at {} is not what it was before, so that it has no rest; ask anew without `{}`",
                    self.host, rest.argument
                )
            })?;
            (answer.body, answer.note) = (piece.body, piece.note);
        } else {
            while let Some(chunk) = chunks.next().await.map_err(broken)? {
                let room = MAX_ANSWER - answer.body.len();
                answer.body.extend(chunk.iter().take(room));
                if chunk.len() > room {
                    let most = MAX_ANSWER >> 20;
                    let host = &self.host;
                    if chunks.end(format!("is over {most} MiB")) {
                        break;
                    }
                    return Err(format!(
                        "The API at {host} answered more than {most} MiB; ask for less"
                    ));
                }
            }
        }
        let cut = chunks.cut(&mut answer.body);
        answer.note = cut.or(answer.note);
        Ok(answer)
    }

    fn late(&self) -> String {
        format!(
            "The API at {} did not answer within {} s{}",
            self.host,
            TIMEOUT.as_secs(),
            self.doubt()
        )
    }

    fn unanswered(&self, error: &reqwest::Error) -> String {
        let (host, why) = (&self.host, cause(error));
        if error.is_connect() {
            return format!("The API at {host} could not be reached: {why}");
        }
        let doubt = self.doubt();
        format!("The API at {host} did not answer as HTTP asks: {why}{doubt}")
    }

    /// What to add when nobody knows whether the API did what it was asked.
    fn doubt(&self) -> &'static str {
        if self.safe {
            ""
        } else {
            ". The request may have been carried out all the same"
        }
    }
}

fn is_refusal(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
}

/// Connections that trust the authorities of the credentials, too, and show this identity.
fn connections(
    credentials: &Credentials,
    identity: Option<&SecretString>,
) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false);
    if let Some(pem) = &credentials.authorities {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    if let Some(pem) = identity {
        builder = builder.identity(Identity::from_pem(pem.expose_secret().as_bytes())?);
    }
    builder.build()
}

fn method(request: &HttpRequest) -> Result<Method, String> {
    let method = Method::from_bytes(request.method.as_bytes());
    method.map_err(|_| format!("{} is not an HTTP method", request.method))
}

/// The values of `Link` as one (RFC 9110, 5.3).
fn links(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter();
    let links = links.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let links: Vec<_> = links.collect();
    (!links.is_empty()).then(|| links.join(", "))
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(about::USER_AGENT));
    for (at, (name, value)) in request.headers.iter().enumerate() {
        let known = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` cannot be the name of an HTTP header"))?;
        // The value may be a secret: it is not repeated.
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            format!(
                "The value for the HTTP header `{name}` has characters that a header cannot hold"
            )
        })?;
        value.set_sensitive(true);
        let mut before = request.headers.iter().take(at);
        if before.any(|(other, _)| other == name) {
            headers.append(known, value);
        } else {
            headers.insert(known, value);
        }
    }
    Ok(headers)
}

/// User and password of a URL are basic authentication (RFC 3986, 3.2.1), unless the request says
/// who calls.
fn log_in(request: &mut HttpRequest, base: &Url) {
    use base64::Engine as _;
    let says = |(name, _): &(String, String)| name == "authorization";
    if base.username().is_empty() || request.headers.iter().any(says) {
        return;
    }
    let decoded = |text: &str| {
        let bytes = percent_encoding::percent_decode_str(text);
        bytes.decode_utf8_lossy().into_owned()
    };
    let password = decoded(base.password().unwrap_or_default());
    let pair = format!("{}:{password}", decoded(base.username()));
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    request.set_header("authorization", format!("Basic {pair}"));
}

fn without_login(mut url: Url) -> Url {
    // A URL with a host can have both, and so can lose them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Host and port of a URL, which is all that may be shown of it: a query can hold a key.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// What is at the bottom of an error, in a few words and without a URL.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    if let Some(error) = bottom.downcast_ref::<io::Error>()
        && error.raw_os_error().is_some()
    {
        return error.kind().to_string();
    }
    match bottom.downcast_ref::<reqwest::Error>() {
        // Its text has the URL in it.
        Some(error) if error.is_timeout() => "no connection in time".to_owned(),
        Some(_) => "the request failed".to_owned(),
        None => bottom.to_string(),
    }
}
