//! Calls of an API, recorded and played again: an HTTP archive (HAR 1.2).
//!
//! What is written is an archive like those of browsers, and theirs can be played, too. No clock is
//! in it, so that the same calls give the same bytes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::spec::ApiSpec;
use mcphub_core::{Error, Result};
use serde_json::{Map, Value, json};
use url::Url;

use super::scrub::{SCRUBBED, Scrubber};
use super::{Answer, Request, problem};

/// The beginning of an archive, and its end; entries stand between them, separated by commas.
pub const HEAD: &str = "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"mcphub\",\"version\":\"1\"},\"entries\":[\n";
/// See [`HEAD`].
pub const TAIL: &str = "\n]}}\n";

/// The most calls that an archive is read for.
const MAX_CALLS: usize = 100_000;
/// Members of a call that a clock would fill.
const NEVER: &str = "1970-01-01T00:00:00.000Z";

/// Headers of an answer that belong to one connection, or to how its body was packed.
const NOT_PLAYED: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// Such as `GET`.
    pub method: String,
    /// The URL without its query.
    pub url: String,
    /// The query, escaped, without `?`.
    pub query: String,
    /// Of the request, in order.
    pub request_headers: Vec<(String, String)>,
    /// Of the request.
    pub request_body: Vec<u8>,
    /// The status code of the answer.
    pub status: u16,
    /// Of the answer, in order.
    pub response_headers: Vec<(String, String)>,
    /// Of the answer, unpacked.
    pub response_body: Vec<u8>,
}

impl Exchange {
    /// Puts [`SCRUBBED`] in the place of a text, wherever it stands.
    pub(super) fn replace(&mut self, secret: &str) {
        let headers = self
            .request_headers
            .iter_mut()
            .chain(&mut self.response_headers);
        let texts = headers
            .map(|(_, value)| value)
            .chain([&mut self.url, &mut self.query]);
        for text in texts {
            if text.contains(secret) {
                *text = text.replace(secret, SCRUBBED);
            }
        }
        for body in [&mut self.request_body, &mut self.response_body] {
            if memchr::memmem::find(body, secret.as_bytes()).is_none() {
                continue;
            }
            let mut out = Vec::with_capacity(body.len());
            let mut rest = body.as_slice();
            while let Some(at) = memchr::memmem::find(rest, secret.as_bytes()) {
                let (before, after) = rest.split_at(at);
                out.extend_from_slice(before);
                out.extend_from_slice(SCRUBBED.as_bytes());
                rest = after.get(secret.len()..).unwrap_or_default();
            }
            out.extend_from_slice(rest);
            *body = out;
        }
    }

    /// The entry of an archive, on one line.
    pub fn to_entry(&self) -> String {
        let headers = |headers: &[(String, String)]| -> Vec<Value> {
            let pairs = headers.iter();
            pairs
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect()
        };
        let query: Vec<Value> = pairs(&self.query)
            .map(|(name, value)| json!({"name": decoded(name), "value": decoded(value)}))
            .collect();
        let url = match self.query.as_str() {
            "" => self.url.clone(),
            query => format!("{}?{query}", self.url),
        };
        let mut request = json!({
            "method": self.method,
            "url": url,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": headers(&self.request_headers),
            "queryString": query,
            "headersSize": -1,
            "bodySize": self.request_body.len(),
        });
        if !self.request_body.is_empty() {
            let media_type = header(&self.request_headers, "content-type");
            request["postData"] = content("_encoding", media_type, &self.request_body);
        }
        let media_type = header(&self.response_headers, "content-type");
        let mut body = content("encoding", media_type, &self.response_body);
        body["size"] = self.response_body.len().into();
        let entry = json!({
            "startedDateTime": NEVER,
            "time": 0,
            "request": request,
            "response": {
                "status": self.status,
                "statusText": "",
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": headers(&self.response_headers),
                "content": body,
                "redirectURL": header(&self.response_headers, "location").unwrap_or_default(),
                "headersSize": -1,
                "bodySize": self.response_body.len(),
            },
            "cache": {},
            "timings": {"send": 0, "wait": 0, "receive": 0},
        });
        entry.to_string()
    }

    fn of_entry(entry: &Value) -> Option<Self> {
        let (request, response) = (entry.get("request")?, entry.get("response")?);
        let url = request.get("url")?.as_str()?;
        let (url, query) = url.split_once('?').unwrap_or((url, ""));
        let headers = |holder: &Value| -> Vec<(String, String)> {
            let headers = holder
                .get("headers")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let text = |header: &Value, key| header.get(key)?.as_str().map(str::to_owned);
            headers
                .filter_map(|header| Some((text(header, "name")?, text(header, "value")?)))
                .collect()
        };
        let status = response.get("status").and_then(Value::as_u64)?;
        let mut response_headers = headers(response);
        let content = response.get("content");
        if header(&response_headers, "content-type").is_none()
            && let Some(media_type) = content.and_then(|c| c.get("mimeType")?.as_str())
        {
            response_headers.push(("content-type".to_owned(), media_type.to_owned()));
        }
        Some(Self {
            method: request.get("method")?.as_str()?.to_owned(),
            url: url.to_owned(),
            query: query.split('#').next().unwrap_or_default().to_owned(),
            request_headers: headers(request),
            request_body: body("_encoding", request.get("postData")),
            // A browser writes 0 for a call that was cut off.
            status: u16::try_from(status)
                .ok()
                .filter(|status| (100..600).contains(status))?,
            response_headers,
            response_body: body("encoding", content),
        })
    }
}

/// The recorded calls of an API, by what was asked.
#[derive(Debug)]
pub struct Recording {
    scrubber: Scrubber,
    bases: Vec<String>,
    calls: HashMap<Key, Calls>,
    count: usize,
}

/// What makes two requests alike: secrets and the order of query parameters and members do not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    method: String,
    /// Below the base path.
    path: String,
    query: Vec<String>,
    body: Vec<u8>,
}

/// The answers to one request, in the order of their calls.
#[derive(Debug, Default)]
struct Calls {
    answers: Vec<Played>,
    next: Mutex<usize>,
}

/// A recorded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Played {
    /// The status code.
    pub status: u16,
    /// The headers that belong to the answer itself.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Played {
    /// An answer.
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }
}

impl Recording {
    /// Reads an archive of calls to the API of a document. `bases` are the paths that the API lies
    /// below, there and here: a call is known by its path below them.
    ///
    /// # Errors
    /// `InvalidInput` for what is no archive, or has more than 100,000 calls.
    pub fn read(archive: &[u8], spec: &ApiSpec, bases: &[&str]) -> Result<Self> {
        let invalid = |message| Error::invalid(message).during("mock::replay");
        let archive: Value = serde_json::from_slice(archive)
            .map_err(|error| invalid("the recording is no JSON").caused_by(error))?;
        let entries = archive.pointer("/log/entries").and_then(Value::as_array);
        let entries = entries.ok_or_else(|| invalid("the recording is no HTTP archive (HAR)"))?;
        if entries.len() > MAX_CALLS {
            return Err(invalid("the recording has more than 100,000 calls"));
        }
        let mut bases: Vec<_> = bases
            .iter()
            .map(|base| base.trim_end_matches('/').to_owned())
            .filter(|base| !base.is_empty())
            .collect();
        bases.sort_by_key(|base| std::cmp::Reverse(base.len()));
        let mut recording = Self {
            scrubber: Scrubber::of(spec),
            bases,
            calls: HashMap::new(),
            count: 0,
        };
        for mut exchange in entries.iter().filter_map(Exchange::of_entry) {
            recording.scrubber.scrub(&mut exchange);
            let key = recording.key(&exchange);
            let mut headers = exchange.response_headers;
            headers.retain(|(name, _)| {
                let name = name.to_ascii_lowercase();
                !name.starts_with(':') && !NOT_PLAYED.contains(&name.as_str())
            });
            recording.count += 1;
            recording
                .calls
                .entry(key)
                .or_default()
                .answers
                .push(Played {
                    status: exchange.status,
                    headers,
                    body: exchange.response_body,
                });
        }
        Ok(recording)
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The recorded answer to a request. Where the same was asked several times, the answers come in
    /// their order, and the last one from then on.
    ///
    /// # Errors
    /// A problem with status 404 where nothing like it was asked.
    pub fn answer(&self, request: &Request<'_>) -> std::result::Result<Played, Answer> {
        let mut exchange = Exchange {
            method: request.method.to_owned(),
            url: request.path.to_owned(),
            query: request.query.to_owned(),
            request_headers: request.headers.to_vec(),
            request_body: request.body.to_vec(),
            ..Exchange::default()
        };
        self.scrubber.scrub(&mut exchange);
        let key = self.key(&exchange);
        let Some(calls) = self.calls.get(&key) else {
            let same_place = |known: &&Key| known.method == key.method && known.path == key.path;
            let said = match self.calls.keys().filter(same_place).count() {
                0 => format!("nothing was recorded for {} {}", key.method, key.path),
                count => format!(
                    "{count} other requests of {} {} were recorded, with another query or body",
                    key.method, key.path
                ),
            };
            return Err(problem(404, "No such call was recorded", &[said]));
        };
        let mut next = calls.next.lock().unwrap_or_else(PoisonError::into_inner);
        let last = calls.answers.len().saturating_sub(1);
        let answer = calls.answers.get((*next).min(last)).cloned();
        *next = next.saturating_add(1);
        answer.ok_or_else(|| problem(404, "No such call was recorded", &[]))
    }

    fn key(&self, exchange: &Exchange) -> Key {
        let path = match Url::parse(&exchange.url) {
            Ok(url) if url.has_host() => url.path().to_owned(),
            _ => exchange.url.clone(),
        };
        let below = |base: &String| {
            let rest = path.strip_prefix(base.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
        };
        let mut query: Vec<_> = exchange.query.split('&').map(str::to_owned).collect();
        query.sort_unstable();
        let body = match serde_json::from_slice::<Value>(&exchange.request_body) {
            Ok(value) => sorted(value).to_string().into_bytes(),
            Err(_) => exchange.request_body.clone(),
        };
        Key {
            method: exchange.method.to_ascii_uppercase(),
            path: self.bases.iter().find_map(below).unwrap_or(path),
            query,
            body,
        }
    }
}

/// A value whose members stand in alphabetical order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            let members = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}

/// A body as an archive has it: text, or base64 that says so. HAR has no such word for bodies of
/// requests, so that it begins with `_` there.
fn content(encoding: &str, media_type: Option<&str>, body: &[u8]) -> Value {
    let mut content = json!({"mimeType": media_type.unwrap_or_default()});
    match std::str::from_utf8(body) {
        Ok(text) => content["text"] = text.into(),
        Err(_) => {
            content["text"] = STANDARD.encode(body).into();
            content[encoding] = "base64".into();
        }
    }
    content
}

fn body(encoding: &str, content: Option<&Value>) -> Vec<u8> {
    let text = |key| content.and_then(|content| content.get(key)?.as_str());
    let bytes = text("text").unwrap_or_default();
    match text(encoding) {
        Some("base64") => STANDARD.decode(bytes).unwrap_or_default(),
        _ => bytes.as_bytes().to_vec(),
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
