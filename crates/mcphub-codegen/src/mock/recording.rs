//! Calls of an API that were recorded are played again; so are the archives of browsers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mcphub_core::spec::ApiSpec;
use mcphub_core::{Error, Result};
use serde_json::{Map, Value};
use url::Url;

use super::exchange::Exchange;
use super::scrub::Scrubber;
use super::{Answer, Request, problem};

/// The most calls that an archive is read for.
const MAX_CALLS: usize = 100_000;

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

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
