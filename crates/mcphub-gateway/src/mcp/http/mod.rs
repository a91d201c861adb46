//! Streamable HTTP: both eras on one endpoint.
//!
//! - Modern (2026-07-28): each POST stands for itself; its headers have to say what its body says.
//! - Old (2025-03-26 to 2025-11-25): `initialize` gives a session; GET opens a stream for
//!   announcements; DELETE ends the session. A request without a session is answered as well.
//! - Before (2024-11-05): HTTP+SSE, at `/sse` and `/messages`.
//!
//! Answers are JSON, or one event where a client accepts nothing else. A client that goes away
//! cancels what it asked for.

mod bearer;
mod headers;
pub(crate) mod limit;
pub(crate) mod load;
mod origin;
mod post;
mod progress;
mod service;
pub(crate) mod sse;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, get};
use bytes::Bytes;
use mcphub_core::server::ServerName;
use rmcp::transport::common::http_header::{EVENT_STREAM_MIME_TYPE, JSON_MIME_TYPE};

pub(crate) use self::headers::has_json;
use self::origin::OriginLayer;
pub(crate) use self::service::GatewayService;
use super::error::RpcError;
use super::message::Rejected;
use super::reply::Reply;
use crate::auth;
use crate::federation::Scope;
use crate::gateway::Inner;
use crate::health::{self, Seen};
use crate::hosts::{Hosts, NotHere};
use crate::issuer::KEYS;
use crate::login;
use crate::settings::ToolsMode;

/// Up to this many bytes an answer is sent in one piece; more is not copied together.
const ONE_PIECE: usize = 32 * 1024;

/// Where messages for all servers go.
const ENDPOINT: &str = "/mcp";

/// Where the gateway says how it is.
const HEALTH: &str = "/healthz";

/// The same as [`router`], for a listener that is called by these names.
pub(crate) fn router_of(gateway: Arc<Inner>, hosts: Hosts) -> Router {
    let told = Arc::clone(&gateway);
    let check = move |request: Request, next: Next| {
        let checked = hosts.check(&request);
        let told = Arc::clone(&told);
        async move {
            match checked {
                Ok(()) => next.run(request).await,
                Err(why) => misdirected(&told, why),
            }
        }
    };
    router(gateway).layer(from_fn(check))
}

/// The answer to a request that is for another host.
fn misdirected(gateway: &Inner, why: NotHere) -> Response {
    let refusal = RpcError::refused(why.status().as_u16(), why.text());
    let response = Refusal::from(refusal).into_response();
    gateway.metrics.answered(response)
}

/// The service of a gateway, whatever host is asked for.
pub(crate) fn router(gateway: Arc<Inner>) -> Router {
    let mut endpoints = Router::new()
        .route(ENDPOINT, get(open).post(post_message).delete(end))
        .route("/mcp/{server}", get(open).post(post_message).delete(end))
        .route("/sse", get(open_sse))
        .route("/sse/{server}", get(open_sse))
        .route("/messages", routing::post(post_sse))
        .route(HEALTH, get(health));
    if gateway.sign_ins.is_some() {
        endpoints = endpoints.merge(auth::http::routes());
    }
    if let Some(issuer) = gateway.issuer.clone() {
        let keys = get(async move || issuer.published());
        endpoints = endpoints.route(KEYS, keys);
    }
    if gateway.limit.is_some() {
        endpoints = endpoints.layer(from_fn_with_state(Arc::clone(&gateway), limit::within));
    }
    let mut endpoints = endpoints.layer(OriginLayer::new(
        &gateway.settings.allowed_origins,
        Arc::clone(&gateway.metrics),
    ));
    if gateway.logins.is_some() {
        // Their pages are the gateway's own, of whatever name.
        let mut pages = login::http::routes();
        if gateway.limit.is_some() {
            pages = pages.layer(from_fn_with_state(Arc::clone(&gateway), limit::within));
        }
        endpoints = endpoints.merge(pages);
    }
    endpoints.with_state(gateway)
}

async fn post_message(
    State(gateway): State<Arc<Inner>>,
    Endpoint(scope): Endpoint,
    request: Request,
) -> Response {
    let seen = bearer::seen(&gateway, request.headers());
    post_to(&gateway, scope, seen, request).await
}

/// Answers a message to this endpoint, of whoever was seen to make it.
async fn post_to(
    gateway: &Arc<Inner>,
    scope: Scope,
    seen: Option<auth::Seen>,
    request: Request,
) -> Response {
    let Some(_room) = gateway.load.room() else {
        return gateway.metrics.answered(load::shed());
    };
    let response = match bearer::principal_of(gateway, request.headers(), seen).await {
        Ok(who) => post::answer(gateway, scope, who.as_ref(), request).await,
        Err(unauthorized) => unauthorized.into_response(),
    };
    gateway.metrics.answered(response)
}

async fn open(
    State(gateway): State<Arc<Inner>>,
    Endpoint(scope): Endpoint,
    headers: HeaderMap,
) -> Response {
    let response = match bearer::principal(&gateway, &headers).await {
        Ok(who) => stream::open(&gateway, scope, &headers, who.as_ref()).await,
        Err(unauthorized) => unauthorized.into_response(),
    };
    gateway.metrics.answered(response)
}

async fn open_sse(
    State(gateway): State<Arc<Inner>>,
    Endpoint(scope): Endpoint,
    headers: HeaderMap,
) -> Response {
    let who = match bearer::principal(&gateway, &headers).await {
        Ok(who) => who,
        Err(unauthorized) => return gateway.metrics.answered(unauthorized.into_response()),
    };
    let admission = bearer::admission(&gateway, &headers, who.as_ref());
    let opened = sse::open(&gateway, scope, admission, &headers);
    let response = opened.unwrap_or_else(IntoResponse::into_response);
    gateway.metrics.answered(response)
}

async fn post_sse(State(gateway): State<Arc<Inner>>, request: Request) -> Response {
    let who = match bearer::principal(&gateway, request.headers()).await {
        Ok(who) => who,
        Err(unauthorized) => return gateway.metrics.answered(unauthorized.into_response()),
    };
    let taken = sse::take(&gateway, who.as_deref(), request).await;
    let response = taken.unwrap_or_else(IntoResponse::into_response);
    gateway.metrics.answered(response)
}

async fn end(State(gateway): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let response = match bearer::principal(&gateway, &headers).await {
        Ok(who) => stream::end(&gateway, &headers, who.as_deref()).await,
        Err(unauthorized) => unauthorized.into_response(),
    };
    gateway.metrics.answered(response)
}

async fn health(State(gateway): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let seen = match bearer::principal(&gateway, &headers).await {
        Ok(None) => Seen::All,
        Ok(Some(who)) => Seen::By(who),
        Err(_) => Seen::Nothing,
    };
    health::answer(&gateway, &seen)
}

/// Which endpoint a path names.
struct Endpoint(Scope);

impl FromRequestParts<Arc<Inner>> for Endpoint {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Inner>) -> Result<Self, Refusal> {
        let mode = mode(parts.uri.query(), state.settings.tools)?;
        let path = Option::<Path<String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Refusal::no_server())?;
        let Some(Path(name)) = path else {
            return Ok(Self(mode.scope(Scope::All)));
        };
        ServerName::new(name)
            .map(|name| Self(mode.scope(Scope::Server(name))))
            .map_err(|_| Refusal::no_server())
    }
}

/// What `tools` in the query of a URL says; other parameters are not looked at.
fn mode(query: Option<&str>, default: ToolsMode) -> Result<ToolsMode, Refusal> {
    let Some(query) = query else {
        return Ok(default);
    };
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    match parameters.find(|(name, _)| name == "tools") {
        None => Ok(default),
        Some((_, value)) => match &*value {
            "all" => Ok(ToolsMode::All),
            "search" => Ok(ToolsMode::Search),
            _ => Err(RpcError::refused(400, "`tools` is `all` or `search`").into()),
        },
    }
}

/// An error before a request could be answered, or without one.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    reply: Reply,
}

impl Refusal {
    fn no_server() -> Self {
        RpcError::refused(404, "There is no server of that name").into()
    }
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Rejected::from(error).into()
    }
}

impl From<Rejected<'_>> for Refusal {
    fn from(rejected: Rejected<'_>) -> Self {
        Self {
            status: status(rejected.error.status),
            reply: Reply::error(rejected.id, &rejected.error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json(self.status, self.reply)
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A message as the body of an answer.
fn json(status: StatusCode, reply: Reply) -> Response {
    whole(status, JSON_MIME_TYPE, reply)
}

/// A message as the only event of a stream.
fn event(reply: Reply) -> Response {
    let mut response = whole(StatusCode::OK, EVENT_STREAM_MIME_TYPE, reply.into_event());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn whole(status: StatusCode, media_type: &'static str, reply: Reply) -> Response {
    let length = reply.len();
    let body = if length <= ONE_PIECE {
        Body::from(reply.into_bytes())
    } else {
        Body::from_stream(futures::stream::iter(
            reply
                .into_pieces()
                .into_iter()
                .map(Ok::<Bytes, std::convert::Infallible>),
        ))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
