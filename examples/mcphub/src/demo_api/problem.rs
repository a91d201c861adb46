//! What the shop answers when it cannot do what it was asked: problem documents (RFC 9457).

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// How many violations one answer lists; a request can hold thousands.
const MAX_VIOLATIONS: usize = 20;

/// How many characters of a caller's own text an answer repeats.
const MAX_EXCERPT: usize = 60;

/// Why a request was refused.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Violation>,
}

/// One value of a request that cannot be accepted.
#[derive(Debug, Serialize)]
pub struct Violation {
    #[serde(rename = "in")]
    place: Place,
    /// The parameter or form field; in a JSON body the JSON Pointer (RFC 6901).
    name: String,
    message: String,
}

/// The part of a request that a value stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Path,
    Query,
    Header,
    Cookie,
    Body,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// 400: the request could not be read.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: `detail` says what does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 422: the request was read, but not all of its values can be accepted.
    pub fn unprocessable(mut errors: Vec<Violation>) -> Self {
        let detail = match errors.len() {
            1 => "1 value cannot be accepted".to_owned(),
            n if n <= MAX_VIOLATIONS => format!("{n} values cannot be accepted"),
            n => format!("{n} values cannot be accepted; the first {MAX_VIOLATIONS} are listed"),
        };
        errors.truncate(MAX_VIOLATIONS);
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail,
            errors,
        }
    }

    /// 503: the shop keeps a bounded number of things, and this one would be too many.
    pub fn full(what: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the demo keeps no more {what}; a restart empties it"),
        )
    }
}

impl From<Violation> for Problem {
    fn from(violation: Violation) -> Self {
        Self::unprocessable(vec![violation])
    }
}

impl Violation {
    pub fn new(place: Place, name: &str, message: impl Into<String>) -> Self {
        Self {
            place,
            name: excerpt(name),
            message: message.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Document {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: String,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            errors: Vec<Violation>,
        }
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, axum::Json(document)).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    }
}

/// `text`, shortened so that an answer never echoes a request at length.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
