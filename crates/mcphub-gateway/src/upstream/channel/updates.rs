//! What a server tells of resources that somebody watches.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::dial::{LISTEN, Line, Met};
use super::meeting::Era;
use crate::upstream::message::{Call, Params};
use crate::upstream::updated::Update;

/// The URI of one of these resources each time it may have changed. Begins anew when it breaks off,
/// and then gives all of them, because what was told meanwhile is lost. Never ends.
pub(super) fn updates(line: Arc<Line>, uris: Vec<String>) -> BoxStream<'static, String> {
    let watcher = Watcher {
        backoff: line.settings.initial_backoff,
        line,
        uris,
        watching: None,
        told: Vec::new(),
        lost: false,
    };
    stream::unfold(watcher, |mut watcher| async move {
        let uri = watcher.next().await;
        Some((uri, watcher))
    })
    .boxed()
}

struct Watcher {
    line: Arc<Line>,
    uris: Vec<String>,
    watching: Option<Watching>,
    /// To be given next, last first.
    told: Vec<String>,
    backoff: Duration,
    /// Whether there was a subscription before.
    lost: bool,
}

struct Watching {
    updates: broadcast::Receiver<Update>,
    /// Ends when the subscription does. Dropping it ends what was asked of the server.
    until: BoxFuture<'static, Result<()>>,
}

impl Watcher {
    async fn next(&mut self) -> String {
        loop {
            if let Some(uri) = self.told.pop() {
                return uri;
            }
            match self.watch().await {
                Ok(uri) => {
                    self.backoff = self.line.settings.initial_backoff;
                    if let Some(uri) = uri.filter(|uri| self.uris.contains(uri)) {
                        return uri;
                    }
                }
                Err(error) => {
                    tracing::debug!(server = %self.line.name(), error = %error.report(), "no updates of resources");
                    self.lost |= self.watching.take().is_some();
                    tokio::time::sleep(self.backoff).await;
                    self.backoff = (self.backoff * 2).min(self.line.settings.max_backoff);
                }
            }
        }
    }

    async fn watch(&mut self) -> Result<Option<String>> {
        let Some(watching) = &mut self.watching else {
            self.watching = Some(begin(&self.line, &self.uris).await?);
            if std::mem::take(&mut self.lost) {
                self.told.clone_from(&self.uris);
            }
            return Ok(None);
        };
        tokio::select! {
            update = watching.updates.recv() => match update {
                Ok(Update::Of(uri)) => Ok(Some(uri.to_string())),
                Ok(Update::Lost) | Err(RecvError::Lagged(_)) => Err(ended("updates were missed")),
                // The line, which has the sender, lives as long as this.
                Err(RecvError::Closed) => std::future::pending().await,
            },
            ended = &mut watching.until => ended.map(|()| None),
        }
    }
}

async fn begin(line: &Arc<Line>, uris: &[String]) -> Result<Watching> {
    let settings = &line.settings;
    let met = line.within(settings.start_timeout, line.met()).await?;
    // Before asking, so that nothing is missed.
    let updates = line.updated().subscribe();
    let until = match met.era {
        Era::Modern => listening(met, uris.to_vec()).boxed(),
        Era::Legacy => {
            let subscription = Subscription::begin(line, met, uris);
            let asking = async {
                for uri in uris {
                    let call = Call::new("resources/subscribe", Params::resource(uri));
                    subscription.met.request(&call).await?;
                }
                Ok(())
            };
            line.within(settings.list_timeout, asking).await?;
            async move {
                let _subscription = subscription;
                std::future::pending().await
            }
            .boxed()
        }
    };
    Ok(Watching { updates, until })
}

/// A subscription of the modern era. It ends when the server ends it.
async fn listening(met: Arc<Met>, uris: Vec<String>) -> Result<()> {
    let call = Call::new(LISTEN, Params::listen_to(&uris));
    met.request(&call).await?;
    Err(ended("the server ended the subscription"))
}

fn ended(reason: &str) -> Error {
    Error::new(ErrorKind::Upstream, "the subscription broke off").with("reason", reason)
}

/// Resources that are watched at a server of the legacy era. The last who watches one ends it.
struct Subscription {
    line: Arc<Line>,
    met: Arc<Met>,
    uris: Vec<String>,
}

impl Subscription {
    fn begin(line: &Arc<Line>, met: Arc<Met>, uris: &[String]) -> Self {
        line.updated().watch(uris);
        Self {
            line: Arc::clone(line),
            met,
            uris: uris.to_vec(),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let ended = self.line.updated().unwatch(self.uris.drain(..));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if ended.is_empty() || self.met.link.closed().is_some() {
            return;
        }
        let (line, met) = (Arc::clone(&self.line), Arc::clone(&self.met));
        runtime.spawn(async move {
            for uri in ended {
                // Somebody may have begun to watch it again.
                if line.updated().is_watched(&uri) {
                    continue;
                }
                let call = Call::new("resources/unsubscribe", Params::resource(&uri));
                let asked = met.request(&call);
                if let Err(error) = line.within(line.settings.list_timeout, asked).await {
                    tracing::debug!(error = %error.report(), "a resource is still watched");
                }
            }
        });
    }
}
