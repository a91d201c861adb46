//! Answers of an API that are kept as HTTP allows a cache which many share (RFC 9111).
//!
//! One answer is kept for each URL, so that a request which changes something there can remove it
//! (RFC 9111, 4.4). It is given for requests with the same headers alone, credentials among them,
//! whatever `Vary` says.

use std::time::SystemTime;

use axum::http;
use mcphub_core::call::{HttpAnswer, HttpRequest};
use mcphub_core::shared::CacheKey;
use mcphub_core::shared::cache::MAX_VALUE;
use mcphub_core::spec::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::Sent;
use super::budget::{FREE, Room};
use super::exchange::{self, Allowance, Seen};
use super::kept::{Kept, OF_A_CALL, Standing};
use super::settings::NativeClient;
use super::streamed::Kind;
use crate::metrics::Looked;
use crate::upstream::cache::AnswerCache;

/// Sends a request, unless an answer is there that may be given.
pub(super) async fn send(
    cache: &AnswerCache,
    client: &NativeClient,
    request: HttpRequest,
    allowance: Allowance<'_>,
    mut challenges: Option<&mut Vec<String>>,
) -> Sent {
    let (key, end) = (key(cache, &request), allowance.end());
    let Some(asked) = Asked::of(&request, allowance) else {
        let changes = !request.method.is_safe();
        let sent =
            exchange::send_anew(client, request, allowance, Seen::challenges(challenges)).await;
        if let (true, Ok((answer, _))) = (changes, &sent)
            && (200..400).contains(&answer.status)
        {
            cache.remove(&key, end).await;
        }
        return sent;
    };
    let kept = cache.get(&key, end).await.and_then(Kept::read);
    let kept = kept.filter(|kept| kept.is_of(&asked.digest));
    let conditional = match kept {
        Some(kept) => match kept.standing(&asked.request) {
            Standing::Fresh => {
                cache.count(Looked::Hit);
                return given(client, allowance, kept.answer()).await;
            }
            Standing::Stale(conditions) => Some((kept, conditions)),
            Standing::Unfit => None,
        },
        None => None,
    };
    let Some((kept, conditions)) = conditional else {
        cache.count(Looked::Miss);
        return asked
            .send(cache, client, request, allowance, challenges, &key)
            .await;
    };
    let mut again = request.clone();
    again.headers.extend(conditions);
    let (at, mut headers) = (SystemTime::now(), None);
    let seen = Seen::challenges(challenges.as_deref_mut()).headers(&mut headers);
    let sent = exchange::send_anew(client, again, allowance, seen).await;
    match &sent {
        Ok((answer, _)) if answer.status == 304 => {}
        _ => {
            cache.count(Looked::Miss);
            asked.keep(cache, &key, at, headers, &sent, end).await;
            return sent;
        }
    }
    match headers.and_then(|headers| kept.renewed(&headers, at)) {
        Some(kept) => {
            cache.count(Looked::Revalidated);
            match kept.lifetime(&asked.request) {
                Some(keep) => cache.put(&key, kept.written(), keep, end).await,
                None => cache.remove(&key, end).await,
            }
            given(client, allowance, kept.answer()).await
        }
        // It is about another answer than was asked about.
        None => {
            cache.count(Looked::Miss);
            asked
                .send(cache, client, request, allowance, challenges, &key)
                .await
        }
    }
}

/// The key of the answer at a URL. Its user and password are a part of it.
fn key(cache: &AnswerCache, request: &HttpRequest) -> CacheKey {
    cache.key([&b"http 1"[..], request.url.as_str().as_bytes()])
}

/// An answer with the room that it takes.
async fn given(client: &NativeClient, allowance: Allowance<'_>, answer: HttpAnswer) -> Sent {
    let size = answer.body.len();
    if allowance.has_room() || size <= FREE {
        return Ok((answer, Room::NONE));
    }
    let room = exchange::room(client, size, allowance.end()).await;
    let room = room.ok_or_else(|| {
        "The gateway holds too many large answers at once to give another one. Ask for less, or again later"
            .to_owned()
    })?;
    Ok((answer, room))
}

/// A request to which an answer may be kept.
struct Asked {
    /// The digest of its headers.
    digest: String,
    /// What of it the rules look at: the URL is in the key, other headers are in the digest.
    request: http::Request<()>,
}

impl Asked {
    /// `None` for requests that go to the API in any case: those that may change something, those for
    /// a part of an answer, and those with conditions of their own.
    fn of(request: &HttpRequest, allowance: Allowance<'_>) -> Option<Self> {
        let reads = allowance
            .tool()
            .is_some_and(|tool| tool.annotations.read_only_hint);
        let plain = |(name, _): &(String, String)| !name.starts_with("if-") && name != "range";
        if request.method != Method::Get
            || !reads
            || request.body.is_some()
            || allowance.is_for_a_rest()
            || !request.headers.iter().all(plain)
        {
            return None;
        }
        let mut asked = http::Request::new(());
        let headers = asked.headers_mut();
        for (name, value) in &request.headers {
            let known = ["cache-control", "pragma"]
                .into_iter()
                .find(|known| known == name);
            let value = HeaderValue::from_str(&value.to_ascii_lowercase());
            if let (Some(name), Ok(value)) = (known, value) {
                headers.append(name, value);
            }
        }
        if request.has_credentials() {
            // Whatever lets somebody in counts as this does (RFC 9111, 3.5).
            headers.insert(AUTHORIZATION, HeaderValue::from_static("yes"));
        }
        let told = request.headers.iter();
        let told = told.filter(|(name, _)| !OF_A_CALL.contains(&name.as_str()));
        let told = told.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Some(Self {
            digest: CacheKey::of(told).to_string(),
            request: asked,
        })
    }

    /// Sends the request, and keeps the answer where that is allowed.
    async fn send(
        &self,
        cache: &AnswerCache,
        client: &NativeClient,
        request: HttpRequest,
        allowance: Allowance<'_>,
        challenges: Option<&mut Vec<String>>,
        key: &CacheKey,
    ) -> Sent {
        let (at, mut headers) = (SystemTime::now(), None);
        let seen = Seen::challenges(challenges).headers(&mut headers);
        let sent = exchange::send_anew(client, request, allowance, seen).await;
        self.keep(cache, key, at, headers, &sent, allowance.end())
            .await;
        sent
    }

    /// Keeps an answer where that is allowed. It was asked for at `at`.
    async fn keep(
        &self,
        cache: &AnswerCache,
        key: &CacheKey,
        at: SystemTime,
        headers: Option<HeaderMap>,
        sent: &Sent,
        end: Instant,
    ) {
        let (Some(headers), Ok((answer, _))) = (headers, sent) else {
            return;
        };
        let streams = answer.content_type.as_deref().and_then(Kind::of).is_some();
        if answer.cut.is_some() || streams || answer.body.len() > MAX_VALUE {
            return;
        }
        let kept = Kept::of(answer, &headers, &self.digest, at);
        let kept = kept.and_then(|kept| Some((kept.lifetime(&self.request)?, kept)));
        let Some((keep, kept)) = kept else {
            return;
        };
        let value = kept.written();
        if value.len() <= MAX_VALUE {
            cache.put(key, value, keep, end).await;
        }
    }
}
