//! The connection to one server, through its ends and new beginnings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, Shared};
use mcphub_core::launch::{Launch, Launcher};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::failed::Failed;
use super::link::Link;
use super::meeting::{self, Era};
use super::message::Params;
use super::settings::ChannelSettings;

/// A program that ran for so long is started again at once.
const STABLE: Duration = Duration::from_secs(10);

/// One server that is connected to when it is needed.
pub(super) struct Line {
    launch: Launch,
    launcher: Arc<dyn Launcher>,
    pub(super) settings: ChannelSettings,
    changes: watch::Sender<u64>,
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
struct Met {
    link: Arc<Link>,
    era: Era,
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
    pub(super) fn new(
        launch: Launch,
        launcher: Arc<dyn Launcher>,
        settings: ChannelSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                now: Now::Nothing,
                pause: settings.initial_backoff,
            }),
            launch,
            launcher,
            settings,
            changes: watch::Sender::new(0),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.launch.server.as_str()
    }

    /// Changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The result of a request to the server, which is started if need be.
    ///
    /// # Errors
    /// `Upstream` with `code` and `message` for a JSON-RPC error, `Unavailable` when the server
    /// cannot be started or ends.
    pub(super) async fn request(
        self: &Arc<Self>,
        method: &'static str,
        params: Params<'_>,
    ) -> Result<Box<RawValue>> {
        let met = self.met().await?;
        let modern = met.era == Era::Modern;
        let answer = met.link.request(method, params, modern, true).await?;
        answer.map_err(|failure| meeting::refused(method, &failure))
    }

    async fn met(self: &Arc<Self>) -> Result<Arc<Met>> {
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
        let (launch, launcher) = (self.launch.clone(), Arc::clone(&self.launcher));
        let (settings, changes) = (self.settings.clone(), self.changes.clone());
        let task = tokio::spawn(async move {
            let limit = settings.start_timeout;
            let meeting = meet(launch, launcher.as_ref(), &settings, changes);
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

/// Starts the server and finds out what it speaks. One of the legacy era may end because of the
/// question; then it is started once more and not asked.
async fn meet(
    launch: Launch,
    launcher: &dyn Launcher,
    settings: &ChannelSettings,
    changes: watch::Sender<u64>,
) -> Result<Met> {
    let channel = launcher.launch(launch.clone()).await?;
    let link = Link::open(channel, settings.max_in_flight, changes.clone());
    let (link, era) = match meeting::meet(&link, settings.discover_timeout).await {
        Ok(era) => (link, era),
        Err(_) if link.closed().is_some() => {
            let channel = launcher.launch(launch).await?;
            let link = Link::open(channel, settings.max_in_flight, changes);
            let era = meeting::initialize(&link).await?;
            (link, era)
        }
        Err(error) => return Err(error),
    };
    let link = Arc::new(link);
    let listening = (era == Era::Modern).then(|| listen(&link));
    Ok(Met {
        link,
        era,
        _listening: listening,
    })
}

/// Asks to be told of changes, for as long as the server runs (MCP 2026-07-28, Subscriptions). One
/// that refuses announces none.
fn listen(link: &Arc<Link>) -> Listening {
    let link = Arc::downgrade(link);
    let task = tokio::spawn(async move {
        let Some(link) = link.upgrade() else { return };
        let _ = link
            .request("subscriptions/listen", Params::listen(), true, false)
            .await;
    });
    Listening(task.abort_handle())
}
