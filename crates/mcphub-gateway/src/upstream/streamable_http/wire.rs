//! Requests to one server, in the era that it speaks.

mod meeting;
mod sending;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::Uri;
use futures::stream::{self, StreamExt};
use mcphub_core::deployment::Endpoint;
use mcphub_core::principal::Principal;
use mcphub_core::secret::Credentials;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::answer::{self, Answer};
use super::exchange::{HttpExchange, Source};
use super::session::Session;
use super::sessions::UpstreamSessions;
use super::settings::McpClient;
use crate::upstream::access::{Access, LoginNeeded, Whose, how_to_get_in};
use crate::upstream::direct::{self, Origin};
use crate::upstream::events::{Events, broken, is_events};
use crate::upstream::message::{self, Call, Params};
use crate::upstream::owner::Owner;
use crate::upstream::response::HttpResponse;
use crate::upstream::updated::Updated;
use crate::upstream::{About, Failure, Forward, Said, http};

/// What a server was found to speak.
#[derive(Debug, Clone)]
pub(super) enum Era {
    /// 2026-07-28: every request stands for itself.
    Modern,
    /// 2025-11-25 and before, after the handshake.
    Legacy(Arc<Session>),
}

/// One server and what is known of it.
pub(super) struct Wire {
    endpoint: Endpoint,
    pub(super) client: McpClient,
    /// The tokens that let requests in, of a server that wants some.
    access: Option<Arc<Access>>,
    /// Host and port, the part of the URL that may be shown.
    pub(super) host: String,
    /// Found once by whoever needs it first; replaced when it turns out to be wrong.
    era: ArcSwap<OnceCell<Era>>,
    /// Sessions of the legacy era that belong to sessions or abilities of clients.
    sessions: UpstreamSessions,
    /// What the server said of itself when it was met last.
    about: ArcSwap<About>,
    /// What the stream of the shared session tells of resources.
    pub(super) updated: Updated,
    next_id: AtomicU64,
    /// The shortest way there, where nothing but plain HTTP is needed: whom to ask, and for what.
    direct: Option<(Arc<Origin>, Uri)>,
    /// Whether an answer came on that way, and whether one leads elsewhere.
    heard: AtomicBool,
    redirects: AtomicBool,
}

/// How many sessions of one server are ended at once.
const ENDING_AT_ONCE: usize = 32;

/// The header that names the last event of a stream that broke off.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// MCP's own headers, in the form in which they are written soonest.
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// A request that was to be sent as was known of the server, which is wrong by now. It has done
/// nothing.
struct Stale(Arc<Forward>);

/// A request that is ready to be sent.
struct Attempt {
    era: Era,
    id: u64,
    message: (HeaderMap, Vec<u8>),
    whose: Whose,
    /// What is known of the server was known before.
    known: bool,
    /// The server may ask on the stream of the session before it answers at all.
    asks: bool,
}

impl Drop for Wire {
    /// Ends sessions that nobody can use any more.
    fn drop(&mut self) {
        let sessions = self.sessions.take(None);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                stream::iter(sessions)
                    .for_each_concurrent(ENDING_AT_ONCE, async |session| session.end().await)
                    .await;
            });
        }
    }
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, client: McpClient, access: Option<Arc<Access>>) -> Self {
        let host = http::host(&endpoint.url);
        let direct = match &access {
            None => {
                let origin = client.direct.origin(&endpoint.url);
                origin.zip(direct::target(&endpoint.url))
            }
            Some(_) => None,
        };
        Self {
            endpoint,
            client,
            access,
            host,
            era: ArcSwap::default(),
            sessions: UpstreamSessions::default(),
            about: ArcSwap::default(),
            updated: Updated::default(),
            next_id: AtomicU64::new(1),
            direct,
            heard: AtomicBool::new(false),
            redirects: AtomicBool::new(false),
        }
    }

    /// The result of a request.
    ///
    /// # Errors
    /// `Upstream` with `code` and `message` for a JSON-RPC error, `Unavailable` when there is no
    /// connection.
    pub(super) async fn request(&self, call: &Call<'_>) -> Result<Box<RawValue>> {
        let mut stale = true;
        loop {
            let cell = self.era.load_full();
            let known = cell.initialized();
            let era = cell.get_or_try_init(|| Box::pin(self.probe(None))).await?;
            let id = self.id();
            let response = self.post(era, call, id, None).await?;
            let status = response.status();
            let in_by = how_to_get_in(&response);
            let answer = self.read(response, id).await?;
            // A server that was restarted has forgotten the session or speaks another era. What it
            // refuses with one of these it has not done.
            if stale && known && refuses_era(era, status, &answer) {
                stale = false;
                if let Era::Legacy(session) = era {
                    session.has_ended();
                }
                self.forget(&cell);
                continue;
            }
            return match answer {
                Answer::Result(result) => Ok(result),
                Answer::Failure(failure) => Err(self.failure(call.method, &failure)),
                Answer::Status => Err(self.refused(status, in_by)),
            };
        }
    }

    /// Asks for the least that there is in the server's era. An error that it answers is an answer.
    pub(super) async fn check(&self) -> Result<()> {
        let method = match self.era().await? {
            Era::Modern => "server/discover",
            Era::Legacy(_) => "ping",
        };
        match self.request(&Call::new(method, Params::default())).await {
            Err(error) if !error.context().any(|(key, _)| key == "code") => Err(error),
            _ => Ok(()),
        }
    }

    /// Meets the server, and begins the session that a request belongs to.
    pub(super) async fn ready(&self, forward: &Forward) -> Result<()> {
        self.admit(forward)?;
        let (cell, _) = self.cell(forward).await?;
        let meeting = cell.get_or_try_init(|| {
            Box::pin(self.initialize(&forward.abilities, forward.who.as_ref()))
        });
        meeting.await.map(drop)
    }

    /// That the server lets its caller's request in, as far as that is known here.
    fn admit(&self, forward: &Forward) -> Result<()> {
        let access = self.access.as_ref();
        access.map_or(Ok(()), |access| access.admit(forward.who.as_deref()))
    }

    /// The era of the server, found out if need be.
    pub(super) async fn era(&self) -> Result<Era> {
        let cell = self.era.load_full();
        cell.get_or_try_init(|| Box::pin(self.probe(None)))
            .await
            .cloned()
    }

    /// Takes over logins of users; whether there is anything that has logins.
    pub(super) fn take_logins(&self, credentials: &Credentials) -> bool {
        let access = self.access.as_ref();
        access.is_some_and(|access| access.take_logins(credentials))
    }

    /// Waits for logins that are being renewed.
    pub(super) async fn settle(&self) {
        if let Some(access) = &self.access {
            access.settle().await;
        }
    }

    /// What the server said of itself when it was met last.
    pub(super) fn about(&self) -> Arc<About> {
        self.about.load_full()
    }

    /// Sends a request of any method. Parts that few requests need are boxed, here and below: what a
    /// call takes along is moved with it, again and again.
    ///
    /// # Errors
    /// `Unavailable` when there is no connection, `Upstream` when the server answers with an HTTP
    /// error that has no JSON-RPC error in it; as [`Access::admit`].
    pub(super) async fn open(self: &Arc<Self>, forward: Arc<Forward>) -> Result<HttpExchange> {
        self.admit(&forward)?;
        let (cell, known) = self.cell(&forward).await?;
        match self.begin(forward, &cell, known).await? {
            Ok(exchange) => Ok(exchange),
            Err(Stale(forward)) => Box::pin(self.open_anew(forward, &cell)).await,
        }
    }

    /// As [`Wire::open`], once a session, or what was known of the server, turned out to be wrong.
    pub(super) async fn open_anew(
        self: &Arc<Self>,
        forward: Arc<Forward>,
        wrong: &Arc<OnceCell<Era>>,
    ) -> Result<HttpExchange> {
        self.sessions.forget(&Owner::of(&forward), wrong);
        if let Some(Era::Legacy(session)) = wrong.get() {
            session.has_ended();
        }
        // It may speak another era by now.
        self.forget_era();
        let (cell, _) = self.cell(&forward).await?;
        let begun = self.begin(forward, &cell, false).await?;
        begun.map_err(|_| Error::internal("a session that is new is not stale"))
    }

    /// Sends a request as `cell` says. What was `known` may turn out to be wrong.
    async fn begin(
        self: &Arc<Self>,
        forward: Arc<Forward>,
        cell: &Arc<OnceCell<Era>>,
        known: bool,
    ) -> Result<Result<HttpExchange, Stale>> {
        let era = cell
            .get_or_try_init(|| Box::pin(self.initialize(&forward.abilities, forward.who.as_ref())))
            .await?
            .clone();
        if forward.log_level.is_some() && !forward.choice {
            Box::pin(self.ask_for_logs(&era, forward.who.as_deref())).await;
        }
        let id = self.id();
        let headers = self.forward_headers(&era, &forward)?;
        let body = message::forward(&forward, id, matches!(era, Era::Modern));
        let message = (headers, body);
        let whose = forward.who.clone();
        let asks = matches!(&era, Era::Legacy(session) if session.id.is_some())
            && Owner::of(&forward).can_be_asked();
        let attempt = Attempt {
            era: era.clone(),
            id,
            message,
            whose: whose.clone(),
            known,
            asks,
        };
        let mut exchange = HttpExchange::new(Arc::clone(self), era, id, whose);
        if let Era::Legacy(session) = &exchange.era
            && asks
        {
            // It may be asked on the session's stream before there is an answer.
            Box::pin(session.listen(self)).await;
            exchange.inbox = Some(session.converse(id, forward.session)?);
            let sending = Arc::clone(self).attempt(attempt);
            exchange.source = Source::Sending(Box::pin(sending));
            exchange.first = self.client.settings.first_byte_timeout;
            exchange.again = known.then(|| Box::new((forward, Arc::clone(cell))));
            return Ok(Ok(exchange));
        }
        Ok(match Arc::clone(self).attempt(attempt).await? {
            Some(source) => {
                exchange.source = source;
                Ok(exchange)
            }
            None => Err(Stale(forward)),
        })
    }

    /// Sends a request, and gives what it is answered from. `None` when the server refuses the way
    /// in which it is spoken to, which was `known` before, and has done nothing.
    async fn attempt(self: Arc<Self>, attempt: Attempt) -> Result<Option<Source>> {
        let Attempt {
            era,
            id,
            message: (headers, body),
            whose,
            known,
            asks,
        } = attempt;
        let whose = whose.as_deref();
        let sending = pin!(self.send(Method::POST, headers, Some(body), whose));
        let response = match self.client.settings.first_byte_timeout.filter(|_| !asks) {
            Some(limit) => self.within(limit, sending).await?,
            None => sending.await?,
        };
        let in_by = how_to_get_in(&response);
        let status = response.status();
        let limit = self.client.settings.max_message;
        if status.is_success() && is_events(&response) {
            let events = Events::new(response, limit);
            return Ok(Some(Source::Events(Box::new(events))));
        }
        let answer = self.read(response, id).await?;
        if known && refuses_era(&era, status, &answer) {
            return Ok(None);
        }
        Ok(Some(Source::Whole(Box::new(match answer {
            Answer::Result(result) => Said::Result(result),
            Answer::Failure(failure) => Said::Failure(failure),
            Answer::Status => return Err(self.refused(status, in_by)),
        }))))
    }

    /// Goes on with the answer to a request whose stream broke off (2025-11-25, Transports,
    /// Resumability and Redelivery).
    ///
    /// # Errors
    /// `Upstream` when the server does not go on with it.
    pub(super) async fn resume(
        &self,
        era: &Era,
        last_id: &str,
        whose: Option<&Principal>,
    ) -> Result<Events> {
        let mut headers = self.headers(era, None)?;
        let value = HeaderValue::from_str(last_id)
            .map_err(|_| broken("the stream ended before the answer"))?;
        headers.insert(LAST_EVENT_ID, value);
        let response = match self.send(Method::GET, headers, None, whose).await {
            // A login would not bring the answer: the request would be made twice.
            Err(error) if LoginNeeded::is_cause(&error) => {
                return Err(broken("the stream ended before the answer"));
            }
            response => response?,
        };
        if response.status().is_success() && is_events(&response) {
            return Ok(Events::new(response, self.client.settings.max_message));
        }
        Err(broken("the stream ended before the answer"))
    }

    /// Ends the sessions of a client's session, or all, and waits until the server knows.
    pub(super) async fn end(&self, of: Option<SessionKey>) {
        let mut ending = self.sessions.take(of);
        if of.is_none()
            && let Some(Era::Legacy(session)) = self.era.swap(Arc::default()).get()
        {
            ending.push(Arc::clone(session));
        }
        stream::iter(ending)
            .for_each_concurrent(ENDING_AT_ONCE, async |session| session.end().await)
            .await;
    }

    /// Whether clients' sessions ever had one of their own.
    pub(super) fn keeps_sessions(&self) -> bool {
        self.sessions.any()
    }

    /// Ends sessions that were not used for long.
    pub(super) fn tidy(&self) {
        self.sessions.tidy();
    }

    /// What is known of the server where this request goes, and whether something is: of a legacy
    /// server that keeps sessions, the session that belongs to whoever asks.
    async fn cell(&self, forward: &Forward) -> Result<(Arc<OnceCell<Era>>, bool)> {
        let shared = self.era.load_full();
        let known = shared.initialized();
        let whose = forward.who.as_ref();
        let era = shared
            .get_or_try_init(|| Box::pin(self.probe(whose)))
            .await?;
        match era {
            Era::Legacy(session) if session.id.is_some() => {
                let own = self.sessions.of(Owner::of(forward));
                let known = own.initialized();
                Ok((own, known))
            }
            _ => Ok((shared, known)),
        }
    }

    /// Legacy servers send the log messages that a session asked for; the caller's choice among
    /// them is made by the gateway, because others may share the session.
    async fn ask_for_logs(&self, era: &Era, whose: Option<&Principal>) {
        let Era::Legacy(session) = era else {
            return;
        };
        if !self.about.load().logging {
            return;
        }
        let asked = session.talks.get_or_try_init(|| async {
            let id = self.id();
            let call = Call::new("logging/setLevel", Params::level("debug"));
            let response = self.post(era, &call, id, whose).await?;
            self.read(response, id).await.map(|_| ())
        });
        if let Err(error) = asked.await {
            tracing::debug!(server = %self.host, error = %error.report(), "the server sends the log messages that it likes");
        }
    }

    /// Sends a message that has no answer.
    pub(super) async fn tell(
        &self,
        era: &Era,
        message: Vec<u8>,
        whose: Option<&Principal>,
    ) -> Result<()> {
        let headers = self.headers(era, None)?;
        let response = self
            .send(Method::POST, headers, Some(message), whose)
            .await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(self.status(response.status()))
        }
    }

    /// Answers a request of the server in the session that is shared.
    pub(super) async fn reply(&self, answer: Vec<u8>) {
        let telling = async {
            let era = self.era().await?;
            self.tell(&era, answer, None).await
        };
        if let Err(error) = self
            .within(self.client.settings.list_timeout, telling)
            .await
        {
            tracing::debug!(server = %self.host, error = %error.report(), "an answer did not arrive");
        }
    }

    /// Bounds a piece of work.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "the MCP server did not answer within {} s",
                    limit.as_secs_f64()
                ),
            )
            .with("server", &self.host))
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn forget(&self, wrong: &Arc<OnceCell<Era>>) {
        self.era.compare_and_swap(wrong, Arc::default());
    }

    /// The server is met anew with the next request.
    pub(super) fn forget_era(&self) {
        self.era.store(Arc::default());
    }

    async fn read(&self, response: HttpResponse, id: u64) -> Result<Answer> {
        let limit = self.client.settings.max_message;
        answer::read(response, id, limit)
            .await
            .map_err(|error| error.with("server", &self.host))
    }

    fn failure(&self, method: &'static str, failure: &Failure) -> Error {
        message::refused(method, failure).with("server", &self.host)
    }

    pub(super) fn status(&self, status: StatusCode) -> Error {
        http::refused(&self.host, status)
    }

    /// As [`Wire::status`], with what the server said of how it lets in.
    fn refused(&self, status: StatusCode, in_by: Option<&'static str>) -> Error {
        let error = self.status(status);
        match in_by {
            Some(how) => error.with("how it lets in", how),
            None => error,
        }
    }
}

/// Whether a server refuses the way it is spoken to, and not the request.
fn refuses_era(era: &Era, status: StatusCode, answer: &Answer) -> bool {
    // It has moved since it was met. The shortest way there follows no redirect; meeting it anew does.
    if status.is_redirection() {
        return true;
    }
    let refused = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    );
    refused
        && match era {
            Era::Modern => match answer {
                Answer::Failure(failure) => {
                    failure.code
                        == i64::from(rmcp::model::ErrorCode::UNSUPPORTED_PROTOCOL_VERSION.0)
                }
                _ => true,
            },
            Era::Legacy(_) => true,
        }
}

/// 401, 403 and 429 are about who asks, in either era.
fn refuses_caller(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    )
}
