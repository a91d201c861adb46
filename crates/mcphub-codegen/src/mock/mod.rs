//! A document answers for its API: deterministic, from examples and schemas.
//!
//! A request is held against the operation that it means: its path, its parameters, its body and
//! whether it shows a credential. What is wrong is told as a problem (RFC 9457), all of it at
//! once. What is right is answered with the document's own example, or with one made from the
//! schema. A pure function: the host has the socket.
//!
//! In place of the document, what the API itself once answered can be played: `exchange` is one call,
//! `scrub` takes the secrets out of it, and `recording` plays it.

mod check;
mod document;
pub mod exchange;
pub mod recording;
mod route;
pub mod scrub;

use mcphub_core::Result;
use mcphub_core::spec::{Document, Method, Parsed, Response};
use serde_json::{Value, json};

use self::check::Checks;
use self::document::Examples;
use self::route::Routes;
use crate::openapi::{ParserSettings, read_value};

/// The most problems of one request that are told.
const MAX_PROBLEMS: usize = 20;

/// A request to a mock.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// The path, escaped, with or without the path of the document's server.
    pub path: &'a str,
    /// The query, escaped, without `?`.
    pub query: &'a str,
    /// Names in any case.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// The value of a header.
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What a mock answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The media type; empty without a body.
    pub media_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// The methods that the path has, where the request's is not among them.
    pub allow: Option<String>,
}

/// The API that a document describes.
#[derive(Debug)]
pub struct Mock {
    parsed: Parsed,
    routes: Routes,
    checks: Checks,
    examples: Examples,
}

impl Mock {
    /// A mock of a document and what was read from it.
    ///
    /// # Errors
    /// As [`SpecParser::parse`](mcphub_core::spec::SpecParser::parse).
    pub fn new(document: &Document, parsed: Parsed) -> Result<Self> {
        let value = read_value(&document.bytes, &ParserSettings::default())?;
        Ok(Self {
            routes: Routes::of(&parsed.spec),
            checks: Checks::of(&parsed.spec),
            examples: Examples::new(value),
            parsed,
        })
    }

    /// The path of the document's first server, such as `/v1`; empty at the root.
    pub fn base_path(&self) -> &str {
        self.routes.base()
    }

    /// Answers a request; the same one always alike.
    ///
    /// - 404 for a path that the document does not have, 405 for a method that its path does not.
    /// - 401 without the credentials that the operation asks for; which ones is not looked at.
    /// - 400 with every problem of the parameters and the body, 415 for another media type.
    /// - Otherwise the first success of the document, or the answer that `Prefer: code=404` names.
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        let found = match self.routes.find(request.method, request.path) {
            Ok(found) => found,
            Err(methods) if methods.is_empty() => {
                return problem(404, "The document has no such path", &[]);
            }
            Err(methods) => {
                let mut answer = problem(405, "The path has no such method", &[]);
                let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
                answer.allow = Some(methods.join(", "));
                return answer;
            }
        };
        let Some(operation) = self.parsed.spec.operations.get(found.index) else {
            return problem(404, "The document has no such path", &[]);
        };
        if let Some(missing) = check::credentials(&self.parsed.spec, operation, request) {
            return problem(401, "A credential is missing", &[missing]);
        }
        let wanted = request.header("prefer").and_then(preferred);
        if wanted.is_none() {
            let mut problems = self
                .checks
                .parameters(found.index, operation, &found, request);
            match self.checks.body(found.index, operation, request) {
                Ok(more) => problems.extend(more),
                Err(unsupported) => return problem(415, &unsupported, &[]),
            }
            problems.truncate(MAX_PROBLEMS);
            if !problems.is_empty() {
                return problem(
                    400,
                    "The request is not what the document asks for",
                    &problems,
                );
            }
        }
        self.respond(found.index, wanted, request.header("accept"))
    }

    fn respond(&self, index: usize, wanted: Option<u16>, accept: Option<&str>) -> Answer {
        let Some(operation) = self.parsed.spec.operations.get(index) else {
            return problem(404, "The document has no such path", &[]);
        };
        let response = match wanted {
            Some(code) => chosen(&operation.responses, code),
            None => operation
                .responses
                .iter()
                .find(|r| r.is_success())
                .or(operation.responses.iter().find(|r| r.status == "default")),
        };
        let status = wanted.unwrap_or_else(|| response.map_or(200, code));
        let empty = || Answer {
            status,
            media_type: String::new(),
            body: Vec::new(),
            allow: None,
        };
        let Some(response) = response else {
            return empty();
        };
        let accepts = |media_type: &str| accept.is_none_or(|accept| accept.contains(media_type));
        let mut content = response.content.iter();
        let first = content.clone().next();
        let Some((media_type, schema)) = content.find(|(name, _)| accepts(name)).or(first) else {
            return empty();
        };
        let example = self
            .examples
            .find(&operation.pointer, &response.status, media_type);
        let value = example.unwrap_or_else(|| self.checks.example(&self.parsed.spec, schema));
        let media_type = if media_type.contains('*') {
            "application/json"
        } else {
            media_type
        };
        let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
        let body = match value {
            Value::String(text) if !is_json => text.into_bytes(),
            value => value.to_string().into_bytes(),
        };
        Answer {
            status,
            media_type: media_type.to_owned(),
            body,
            allow: None,
        }
    }
}

/// The answer of this code, of its range, or the default one.
fn chosen(responses: &[Response], code: u16) -> Option<&Response> {
    let exact = code.to_string();
    let range = format!("{}XX", code / 100);
    [exact.as_str(), range.as_str(), "default"]
        .into_iter()
        .find_map(|status| responses.iter().find(|response| response.status == status))
}

fn code(response: &Response) -> u16 {
    let digits = response.status.replace('X', "0");
    digits.parse().unwrap_or(200)
}

/// `code=404` of a `Prefer` header (RFC 7240).
fn preferred(value: &str) -> Option<u16> {
    let mut parts = value.split([',', ';']).map(str::trim);
    let code = parts.find_map(|part| part.strip_prefix("code="))?;
    code.parse().ok().filter(|code| (200..600).contains(code))
}

fn problem(status: u16, title: &str, problems: &[String]) -> Answer {
    let mut body = json!({"title": title, "status": status});
    if !problems.is_empty() {
        body["detail"] = problems.join("; ").into();
        body["problems"] = json!(problems);
    }
    Answer {
        status,
        media_type: "application/problem+json".to_owned(),
        body: body.to_string().into_bytes(),
        allow: None,
    }
}

#[cfg(test)]
mod tests;
