//! Bearer tokens (RFC 6750).

use std::fmt::Write;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use mcphub_core::principal::{Principal, Refusal as NotAdmitted};

use super::Refusal;
use crate::auth::{Admission, Seen};
use crate::gateway::Inner;
use crate::mcp::error::RpcError;

/// Why a request is answered without being looked at.
#[derive(Debug)]
pub(super) struct Unauthorized {
    status: u16,
    message: String,
    /// The attributes of the challenge after its realm.
    challenge: String,
}

/// Who makes a request; `None` where nobody is asked.
pub(super) async fn principal(
    gateway: &Inner,
    headers: &HeaderMap,
) -> Result<Option<Arc<Principal>>, Unauthorized> {
    principal_of(gateway, headers, seen(gateway, headers)).await
}

/// As [`principal`], of a request that [`seen`] was asked about.
pub(super) async fn principal_of(
    gateway: &Inner,
    headers: &HeaderMap,
    seen: Option<Seen>,
) -> Result<Option<Arc<Principal>>, Unauthorized> {
    let Some(gate) = &gateway.gate else {
        return Ok(None);
    };
    let token = token(headers)?;
    let seen = seen.ok_or(NotAdmitted::Malformed)?;
    Ok(Some(gate.admit_seen(token, seen).await?))
}

/// What is known of who makes a request: nobody is asked. `None` where nobody ever is, or it shows no
/// token that could let anybody in.
pub(super) fn seen(gateway: &Inner, headers: &HeaderMap) -> Option<Seen> {
    gateway.gate.as_ref()?.see(token(headers).ok()?)
}

/// What a stream of theirs lasts as long as.
pub(super) fn admission(
    gateway: &Inner,
    headers: &HeaderMap,
    principal: Option<&Arc<Principal>>,
) -> Option<Admission> {
    let (gate, principal) = (gateway.gate.as_ref()?, principal?);
    Some(Admission::new(gate, principal, token(headers).ok()?))
}

/// The token of a request (RFC 6750 section 2.1). One in a body or a query is not looked at: those
/// are written down by many.
fn token(headers: &HeaderMap) -> Result<&str, Unauthorized> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(header::AUTHORIZATION) {
            Err(Unauthorized::invalid_request())
        } else {
            Err(Unauthorized::nothing_shown())
        };
    };
    let text = value
        .to_str()
        .map_err(|_| Unauthorized::invalid_request())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Unauthorized::nothing_shown()),
    }
}

/// The challenge to who was let in and may not do this (RFC 6750 section 3.1).
pub(super) fn insufficient(scope: &str) -> Option<HeaderValue> {
    challenge(&format!(r#", error="insufficient_scope", scope="{scope}""#))
}

impl Unauthorized {
    /// Without an error code: the client may not have known (RFC 6750 section 3.1).
    fn nothing_shown() -> Self {
        Self {
            status: 401,
            message: "A key is needed: send it as `Authorization: Bearer mcphub_…`; \
                      `mcphub key create` makes one"
                .to_owned(),
            challenge: String::new(),
        }
    }

    fn invalid_request() -> Self {
        Self {
            status: 400,
            message: "Authorization is there twice, or is no text".to_owned(),
            challenge: r#", error="invalid_request""#.to_owned(),
        }
    }
}

impl From<NotAdmitted> for Unauthorized {
    fn from(refusal: NotAdmitted) -> Self {
        let message = refusal.to_string();
        if refusal == NotAdmitted::Unavailable {
            return Self {
                status: 503,
                message,
                challenge: String::new(),
            };
        }
        let mut challenge = String::from(r#", error="invalid_token""#);
        // Writing to a String cannot fail.
        let _ = write!(challenge, r#", error_description="{message}""#);
        Self {
            status: 401,
            message: format!("Unauthorized: {message}"),
            challenge,
        }
    }
}

impl IntoResponse for Unauthorized {
    fn into_response(self) -> Response {
        let error = RpcError::refused(self.status, self.message);
        let mut response = Refusal::from(error).into_response();
        let headers = response.headers_mut();
        if self.status == 503 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
        } else if let Some(challenge) = challenge(&self.challenge) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn challenge(attributes: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!(r#"Bearer realm="mcphub"{attributes}"#)).ok()
}
