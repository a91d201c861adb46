//! The connection to one server, through its ends and new beginnings.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt, Shared};
use mcphub_core::connection::Era as Choice;
use mcphub_core::launch::Channel;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::sync::{OnceCell, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::exchange::ChannelExchange;
use super::lines::Lease;
use super::link::{Announced, Link};
use super::meeting::{self, Era};
use super::settings::ChannelSettings;
use crate::upstream::failed::Failed;
use crate::upstream::message::{self, Call, Params};
use crate::upstream::updated::Updated;
use crate::upstream::{About, ClientAbilities, Forward};

/// A program that ran for so long is started again at once.
const STABLE: Duration = Duration::from_secs(10);

/// The method that opens a subscription of the modern era.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// Opens channels to one server.
#[async_trait]
pub(super) trait Dial: Send + Sync + 'static {
    /// A new channel.
    async fn dial(&self) -> Result<Channel>;
}

/// One server that is connected to when it is needed.
pub(super) struct Line {
    name: String,
    dial: Arc<dyn Dial>,
    /// What a server of the legacy era is told that its client can be asked.
    abilities: ClientAbilities,
    pub(super) settings: ChannelSettings,
    announced: Announced,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Now,
    /// The pause after the next early end.
    pause: Duration,
}

#[derive(Default)]
enum Now {
    #[default]
    Nothing,
    /// Being started. The task does not depend on who waits for it.
    Meeting(Shared<Meeting>, AbortHandle),
    Met(Arc<Met>),
    /// Ended early; not started before that time.
    Broken(Instant, Failed),
}

type Meeting = BoxFuture<'static, Result<Arc<Met>, Failed>>;

/// A server that was met.
pub(super) struct Met {
    pub(super) link: Arc<Link>,
    pub(super) era: Era,
    pub(super) about: Arc<About>,
    /// Whether it was asked for all log messages.
    talks: OnceCell<()>,
    _listening: Option<Listening>,
}

/// The subscription of the modern era, which ends with its server.
struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Line {
    /// A server that a person knows by this name.
    pub(super) fn new(
        name: String,
        dial: Arc<dyn Dial>,
        abilities: ClientAbilities,
        settings: ChannelSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            dial,
            abilities,
            state: Mutex::new(State {
                now: Now::Nothing,
                pause: settings.initial_backoff,
            }),
            settings,
            announced: Announced {
                changes: watch::Sender::new(0),
                updated: Arc::default(),
            },
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.announced.changes.subscribe()
    }

    /// What the server tells of its resources.
    pub(super) fn updated(&self) -> &Updated {
        &self.announced.updated
    }

    /// What the server said of itself when it was met; of one that does not run, nothing.
    pub(super) fn about(&self) -> Arc<About> {
        match &self.state().now {
            Now::Met(met) => Arc::clone(&met.about),
            _ => Arc::default(),
        }
    }

    /// The result of a request to the server, which is started if need be.
    ///
    /// # Errors
    /// `Upstream` with `code` and `message` for a JSON-RPC error, `Unavailable` when the server
    /// cannot be started or ends.
    pub(super) async fn request(self: &Arc<Self>, call: &Call<'_>) -> Result<Box<RawValue>> {
        let met = self.met().await?;
        met.request(call).await
    }

    /// Sends a request of any method to the server, which is started if need be.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be started or ends.
    pub(super) async fn open(
        self: &Arc<Self>,
        forward: &Forward,
        lease: Option<Lease>,
    ) -> Result<ChannelExchange> {
        let met = self.met().await?;
        if forward.log_level.is_some() && !forward.choice {
            met.ask_for_logs(self.name()).await;
        }
        let modern = met.era == Era::Modern;
        let message = |id| message::forward(forward, id, modern);
        let (id, inbox) = met.link.converse(forward.session, message).await?;
        Ok(ChannelExchange {
            line: Arc::clone(self),
            met,
            id,
            inbox,
            over: false,
            _lease: lease,
        })
    }

    /// Bounds a piece of work.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let outcome = timeout(limit, work).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f64();
            let message = format!("the MCP server did not answer within {seconds} s");
            Err(Error::new(ErrorKind::Timeout, message))
        });
        outcome.map_err(|error| error.with("server", self.name()))
    }

    /// The server, started if need be.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started or ended early.
    pub(super) async fn met(self: &Arc<Self>) -> Result<Arc<Met>> {
        let meeting = {
            let mut state = self.state();
            state.notice_end(&self.settings);
            match &state.now {
                Now::Met(met) => return Ok(Arc::clone(met)),
                Now::Broken(until, failed) if Instant::now() < *until => {
                    return Err(failed.error(Some(*until - Instant::now())));
                }
                Now::Meeting(meeting, _) if meeting.peek().is_none() => meeting.clone(),
                // A meeting that is over and left no state was broken off.
                Now::Nothing | Now::Broken(..) | Now::Meeting(..) => {
                    let (meeting, task) = self.start();
                    state.now = Now::Meeting(meeting.clone(), task);
                    meeting
                }
            }
        };
        meeting.await.map_err(|failed| failed.error(None))
    }

    /// Starts the server in a task of its own.
    fn start(self: &Arc<Self>) -> (Shared<Meeting>, AbortHandle) {
        let line = Arc::downgrade(self);
        let (dial, abilities) = (Arc::clone(&self.dial), self.abilities.clone());
        let (settings, announced) = (self.settings.clone(), self.announced.clone());
        let task = tokio::spawn(async move {
            let limit = settings.start_timeout;
            let meeting = meet(dial.as_ref(), &abilities, &settings, announced);
            let outcome = timeout(limit, meeting).await.unwrap_or_else(|_| {
                let seconds = limit.as_secs_f64();
                let message = format!("the MCP server was not ready within {seconds} s");
                Err(Error::new(ErrorKind::Timeout, message))
            });
            let outcome = outcome.map(Arc::new).map_err(|error| Failed::of(&error));
            if let Some(line) = line.upgrade() {
                line.state().settle(&outcome, &line.settings);
            }
            outcome
        });
        let handle = task.abort_handle();
        let meeting = task.map(|joined| {
            joined.unwrap_or_else(|_| {
                let message = "the start of the MCP server was given up";
                Err(Failed::new(ErrorKind::Unavailable, message))
            })
        });
        (meeting.boxed().shared(), handle)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Now::Meeting(_, task) = &self.state().now {
            task.abort();
        }
    }
}

impl State {
    /// Takes over what a start came to.
    fn settle(&mut self, outcome: &Result<Arc<Met>, Failed>, settings: &ChannelSettings) {
        self.now = match outcome {
            Ok(met) => Now::Met(Arc::clone(met)),
            Err(failed) => self.broken(failed.clone(), settings),
        };
    }

    /// A connection that has ended is none. One that ended early is not opened again at once.
    fn notice_end(&mut self, settings: &ChannelSettings) {
        let Now::Met(met) = &self.now else { return };
        let Some(why) = met.link.closed() else { return };
        if met.link.opened().elapsed() >= STABLE {
            self.pause = settings.initial_backoff;
            self.now = Now::Nothing;
        } else {
            self.now = self.broken(why, settings);
        }
    }

    fn broken(&mut self, failed: Failed, settings: &ChannelSettings) -> Now {
        let until = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(settings.max_backoff);
        Now::Broken(until, failed)
    }
}

impl Met {
    /// The result of a request.
    ///
    /// # Errors
    /// `Upstream` with `code` and `message` for a JSON-RPC error, `Unavailable` when the server ends.
    pub(super) async fn request(&self, call: &Call<'_>) -> Result<Box<RawValue>> {
        let modern = self.era == Era::Modern;
        let answer = self.link.request(call, modern, true).await?;
        answer.map_err(|failure| message::refused(call.method, &failure))
    }

    /// Legacy servers send the log messages that were asked for; the caller's choice among them is
    /// made by the gateway, because others may share the server.
    async fn ask_for_logs(&self, name: &str) {
        if self.era == Era::Modern || !self.about.logging {
            return;
        }
        let asked = self.talks.get_or_try_init(|| async {
            let call = Call::new("logging/setLevel", Params::level("debug"));
            self.request(&call).await.map(|_| ())
        });
        if let Err(error) = asked.await {
            tracing::debug!(server = name, error = %error.report(), "the server sends the log messages that it likes");
        }
    }
}

/// Starts the server and finds out what it speaks. One of the legacy era may end because of the
/// question; then it is started once more and not asked.
async fn meet(
    dial: &dyn Dial,
    abilities: &ClientAbilities,
    settings: &ChannelSettings,
    announced: Announced,
) -> Result<Met> {
    let open = async || {
        let channel = dial.dial().await?;
        Ok::<_, Error>(Link::open(
            channel,
            settings.max_in_flight,
            announced.clone(),
        ))
    };
    let link = open().await?;
    let patience = settings.discover_timeout;
    let met = match settings.era {
        Choice::Legacy => meeting::initialize(&link, abilities).await,
        Choice::Modern => meeting::discover(&link).await,
        _ => meeting::meet(&link, patience, abilities).await,
    };
    let (link, (era, about)) = match met {
        Ok(met) => (link, met),
        Err(_) if settings.era == Choice::Auto && link.closed().is_some() => {
            let link = open().await?;
            let met = meeting::initialize(&link, abilities).await?;
            (link, met)
        }
        Err(error) => return Err(error),
    };
    let link = Arc::new(link);
    let listening = (era == Era::Modern).then(|| listen(&link, &about));
    Ok(Met {
        link,
        era,
        about: Arc::new(about),
        talks: OnceCell::new(),
        _listening: listening,
    })
}

/// Asks to be told of changes, for as long as the server runs (MCP 2026-07-28, Subscriptions). One
/// that refuses announces none.
fn listen(link: &Arc<Link>, about: &About) -> Listening {
    let (prompts, resources) = (about.prompts, about.resources);
    let link = Arc::downgrade(link);
    let task = tokio::spawn(async move {
        let Some(link) = link.upgrade() else { return };
        let call = Call::new(LISTEN, Params::listen(prompts, resources));
        let _ = link.request(&call, true, false).await;
    });
    Listening(task.abort_handle())
}
