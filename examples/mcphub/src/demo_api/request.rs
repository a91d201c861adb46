//! Reading a request outside of a JSON body: path, query, cookies and form fields.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, RawQuery, Request};
use axum::http::header::{CONTENT_TYPE, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;

use super::problem::{Place, Problem, Violation};
use super::rule::Checked;

/// How many parameters a query or form may have.
const MAX_PARAMETERS: usize = 100;

/// The one value that the path of the request has.
#[derive(Debug)]
pub struct PathValue {
    name: String,
    value: String,
}

/// Named values of a query, the cookies or a form, taken out one by one. What is wrong is collected until [`finish`](Self::finish).
#[derive(Debug)]
pub struct Parameters {
    place: Place,
    pairs: Vec<(String, String)>,
    violations: Vec<Violation>,
}

/// The body of a request that carries JSON.
#[derive(Debug)]
pub struct JsonBody(pub Bytes);

/// The fields of a request that carries a form.
#[derive(Debug)]
pub struct Form(pub Parameters);

impl PathValue {
    pub fn read<T>(&self, rule: impl Fn(&str) -> Checked<T>) -> Result<T, Problem> {
        rule(&self.value).map_err(|message| Violation::new(Place::Path, &self.name, message).into())
    }
}

impl Parameters {
    /// Reads `name=value` pairs joined by `&` (WHATWG URL, application/x-www-form-urlencoded).
    fn parse(place: Place, text: &str) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(Problem::unreadable(format!(
                    "more than {MAX_PARAMETERS} parameters"
                )));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self::new(place, pairs))
    }

    /// The cookies (RFC 6265, section 4.2.1). Unknown ones are dropped: a browser sends what it has.
    pub fn cookies(headers: &HeaderMap, known: &[&str]) -> Self {
        let values = headers.get_all(COOKIE).into_iter();
        let pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| known.contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::new(Place::Cookie, pairs.collect())
    }

    /// A parameter that may be left out and stands there once.
    pub fn optional<T>(&mut self, name: &str, rule: impl Fn(&str) -> Checked<T>) -> Option<T> {
        let mut values = self.take(name);
        let value = values.pop()?;
        if !values.is_empty() {
            self.refuse(name, "is given more than once");
            return None;
        }
        self.check(name, &value, rule)
    }

    pub fn required<T>(&mut self, name: &str, rule: impl Fn(&str) -> Checked<T>) -> Option<T> {
        self.require(name);
        self.optional(name, rule)
    }

    /// Notes the absence of a parameter; to be called before it is taken.
    pub fn require(&mut self, name: &str) {
        if !self.pairs.iter().any(|(other, _)| other == name) {
            self.refuse(name, "is required");
        }
    }

    /// A list with the name repeated for each item (form, exploded); empty when it is left out.
    pub fn repeated<T>(
        &mut self,
        name: &str,
        most: usize,
        rule: impl Fn(&str) -> Checked<T>,
    ) -> Vec<T> {
        let values = self.take(name);
        self.items(name, values, most, rule)
    }

    /// A list in one value, its items joined by `delimiter`, which is in no item; `None` when it is left out.
    pub fn joined<T>(
        &mut self,
        name: &str,
        delimiter: char,
        most: usize,
        rule: impl Fn(&str) -> Checked<T>,
    ) -> Option<Vec<T>> {
        let value = self.optional(name, |value| Ok(value.to_owned()))?;
        let values = value.split(delimiter).map(str::to_owned).collect();
        Some(self.items(name, values, most, rule))
    }

    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.violations
            .push(Violation::new(self.place, name, message));
    }

    /// Ends the reading: what was not taken is unknown.
    ///
    /// # Errors
    /// 422 with everything that was wrong.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.refuse(&name, "is not a known parameter");
        }
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(Problem::unprocessable(self.violations))
        }
    }

    fn new(place: Place, pairs: Vec<(String, String)>) -> Self {
        Self {
            place,
            pairs,
            violations: Vec::new(),
        }
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(other, _)| other == name);
        taken.map(|(_, value)| value).collect()
    }

    fn items<T>(
        &mut self,
        name: &str,
        values: Vec<String>,
        most: usize,
        rule: impl Fn(&str) -> Checked<T>,
    ) -> Vec<T> {
        if values.len() > most {
            self.refuse(name, format!("must have at most {most} items"));
            return Vec::new();
        }
        let checked = values.iter().map(|value| self.check(name, value, &rule));
        checked.flatten().collect()
    }

    fn check<T>(
        &mut self,
        name: &str,
        value: &str,
        rule: impl Fn(&str) -> Checked<T>,
    ) -> Option<T> {
        rule(value)
            .map_err(|message| self.refuse(name, message))
            .ok()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathValue {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(values): Path<HashMap<String, String>> = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::unreadable("the path is not UTF-8"))?;
        let (name, value) = values.into_iter().next().unwrap_or_default();
        Ok(Self { name, value })
    }
}

/// The query of the request.
impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
        Self::parse(Place::Query, query.as_deref().unwrap_or_default())
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        body(request, state, "application/json").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = body(request, state, "application/x-www-form-urlencoded").await?;
        let text =
            str::from_utf8(&body).map_err(|_| Problem::unreadable("the form is not UTF-8"))?;
        Parameters::parse(Place::Body, text).map(Self)
    }
}

/// The body, when it says that it is of `media_type`.
async fn body<S: Send + Sync>(
    request: Request,
    state: &S,
    media_type: &str,
) -> Result<Bytes, Problem> {
    let header = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = header
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case(media_type) {
        let detail = format!("the body must have the Content-Type {media_type}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection: BytesRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {} bytes", super::MAX_BODY),
            ),
            _ => Problem::unreadable("the body could not be read to its end"),
        })
}

/// A name or value of a pair: `+` is a space, `%XX` a byte of UTF-8.
fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(|decoded| decoded.into_owned())
        .map_err(|_| Problem::unreadable("a parameter is not percent-encoded UTF-8"))
}
