//! An answer as it is kept, and what RFC 9111 says of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http;
use bytes::{BufMut, Bytes, BytesMut};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use mcphub_core::call::HttpAnswer;
use mcphub_core::shared::cache::MAX_KEEP;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, SET_COOKIE,
};
use serde::{Deserialize, Serialize};

use crate::trace;

/// How long an answer is kept beyond its time, in order to ask whether it is still right.
const STALE: Duration = Duration::from_secs(60 * 60);

/// The headers of an answer that are kept with it: what a call gets, and what its time depends on.
const KEPT: [&str; 11] = [
    "age",
    "cache-control",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "pragma",
    "retry-after",
    "vary",
];

/// Headers that differ from call to call and make no other answer, unless it says so.
pub(super) const OF_A_CALL: [&str; 3] = [trace::PARENT, trace::STATE, trace::BAGGAGE];

/// An answer as it is kept: its head as JSON on one line, and then its body.
pub(super) struct Kept {
    head: Head,
    body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    /// When it was asked for, in milliseconds since 1970.
    at: u64,
    /// The digest of the headers of the request.
    asked: String,
    headers: Vec<(String, String)>,
}

/// Whether an answer may be given to a request.
pub(super) enum Standing {
    /// As it is.
    Fresh,
    /// Once the API said that it is still right; with the headers that ask.
    Stale(Vec<(String, String)>),
    /// Not at all.
    Unfit,
}

impl Kept {
    /// An answer as it came to a request whose headers have this digest. `None` where it says that it
    /// is not kept.
    pub(super) fn of(
        answer: &HttpAnswer,
        headers: &HeaderMap,
        asked: &str,
        at: SystemTime,
    ) -> Option<Self> {
        Some(Self {
            head: Head {
                status: answer.status,
                at: millis(at),
                asked: asked.to_owned(),
                headers: told(headers)?,
            },
            body: answer.body.clone(),
        })
    }

    pub(super) fn read(mut value: Bytes) -> Option<Self> {
        let end = value.iter().position(|byte| *byte == b'\n')?;
        let head = value.split_to(end);
        let _ = value.split_to(1);
        let head = serde_json::from_slice(&head).ok()?;
        Some(Self { head, body: value })
    }

    pub(super) fn written(&self) -> Bytes {
        let head = serde_json::to_vec(&self.head).unwrap_or_default();
        let mut value = BytesMut::with_capacity(head.len() + 1 + self.body.len());
        value.put_slice(&head);
        value.put_u8(b'\n');
        value.put_slice(&self.body);
        value.freeze()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.headers.iter();
        let (_, value) = headers.find(|(known, _)| name == known)?;
        Some(value)
    }

    /// Whether it came to a request whose headers have this digest.
    pub(super) fn is_of(&self, asked: &str) -> bool {
        self.head.asked == asked
    }

    /// Whether it may be given now.
    pub(super) fn standing(&self, asked: &http::Request<()>) -> Standing {
        let policy = self.policy(asked);
        match policy.before_request(asked, SystemTime::now()) {
            BeforeRequest::Fresh(_) => Standing::Fresh,
            BeforeRequest::Stale { request, matches } => conditions(&request.headers)
                .filter(|_| matches)
                .map_or(Standing::Unfit, Standing::Stale),
        }
    }

    pub(super) fn answer(&self) -> HttpAnswer {
        let header = |name| self.header(name).map(str::to_owned);
        HttpAnswer {
            status: self.head.status,
            content_type: header("content-type"),
            retry_after: header("retry-after"),
            link: header("link"),
            cut: None,
            body: self.body.clone(),
        }
    }

    /// What the rules say of it.
    fn policy(&self, asked: &http::Request<()>) -> CachePolicy {
        let mut answer = http::Response::new(());
        *answer.status_mut() = http::StatusCode::from_u16(self.head.status)
            .unwrap_or(http::StatusCode::NOT_IMPLEMENTED);
        let headers = answer.headers_mut();
        for (name, value) in &self.head.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        let at = UNIX_EPOCH + Duration::from_millis(self.head.at);
        let options = CacheOptions {
            shared: true,
            // An answer that says nothing of its time has none.
            cache_heuristic: 0.0,
            immutable_min_time_to_live: Duration::ZERO,
            ignore_cargo_cult: false,
        };
        CachePolicy::new_options(asked, &answer, at, options)
    }

    /// How long it is kept; `None` where it is not.
    pub(super) fn lifetime(&self, asked: &http::Request<()>) -> Option<Duration> {
        let policy = self.policy(asked);
        let left = policy.time_to_live(SystemTime::now());
        let again = self
            .header("etag")
            .or(self.header("last-modified"))
            .is_some();
        let stale = if again { STALE } else { Duration::ZERO };
        let keep = left.saturating_add(stale).min(MAX_KEEP);
        (policy.is_storable() && !keep.is_zero()).then_some(keep)
    }

    /// The same answer with what an API says of it that has not changed it (RFC 9111, 4.3.4). `None`
    /// where that is about another one.
    pub(super) fn renewed(mut self, headers: &HeaderMap, at: SystemTime) -> Option<Self> {
        let strong = |tag: &str| tag.trim_start_matches("W/").to_owned();
        let new = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        if let (Some(new), Some(old)) = (new, self.header("etag"))
            && strong(new) != strong(old)
        {
            return None;
        }
        let new = told(headers)?;
        let old = std::mem::take(&mut self.head.headers);
        let is_new = |name: &str| name == "age" || new.iter().any(|(known, _)| known == name);
        let stays = old
            .into_iter()
            .filter(|(name, _)| !is_new(name))
            .collect::<Vec<_>>();
        self.head.headers = new;
        self.head.headers.extend(stays);
        self.head.at = millis(at);
        Some(self)
    }
}

/// The headers to keep of an answer; `None` where they say that it is not kept, or say nothing that
/// makes sense.
fn told(headers: &HeaderMap) -> Option<Vec<(String, String)>> {
    /// No answer is older.
    const MAX_AGE: u64 = 1 << 31;
    if headers.contains_key(SET_COOKIE) {
        return None;
    }
    let mut kept = Vec::new();
    for name in KEPT {
        for value in headers.get_all(name) {
            let value = value.to_str().ok()?;
            let value = match name {
                // Directives and names have no case (RFC 9111, 5.2).
                "cache-control" | "pragma" | "vary" => value.to_ascii_lowercase(),
                "age" => {
                    let age = value.trim().parse::<u64>().ok()?;
                    age.min(MAX_AGE).to_string()
                }
                _ => value.to_owned(),
            };
            kept.push((name.to_owned(), value));
        }
    }
    let values = |wanted: &str| {
        let of = kept.iter().filter(move |(name, _)| wanted == name);
        let values = of.flat_map(|(_, value)| value.split(','));
        values
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect::<Vec<_>>()
    };
    let varies = values("vary")
        .into_iter()
        .any(|name| name == "*" || OF_A_CALL.contains(&name));
    // Of a directive that is said twice, nobody knows which one is meant (RFC 9111, 4.2.1).
    let directives = values("cache-control");
    let mut names: Vec<_> = directives
        .iter()
        .filter_map(|it| it.split('=').next())
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).any(|pair| pair.first() == pair.last());
    (!varies && !twice).then_some(kept)
}

/// The headers that ask whether an answer is still right; `None` where the answer has no validator.
fn conditions(headers: &HeaderMap) -> Option<Vec<(String, String)>> {
    let names = [IF_NONE_MATCH, IF_MODIFIED_SINCE];
    let conditions = names.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let conditions: Vec<_> = conditions.collect();
    (!conditions.is_empty()).then_some(conditions)
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
