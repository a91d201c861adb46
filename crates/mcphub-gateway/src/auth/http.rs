//! `POST /auth/sign-in`, `/auth/refresh` and `/auth/sign-out`: JSON in and out, with the names of
//! OAuth 2.0 (RFC 6749, sections 5.1 and 5.2).
//!
//! There is no cookie, and a body has to say that it is JSON, so that no web page of another origin
//! can make a browser sign anybody in or out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use mcphub_core::principal::Refusal;
use mcphub_core::secret::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;

use super::keys::now;
use super::sign_in::{NotSignedIn, SignIns, Tokens};
use crate::gateway::Inner;
use crate::mcp::http::{has_json, limit};

/// The largest body, in bytes.
const MAX_BODY: usize = 4 * 1024;

/// The endpoints.
pub(crate) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route("/auth/sign-in", routing::post(sign_in))
        .route("/auth/refresh", routing::post(refresh))
        .route("/auth/sign-out", routing::post(sign_out))
}

#[derive(Deserialize)]
struct SignInBody {
    user: String,
    password: String,
}

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

async fn sign_in(State(gateway): State<Arc<Inner>>, request: Request) -> Result<Response, Denied> {
    let from = limit::address(&gateway, &request);
    let body: SignInBody = read(&gateway, request).await?;
    let (user, password) = (body.user, SecretString::from(body.password));
    let tokens = sign_ins(&gateway)?.sign_in(&user, password, from).await;
    Ok(granted(&tokens.map_err(|why| note(why, from))?))
}

async fn refresh(State(gateway): State<Arc<Inner>>, request: Request) -> Result<Response, Denied> {
    let from = limit::address(&gateway, &request);
    let body: RefreshBody = read(&gateway, request).await?;
    let tokens = sign_ins(&gateway)?.refresh(&body.refresh_token).await;
    Ok(granted(&tokens.map_err(|why| note(why, from))?))
}

async fn sign_out(State(gateway): State<Arc<Inner>>, request: Request) -> Result<Response, Denied> {
    let from = limit::address(&gateway, &request);
    let body: RefreshBody = read(&gateway, request).await?;
    let ended = sign_ins(&gateway)?.sign_out(&body.refresh_token).await;
    ended.map_err(|why| note(why, from))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Says in the log what a host has to know of.
fn note(why: NotSignedIn, from: Option<IpAddr>) -> Denied {
    let from = from.map(tracing::field::display);
    match &why {
        NotSignedIn::Refused(Refusal::Reused) => {
            tracing::warn!(
                from,
                "a refresh token was used twice; its sign-in has ended"
            );
        }
        NotSignedIn::Failed(error) => {
            tracing::warn!(from, error = %error.report(), "nobody can be signed in now");
        }
        _ => {}
    }
    why.into()
}

fn sign_ins(gateway: &Inner) -> Result<&SignIns, Denied> {
    let none = || Denied::new(404, "invalid_request", "nobody signs in here");
    gateway.sign_ins.as_deref().ok_or_else(none)
}

async fn read<T: DeserializeOwned>(gateway: &Inner, request: Request) -> Result<T, Denied> {
    let wrong = |status, why| Denied::new(status, "invalid_request", why);
    let (parts, body) = request.into_parts();
    let says = parts.headers.contains_key(header::CONTENT_TYPE);
    if !says || !has_json(&parts.headers) {
        return Err(wrong(415, "the body has to be application/json"));
    }
    let bytes = timeout(gateway.settings.body_timeout, to_bytes(body, MAX_BODY)).await;
    let bytes = bytes.map_err(|_| wrong(408, "the body did not come in time"))?;
    let bytes = bytes.map_err(|_| wrong(413, "the body broke off, or has more than 4096 bytes"))?;
    // Without what the reader says: it may repeat a part.
    serde_json::from_slice(&bytes).map_err(|_| wrong(400, "the body is not what is asked for"))
}

fn granted(tokens: &Tokens) -> Response {
    let left = tokens
        .refresh_ends_at
        .saturating_sub(now())
        .max(0)
        .unsigned_abs()
        / 1_000;
    let body = json!({
        "access_token": tokens.access.expose(),
        "token_type": "Bearer",
        // No token outlives its sign-in.
        "expires_in": tokens.access_lasts.as_secs().min(left),
        "refresh_token": tokens.refresh.expose().expose_secret(),
        "refresh_expires_in": left,
    });
    kept_by_nobody(Json(body).into_response())
}

fn kept_by_nobody(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer to who gets no tokens.
struct Denied {
    status: u16,
    code: &'static str,
    why: String,
    retry_after: Option<Duration>,
}

impl Denied {
    fn new(status: u16, code: &'static str, why: impl Into<String>) -> Self {
        Self {
            status,
            code,
            why: why.into(),
            retry_after: None,
        }
    }
}

impl From<NotSignedIn> for Denied {
    fn from(why: NotSignedIn) -> Self {
        let again = |status, code, why: &str, after| Self {
            retry_after: Some(after),
            ..Self::new(status, code, why)
        };
        match why {
            NotSignedIn::Wrong => {
                Self::new(401, "invalid_grant", "the user or the password is wrong")
            }
            NotSignedIn::Refused(refusal @ (Refusal::Disabled | Refusal::NoMember)) => {
                Self::new(403, "access_denied", refusal.to_string())
            }
            NotSignedIn::Refused(refusal) => Self::new(401, "invalid_grant", refusal.to_string()),
            NotSignedIn::Limited(after) => again(429, "slow_down", "it was tried too often", after),
            NotSignedIn::Failed(_) => {
                let (code, why) = ("temporarily_unavailable", "nobody can be signed in now");
                again(503, code, why, Duration::from_secs(1))
            }
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.why });
        let mut response: Response<Body> = Json(body).into_response();
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if self.status == 401 {
            let challenge = HeaderValue::from_static(r#"Bearer realm="mcphub""#);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        kept_by_nobody(response)
    }
}
