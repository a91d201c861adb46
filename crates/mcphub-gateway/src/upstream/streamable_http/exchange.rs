//! One request of any method, and what the server says until it is answered.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::session::{ANSWERING, Session};
use super::wire::{Era, Wire};
use crate::upstream::access::Whose;
use crate::upstream::events::{Events, broken, nonsense};
use crate::upstream::message::{self, Incoming};
use crate::upstream::pending::Inbox;
use crate::upstream::{Exchange, Forward, Response, Said, Tell, one_line};

/// How often a stream that breaks off without having said anything is taken up again.
const RESUMPTIONS: usize = 8;

/// The longest pause before that which a server can ask for.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// A request that may be sent anew, and what was known of its server.
pub(super) type Again = (Arc<Forward>, Arc<OnceCell<Era>>);

/// A request on its way.
pub(super) struct HttpExchange {
    wire: Arc<Wire>,
    pub(super) era: Era,
    whose: Whose,
    id: u64,
    pub(super) source: Source,
    /// What the stream of a session tells of the request.
    pub(super) inbox: Option<Inbox>,
    /// How long the first message may take, of a request whose server may ask before there is any
    /// other sign of it.
    pub(super) first: Option<Duration>,
    /// What is sent anew when the session turns out to have ended, and what was known of it.
    pub(super) again: Option<Box<Again>>,
}

/// Where the answer comes from.
pub(super) enum Source {
    /// It was not answered yet. `None`: what was known of the server is wrong.
    Sending(BoxFuture<'static, Result<Option<Source>>>),
    /// It is here.
    Whole(Box<Said>),
    /// It is in a stream, after other messages.
    Events(Box<Events>),
    /// It was given.
    Over,
}

impl HttpExchange {
    /// A request of which nothing is known yet.
    pub(super) fn new(wire: Arc<Wire>, era: Era, id: u64, whose: Whose) -> Self {
        Self {
            wire,
            era,
            whose,
            id,
            source: Source::Over,
            inbox: None,
            first: None,
            again: None,
        }
    }

    async fn hear(&mut self) -> Result<Said> {
        let mut resumed = 0;
        loop {
            match &mut self.source {
                Source::Sending(sending) => {
                    let sent = tokio::select! {
                        biased;
                        Some(said) = told(&mut self.inbox) => return Ok(said),
                        sent = sending => sent,
                    };
                    match (sent?, self.again.take()) {
                        (Some(source), _) => self.source = source,
                        (None, Some(again)) => {
                            self.source = Source::Over;
                            let (forward, wrong) = *again;
                            *self = Box::pin(self.wire.clone().open_anew(forward, &wrong)).await?;
                        }
                        (None, None) => return Err(broken("the session has ended")),
                    }
                }
                Source::Events(events) => {
                    let next = tokio::select! {
                        biased;
                        Some(said) = told(&mut self.inbox) => return Ok(said),
                        next = events.next() => next,
                    };
                    match next {
                        Ok(Some(data)) => {
                            events.forget_read();
                            resumed = 0;
                            let said = said(data.as_bytes(), self.id).map_err(|error| {
                                nonsense("it is no JSON-RPC message").caused_by(error)
                            })?;
                            // The answer to another request is nobody's.
                            if let Some(said) = said {
                                return Ok(said);
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::TooLarge => return Err(error),
                        ended => {
                            let why = ended.err();
                            resumed += 1;
                            Box::pin(self.resume(why, resumed)).await?;
                        }
                    }
                }
                Source::Whole(_) => {
                    if let Source::Whole(said) = std::mem::replace(&mut self.source, Source::Over) {
                        return Ok(*said);
                    }
                }
                Source::Over => return Err(broken("there is nothing after the answer")),
            }
        }
    }

    /// Takes up a stream that broke off, where its events have ids; `why` is what broke it.
    async fn resume(&mut self, why: Option<Error>, attempt: usize) -> Result<()> {
        let lost = || why.unwrap_or_else(|| broken("the stream ended before the answer"));
        let (Source::Events(events), Era::Legacy(_)) = (&mut self.source, &self.era) else {
            return Err(lost());
        };
        let Some(last_id) = events.last_id.take().filter(|_| attempt <= RESUMPTIONS) else {
            return Err(lost());
        };
        let initial = self.wire.client.settings.initial_backoff;
        tokio::time::sleep(events.retry.unwrap_or(initial).min(MAX_RETRY)).await;
        let mut resumed = self
            .wire
            .resume(&self.era, &last_id, self.whose.as_deref())
            .await?;
        resumed.last_id = Some(last_id);
        self.source = Source::Events(Box::new(resumed));
        Ok(())
    }
}

/// What the stream of a session tells next.
async fn told(inbox: &mut Option<Inbox>) -> Option<Said> {
    match inbox {
        Some(inbox) => inbox.said.recv().await.map(|heard| heard.said),
        None => std::future::pending().await,
    }
}

#[async_trait]
impl Exchange for HttpExchange {
    /// Ends within [`McpSettings::call_timeout`](super::McpSettings::call_timeout), which begins
    /// anew with each message, or within the limits that there are for the part that it is at.
    async fn next(&mut self) -> Result<Said> {
        if let Source::Whole(_) = &self.source
            && let Source::Whole(said) = std::mem::replace(&mut self.source, Source::Over)
        {
            return Ok(*said);
        }
        let wire = Arc::clone(&self.wire);
        let settings = &wire.client.settings;
        let own = match &self.source {
            Source::Sending(_) => self.first.take(),
            Source::Events(_) => settings.idle_timeout,
            Source::Whole(_) | Source::Over => None,
        };
        let limit = own.unwrap_or(settings.call_timeout);
        // Boxed, because most answers come whole and need none of it.
        let said = Box::pin(wire.within(limit, self.hear())).await;
        if matches!(said, Ok(Said::Result(_) | Said::Failure(_))) {
            self.source = Source::Over;
        }
        said.map_err(|error| error.with("server", &wire.host))
    }

    async fn answer(&mut self, id: &RawValue, answer: Response) -> Result<()> {
        if matches!(self.era, Era::Modern) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a server of this revision asks with a result",
            ));
        }
        let limit = self.wire.client.settings.call_timeout;
        let message = message::response(id, &answer);
        self.wire
            .within(
                limit,
                self.wire.tell(&self.era, message, self.whose.as_deref()),
            )
            .await
    }

    fn teller(&self) -> Option<Arc<dyn Tell>> {
        let Era::Legacy(session) = &self.era else {
            return None;
        };
        Some(Arc::new(SessionTeller {
            wire: Arc::downgrade(&self.wire),
            session: Arc::downgrade(session),
            whose: self.whose.clone(),
        }))
    }
}

/// Tells the server something in a session, as long as that lasts.
struct SessionTeller {
    wire: Weak<Wire>,
    session: Weak<Session>,
    whose: Whose,
}

#[async_trait]
impl Tell for SessionTeller {
    async fn tell(&self, method: &str, params: &RawValue) -> Result<()> {
        let (Some(wire), Some(session)) = (self.wire.upgrade(), self.session.upgrade()) else {
            return Ok(());
        };
        let (era, message) = (Era::Legacy(session), message::told(method, params));
        let told = wire.tell(&era, message, self.whose.as_deref());
        wire.within(ANSWERING, told).await
    }
}

impl fmt::Debug for SessionTeller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTeller").finish_non_exhaustive()
    }
}

impl Drop for HttpExchange {
    /// In the modern era the closed stream says it. Before, a message has to
    /// (2025-11-25, Cancellation).
    fn drop(&mut self) {
        let Era::Legacy(session) = &self.era else {
            return;
        };
        let waiting = matches!(self.source, Source::Events(_) | Source::Sending(_));
        if self.inbox.is_some() {
            session.over(self.id, !waiting);
        }
        if !waiting {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (wire, era, id) = (Arc::clone(&self.wire), self.era.clone(), self.id);
        let whose = self.whose.clone();
        runtime.spawn(async move {
            let limit = wire.client.settings.list_timeout;
            let told = wire.tell(&era, message::cancelled(id), whose.as_deref());
            if let Err(error) = wire.within(limit, told).await {
                tracing::debug!(server = %wire.host, error = %error.report(), "a cancellation did not arrive");
            }
        });
    }
}

/// A message of the server to request `id`; `None` for the answer to another one. An error without
/// an id is about this request: no other is on its way here.
pub(super) fn said(text: &[u8], id: u64) -> serde_json::Result<Option<Said>> {
    let message: Incoming<'_> = serde_json::from_slice(text)?;
    let ours = message.id.is_some_and(|found| message::is(found, id));
    let unnamed = message.id.is_none_or(|found| found.get() == "null");
    let params = || match message.params {
        Some(params) => one_line(params),
        None => message::empty(),
    };
    Ok(match (message.method, message.id) {
        (Some(method), None) => Some(Said::Notification {
            method: method.into_owned(),
            params: params(),
        }),
        (Some(method), Some(id)) => Some(Said::Request {
            id: one_line(id),
            method: method.into_owned(),
            params: params(),
        }),
        (None, _) => match (message.result, message.error) {
            (_, Some(failure)) if ours || unnamed => Some(Said::Failure(failure)),
            (Some(result), None) if ours => Some(Said::Result(one_line(result))),
            _ => None,
        },
    })
}

impl fmt::Debug for HttpExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpExchange")
            .field("server", &self.wire.host)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
