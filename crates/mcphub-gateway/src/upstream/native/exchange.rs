//! One request and its answer, within the limits. What goes wrong is said for the model.

use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::Either;
use mcphub_core::call::{HttpAnswer, HttpRequest};
use mcphub_core::principal::Principal;
use mcphub_core::tool::Tool;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use tokio::time::{Instant, timeout_at};

use super::Sent;
use super::address::is_private_literal;
use super::answer::{self, Answer, Failure};
use super::budget::{FREE, Room};
use super::cached;
use super::rest::{self, Place, Source};
use super::settings::NativeClient;
use super::streamed::{self, Kind};
use super::unanswered::Unanswered;
use crate::trace::TraceContext;
use crate::upstream::cache::AnswerCache;
use crate::upstream::direct::Failed;
use crate::upstream::http::{cause, host};
use crate::upstream::{CallContext, Progress};

/// What one request may take, and how its answer is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance<'a> {
    /// When all of it has to be over.
    end: Instant,
    /// Whether the caller has room for the answer already, and must not wait for more.
    has_room: bool,
    /// Whose call may ask for the rest of an answer.
    tool: Option<&'a Tool>,
    /// Where in the answer it begins; at its beginning without it.
    place: Option<&'a Place>,
    /// For whom it is, and whom to tell what comes of a stream.
    context: CallContext<'a>,
    /// What keeps answers, where something does.
    cache: Option<&'a AnswerCache>,
}

/// Where to put what is wanted of an answer besides itself.
pub(super) struct Seen<'a> {
    /// What the API asks for in order to let somebody in (RFC 9110, 11.6.1).
    challenges: Option<&'a mut Vec<String>>,
    /// Its headers, where it comes from the URL that was asked.
    headers: Option<&'a mut Option<HeaderMap>>,
}

impl<'a> Seen<'a> {
    pub(super) fn challenges(challenges: Option<&'a mut Vec<String>>) -> Self {
        Self {
            challenges,
            headers: None,
        }
    }

    pub(super) fn headers(self, headers: &'a mut Option<HeaderMap>) -> Self {
        let headers = Some(headers);
        Self { headers, ..self }
    }
}

impl<'a> Allowance<'a> {
    pub(super) fn until(end: Instant) -> Self {
        Self {
            end,
            has_room: false,
            tool: None,
            place: None,
            context: CallContext::default(),
            cache: None,
        }
    }

    /// The same for one of several requests, whose caller has room and tells nobody how far each is.
    pub(super) fn with_room(self) -> Self {
        Self {
            has_room: true,
            context: CallContext {
                progress: None,
                ..self.context
            },
            ..self
        }
    }

    pub(super) fn of(self, tool: &'a Tool) -> Self {
        let tool = Some(tool);
        Self { tool, ..self }
    }

    pub(super) fn from(self, place: Option<&'a Place>) -> Self {
        Self { place, ..self }
    }

    pub(super) fn within(self, context: CallContext<'a>) -> Self {
        Self { context, ..self }
    }

    /// The same where answers are kept.
    pub(super) fn kept_by(self, cache: Option<&'a AnswerCache>) -> Self {
        Self { cache, ..self }
    }

    /// Whether it is for a part of an answer.
    pub(super) fn is_for_a_rest(self) -> bool {
        self.place.is_some()
    }

    pub(super) fn tool(self) -> Option<&'a Tool> {
        self.tool
    }

    pub(super) fn progress(self) -> Option<&'a Progress> {
        self.context.progress
    }

    pub(super) fn trace(self) -> Option<&'a TraceContext> {
        self.context.trace
    }

    pub(super) fn who(self) -> Option<&'a Principal> {
        self.context.who
    }

    pub(super) fn end(self) -> Instant {
        self.end
    }

    pub(super) fn has_room(self) -> bool {
        self.has_room
    }
}

/// Sends a request and reads its answer whole. The error is a text for the model, without secrets.
/// With the answer comes the room that it takes.
pub(super) fn send<'a>(
    client: &'a NativeClient,
    request: HttpRequest,
    allowance: Allowance<'a>,
) -> impl Future<Output = Sent> + 'a {
    send_and_see(client, request, allowance, None)
}

/// As [`send`]; what the API asks for in order to let somebody in (RFC 9110, 11.6.1) is added to
/// `challenges`.
pub(super) fn send_and_see<'a>(
    client: &'a NativeClient,
    request: HttpRequest,
    allowance: Allowance<'a>,
    challenges: Option<&'a mut Vec<String>>,
) -> impl Future<Output = Sent> + 'a {
    match allowance.cache {
        None => {
            let seen = Seen::challenges(challenges);
            Either::Left(send_anew(client, request, allowance, seen))
        }
        // Boxed, so that calls of which nothing is kept carry none of it.
        Some(cache) => Either::Right(Box::pin(cached::send(
            cache, client, request, allowance, challenges,
        ))),
    }
}

/// As [`send`], whatever is kept.
pub(super) fn send_anew<'a>(
    client: &'a NativeClient,
    request: HttpRequest,
    allowance: Allowance<'a>,
    seen: Seen<'a>,
) -> impl Future<Output = Sent> + 'a {
    // Handed on at once, so that what waits for the answer does not carry the request.
    let begun = begin(client, request, allowance);
    async move {
        let (exchange, answer) = begun?;
        // One clock for all of it: connecting, redirects, and the answer to its last byte.
        let work = pin!(exchange.run(answer, seen));
        timeout_at(allowance.end, work).await.unwrap_or_else(|_| {
            Err(Unanswered::unfinished(format!(
                "The API at {} did not answer within {}{}",
                exchange.host(),
                seconds(client.settings.timeout),
                exchange.doubt()
            )))
        })
    }
}

fn begin<'a>(
    client: &'a NativeClient,
    mut request: HttpRequest,
    allowance: Allowance<'a>,
) -> Result<
    (
        Exchange<'a>,
        impl Future<Output = Result<Answer, Failure>> + use<'a>,
    ),
    String,
> {
    if client.settings.refuse_private_addresses && is_private_literal(&request.url) {
        let host = host(&request.url);
        return Err(format!(
            "The API at {host} could not be reached: its address is private, and calls to those are refused"
        ));
    }
    if let Some(place) = allowance.place {
        place.ask(&mut request);
    }
    let answer = answer::send(client, &request)?;
    let exchange = Exchange {
        request,
        client,
        allowance,
    };
    Ok((exchange, answer))
}

/// Room for large answers; `None` where there is none in time.
pub(super) async fn room(client: &NativeClient, bytes: usize, end: Instant) -> Option<Room> {
    timeout_at(end, client.budget.room(bytes)).await.ok()
}

struct Exchange<'a> {
    /// What is asked.
    request: HttpRequest,
    client: &'a NativeClient,
    allowance: Allowance<'a>,
}

impl Exchange<'_> {
    /// The part of the URL that may be shown.
    fn host(&self) -> String {
        host(&self.request.url)
    }

    async fn run(
        &self,
        answer: impl Future<Output = Result<Answer, Failure>>,
        seen: Seen<'_>,
    ) -> Sent {
        let unanswered = |failure| self.unanswered(&failure);
        let mut answer = answer.await.map_err(unanswered)?;
        if answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED {
            let followed = Box::pin(answer::follow(self.client, &self.request, answer)).await;
            answer = followed.map_err(unanswered)?;
            if let Some(text) = self.redirect(&answer) {
                return Err(text.into());
            }
        }
        let (status, headers) = (answer.status.as_u16(), &answer.headers);
        if let (401, Some(challenges)) = (status, seen.challenges) {
            let asked = headers.get_all(WWW_AUTHENTICATE).iter();
            challenges.extend(asked.filter_map(|value| value.to_str().ok().map(str::to_owned)));
        }
        if let Some(seen) = seen
            .headers
            .filter(|_| !answer.is_of_another(&self.request.url))
        {
            *seen = Some(headers.clone());
        }
        let content_type = header(headers, &CONTENT_TYPE);
        let retry_after = header(headers, &RETRY_AFTER);
        let link = links(headers);
        let stream = content_type.as_deref().and_then(Kind::of);
        let mut source = Source::of(answer);
        if let Some(place) = self.allowance.place {
            let argument = self.allowance.tool.and_then(rest::argument);
            let argument = argument.unwrap_or_default();
            Box::pin(source.seek(place, argument, &self.request.url)).await?;
        }
        let mut answer = HttpAnswer {
            status,
            content_type,
            retry_after,
            link,
            cut: None,
            body: Bytes::new(),
        };
        let room = match stream {
            Some(kind) => {
                // Boxed, as all that few calls need: the others carry none of it.
                let collected = streamed::collect(source, kind, self.client, self.allowance);
                let (body, room, cut) = Box::pin(collected).await?;
                (answer.body, answer.cut) = (body, cut);
                room
            }
            None => self.body(source, &mut answer).await?,
        };
        Ok((answer, room))
    }

    /// Why a redirect was not followed. Another origin gets neither the request nor its credentials.
    fn redirect(&self, answer: &Answer) -> Option<String> {
        let (from, to) = answer.redirect(&self.request.url)?;
        let (host, client) = (self.host(), self.client);
        let target = to.origin();
        if target == from.origin() {
            let max = client.settings.max_redirects;
            return Some(format!(
                "The API at {host} redirected more than {max} times; the call was given up"
            ));
        }
        Some(format!(
            "The API at {host} answered HTTP {} with a redirect to another origin, {}, which is not followed",
            answer.status.as_u16(),
            target.ascii_serialization()
        ))
    }

    /// Reads a body, counted as it arrives, after decompression, as far as one result may have it.
    async fn body(&self, mut source: Source, answer: &mut HttpAnswer) -> Result<Room, Unanswered> {
        let limit = self.client.settings.max_response;
        let stated = source.stated().map(|stated| stated.min(limit));
        let (mut room, mut more) = (Room::NONE, false);
        // Most answers come in one piece, which is then not copied.
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        loop {
            let before = first.len() + all.len();
            let mut chunk = match source.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(why) => {
                    return Err(Unanswered::unfinished(format!(
                        "The answer of the API at {} broke off after {before} bytes: {why}",
                        self.host()
                    )));
                }
            };
            if before + chunk.len() > limit {
                chunk.truncate(limit - before);
                more = true;
            }
            let read = before + chunk.len();
            if room.is_none() && !self.allowance.has_room && stated.unwrap_or(read) > FREE {
                room = self.room(stated.unwrap_or(limit)).await?;
            }
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                if all.is_empty() {
                    all.reserve(stated.unwrap_or_default().max(read));
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&chunk);
            }
            if more {
                break;
            }
        }
        answer.body = if all.is_empty() { first } else { all.freeze() };
        room.shrink(answer.body.len());
        let success = (200..300).contains(&answer.status);
        if success && (more || self.allowance.place.is_some()) {
            // Boxed, because few answers are so long.
            Box::pin(self.cut(source, more, answer)).await;
        }
        Ok(room)
    }

    /// Says that an answer is a piece of a longer one.
    async fn cut(&self, source: Source, more: bool, answer: &mut HttpAnswer) {
        let body = std::mem::take(&mut answer.body);
        let piece = source.piece(body, more, answer.is_text(), self.allowance.tool);
        let (body, cut) = piece.await;
        (answer.body, answer.cut) = (body, Some(cut));
    }

    /// Waits until there is room for a large answer.
    async fn room(&self, bytes: usize) -> Result<Room, String> {
        let room = room(self.client, bytes, self.allowance.end).await;
        room.ok_or_else(|| {
            format!(
                "The gateway holds too many large answers at once to take another one from the API at {}{}. Ask for less, or again later",
                self.host(),
                self.doubt()
            )
        })
    }

    fn unanswered(&self, failure: &Failure) -> Unanswered {
        match failure {
            Failure::Direct(Failed::Late) => self.late(),
            Failure::Client(error) if error.is_connect() && error.is_timeout() => self.late(),
            Failure::Direct(Failed::Unreached(error)) => self.unreached(&**error),
            Failure::Client(error) if error.is_connect() => self.unreached(error),
            Failure::Direct(Failed::Broken(error)) => self.broken(error),
            Failure::Client(error) => self.broken(error),
            Failure::Unmade(error) => self.unreached(error),
        }
    }

    fn unreached(&self, error: &(dyn StdError + 'static)) -> Unanswered {
        let (host, why) = (self.host(), cause(error));
        Unanswered::unsent(format!("The API at {host} could not be reached: {why}"))
    }

    /// Whoever waited so long for a connection does not wait again.
    fn late(&self) -> Unanswered {
        let (host, limit) = (self.host(), self.client.settings.connect_timeout);
        Unanswered::unfinished(format!(
            "The API at {host} could not be reached: no connection within {}",
            seconds(limit)
        ))
    }

    fn broken(&self, error: &(dyn StdError + 'static)) -> Unanswered {
        Unanswered::broken(format!(
            "The API at {} did not answer as HTTP asks: {}{}",
            self.host(),
            cause(error),
            self.doubt()
        ))
    }

    /// What to add when nobody knows whether the API did what it was asked.
    fn doubt(&self) -> &'static str {
        // RFC 9110, 9.2.1.
        if self.request.method.is_safe() {
            ""
        } else {
            ". The request may have been carried out all the same"
        }
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The values of `Link` as one (RFC 9110, 5.3).
fn links(headers: &HeaderMap) -> Option<String> {
    let mut all = None::<String>;
    for value in headers.get_all(LINK) {
        let value = String::from_utf8_lossy(value.as_bytes());
        match &mut all {
            Some(all) => all.extend([", ", &value]),
            None => all = Some(value.into_owned()),
        }
    }
    all
}

pub(super) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// A bound as it is told.
pub(super) fn size(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    if bytes >= MIB && bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}
