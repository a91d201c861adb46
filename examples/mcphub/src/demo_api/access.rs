//! What requests carry in headers: the key of the write operations and the caller's request id.

use axum::extract::Request;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::API_KEY;
use super::problem::{Place, Problem, Violation};
use super::rule;

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The `X-Request-Id` of a request, when it has one.
#[derive(Debug, Clone)]
pub struct RequestId(pub Option<String>);

/// Lets a request pass that has the shop's key.
pub async fn require_key(request: Request, next: Next) -> Response {
    let detail = match single(request.headers(), &KEY) {
        Ok(Some(key)) if key == API_KEY => return next.run(request).await,
        Ok(None) => "this operation needs the shop's key in the header X-Api-Key",
        _ => "the key in the header X-Api-Key is not the shop's",
    };
    let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"))];
    (challenge, Problem::new(StatusCode::UNAUTHORIZED, detail)).into_response()
}

/// Hands the request id to the operation, and back with every answer.
pub async fn carry_request_id(mut request: Request, next: Next) -> Response {
    let value = match single(request.headers(), &REQUEST_ID) {
        Ok(value) => value.map(rule::request_id).transpose(),
        Err(message) => Err(message.to_owned()),
    };
    let id = match value {
        Ok(id) => id,
        Err(message) => {
            let violation = Violation::new(Place::Header, "X-Request-Id", message);
            return Problem::from(violation).into_response();
        }
    };
    let echo = id.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Some(echo) = echo {
        response.headers_mut().insert(REQUEST_ID, echo);
    }
    response
}

/// The value of a header that may stand in a request once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err("is given more than once");
    }
    value.to_str().map(Some).map_err(|_| "must be ASCII")
}
