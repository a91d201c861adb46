//! Stdio: one client over a pair of byte streams, one message a line.
//!
//! A client of the modern era says with every request what it is; one of the old era begins with
//! `initialize`, which holds until the end of the streams. Requests run side by side; what they
//! answer is written one after the other.

mod line;
mod running;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::line::{Line, Read};
use self::running::Running;
use super::caller::Caller;
use super::conversation::Turn;
use super::error::RpcError;
use super::listen::{Changes, Subscription};
use super::message::{Message, Notification, Payload, Request};
use super::meta::Meta;
use super::methods::{self, Answer, INITIALIZE, LISTEN};
use super::reply::Reply;
use super::revision::Revision;
use crate::federation::Scope;
use crate::gateway::Inner;
use crate::upstream::{ClientAbilities, Progress};

/// How long what is running may take after the client has closed its end.
const DRAIN: Duration = Duration::from_secs(5);

/// How many lines may wait to be written; then whoever has more waits.
const OUTPUT_QUEUE: usize = 64;

/// The most subscriptions of one client.
const MAX_SUBSCRIPTIONS: usize = 16;

/// Serves a client until its reader ends.
pub(crate) async fn serve<R, W>(
    gateway: &Arc<Inner>,
    scope: Scope,
    reader: R,
    writer: W,
) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin,
{
    let (output, lines) = mpsc::channel(OUTPUT_QUEUE);
    let client = Client {
        gateway: Arc::clone(gateway),
        scope,
        output,
        revision: None,
        key: connection_key()?,
        abilities: 0,
        announcing: false,
        requests: Running::default(),
        subscriptions: Running::default(),
        background: JoinSet::new(),
    };
    let reading = client.read(BufReader::new(reader));
    tokio::pin!(reading);
    let writing = write(lines, writer);
    tokio::pin!(writing);
    tokio::select! {
        // The queue is closed once the client is dropped, so the writer ends after the reader.
        read = &mut reading => {
            let written = timeout(DRAIN, writing).await.unwrap_or(Ok(()));
            read.and(written)
        }
        // Nobody reads any more.
        written = &mut writing => written,
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut lines: mpsc::Receiver<String>,
    mut writer: W,
) -> io::Result<()> {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        writer.write_all(line.as_bytes()).await?;
        if lines.is_empty() {
            writer.flush().await?;
        }
    }
    writer.flush().await
}

struct Client {
    gateway: Arc<Inner>,
    scope: Scope,
    output: mpsc::Sender<String>,
    /// What `initialize` settled on.
    revision: Option<Revision>,
    /// Stands for the connection where HTTP has a session.
    key: SessionKey,
    /// What `initialize` said that the client can be asked.
    abilities: u8,
    /// Whether changes are announced in the manner of the old era.
    announcing: bool,
    requests: Running,
    subscriptions: Running,
    background: JoinSet<()>,
}

impl Client {
    async fn read<R: AsyncBufRead + Unpin>(mut self, mut reader: R) -> io::Result<()> {
        let mut line = Line::default();
        loop {
            let busy = self.requests.len() >= self.gateway.settings.max_in_flight;
            tokio::select! {
                read = line.next(&mut reader, self.gateway.settings.body_limit), if !busy => match read? {
                    Read::Line(bytes) => self.take(&bytes).await,
                    Read::TooLong => {
                        let limit = self.gateway.settings.body_limit;
                        let error = RpcError::refused(413, format!("A message has at most {limit} bytes"));
                        self.send(Reply::error(None, &error)).await;
                    }
                    Read::End => break,
                },
                () = self.requests.finished() => {}
                () = self.subscriptions.finished() => {}
            }
        }
        drop(self.subscriptions);
        drop(self.background);
        // Past its time, what still runs ends with the client.
        let _ = timeout(DRAIN, async {
            while self.requests.len() > 0 {
                self.requests.finished().await;
            }
        })
        .await;
        Ok(())
    }

    async fn send(&self, reply: Reply) {
        // Fails when the writer has ended, which ends all of this.
        let _ = self.output.send(reply.into_line()).await;
    }

    async fn take(&mut self, bytes: &Bytes) {
        if bytes.trim_ascii().is_empty() {
            return;
        }
        match Payload::read(bytes, self.gateway.settings.max_batch) {
            Ok(Payload::One(Message::Request(request))) => self.request(&request, bytes).await,
            Ok(Payload::One(Message::Notification(notification))) => {
                self.notification(&notification)
            }
            Ok(Payload::One(Message::Response(response))) => {
                if let Some((id, answer)) = response.answer() {
                    self.gateway.questions.answered(Some(self.key), id, answer);
                }
            }
            Ok(Payload::Batch(messages)) if self.revision == Some(Revision::V2025_03_26) => {
                let replies = self.batch(&messages).await;
                if !replies.is_empty() {
                    self.send(Reply::batch(replies)).await;
                }
            }
            Ok(Payload::Batch(_)) => {
                let error = RpcError::invalid_request(
                    "Invalid request: only revision 2025-03-26 has batches",
                );
                self.send(Reply::error(None, &error)).await;
            }
            Err(rejected) => self.send(Reply::error(rejected.id, &rejected.error)).await,
        }
    }

    async fn request(&mut self, request: &Request<'_>, bytes: &Bytes) {
        if let Err(error) = self.start(request, bytes).await {
            self.send(Reply::error(Some(request.id), &error)).await;
        }
    }

    async fn start(&mut self, request: &Request<'_>, bytes: &Bytes) -> Result<(), RpcError> {
        let id = request.id.get();
        if self.requests.has(id) || self.subscriptions.has(id) {
            return Err(RpcError::invalid_request(
                "Invalid request: a request with this id is running",
            ));
        }
        let revision = self.revision_of(request)?;
        if request.method == INITIALIZE && !revision.is_modern() {
            // Answered before the next line is read, which may already count on it.
            let Answer::Whole(outcome) =
                answer(&self.gateway, &self.scope, request, &self.caller(revision)).await?
            else {
                return Err(RpcError::internal());
            };
            self.revision = Some(methods::negotiate(request)?);
            if let Some(capabilities) = request.params.get("capabilities") {
                self.abilities = ClientAbilities::read(capabilities).bits();
            }
            self.send(Reply::result(request.id, outcome)).await;
            return Ok(());
        }
        if request.method == LISTEN && revision.is_modern() {
            return self.listen(request);
        }
        let caller = self.caller(revision);
        let task = {
            let (gateway, scope, output, bytes) = (
                Arc::clone(&self.gateway),
                self.scope.clone(),
                self.output.clone(),
                bytes.clone(),
            );
            async move {
                // Read again, because a task cannot borrow from this one.
                let Ok(Payload::One(Message::Request(request))) = Payload::read(&bytes, 1) else {
                    return;
                };
                let token = Meta::progress_token(&request.params);
                let progress = token.map(|token| Progress::new(token, output.clone()));
                let caller = Caller {
                    progress: progress.as_ref(),
                    ..caller
                };
                let outcome = match answer(&gateway, &scope, &request, &caller).await {
                    Ok(Answer::Whole(outcome)) => Ok(outcome),
                    Ok(Answer::Talk(mut conversation)) => loop {
                        match conversation.next().await {
                            Turn::Message(message) => {
                                let _ = output.send(message).await;
                            }
                            Turn::End(end) => break end,
                            Turn::Cancelled => return,
                        }
                    },
                    Err(error) => Err(error),
                };
                let reply = match outcome {
                    Ok(outcome) => Reply::result(request.id, outcome),
                    Err(error) => Reply::error(Some(request.id), &error),
                };
                let _ = output.send(reply.into_line()).await;
            }
        };
        self.requests.spawn(id, task);
        Ok(())
    }

    fn caller(&self, revision: Revision) -> Caller<'static> {
        Caller {
            revision,
            session: Some(self.key),
            who: None,
            abilities: self.abilities,
            streams: true,
            headers: None,
            progress: None,
        }
    }

    /// The revision of a request: what it says, else what `initialize` settled on.
    fn revision_of(&self, request: &Request<'_>) -> Result<Revision, RpcError> {
        if let Some(revision) = Meta::read(&request.params)?.revision()? {
            return Ok(revision);
        }
        match self.revision {
            Some(revision) => Ok(revision),
            None if matches!(&*request.method, INITIALIZE | "ping") => {
                Ok(Revision::NEWEST_WITH_INITIALIZE)
            }
            None => Err(Meta::missing_version()),
        }
    }

    fn listen(&mut self, request: &Request<'_>) -> Result<(), RpcError> {
        let snapshot = self.gateway.roster.snapshot();
        let view = snapshot.view(&self.scope).ok_or_else(no_server)?;
        let subscription = Subscription::read(request, view)?;
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(RpcError::refused(
                503,
                "As many subscriptions are open as there may be",
            ));
        }
        let changes = self.changes(subscription.watched());
        let mut messages = Box::pin(subscription.messages(changes));
        let output = self.output.clone();
        self.subscriptions.spawn(request.id.get(), async move {
            while let Some(message) = messages.next().await {
                if output.send(message).await.is_err() {
                    break;
                }
            }
        });
        Ok(())
    }

    fn changes(&self, watched: watch::Receiver<BTreeSet<String>>) -> Changes {
        let snapshot = self.gateway.roster.snapshot();
        let digest = snapshot
            .view(&self.scope)
            .map(|view| view.digest())
            .unwrap_or_default();
        Changes::since(&self.gateway, self.scope.clone(), None, digest, watched)
    }

    fn notification(&mut self, notification: &Notification<'_>) {
        match &*notification.method {
            "notifications/initialized" if self.revision.is_some() && !self.announcing => {
                self.announcing = true;
                let watched = self.gateway.memories.of(self.key).watched();
                let (mut changes, output) = (self.changes(watched), self.output.clone());
                self.background.spawn(async move {
                    while let Some(change) = changes.next().await {
                        if output.send(change.announcement()).await.is_err() {
                            break;
                        }
                    }
                });
            }
            "notifications/cancelled" => {
                if let Some(id) = notification.params.get("requestId").map(RawValue::get) {
                    self.requests.cancel(id);
                    self.subscriptions.cancel(id);
                }
            }
            _ => {}
        }
    }

    async fn batch(&self, messages: &[&RawValue]) -> Vec<Reply> {
        let snapshot = self.gateway.roster.snapshot();
        match snapshot.view(&self.scope) {
            Some(view) => methods::batch(&self.gateway, view, None, messages).await,
            None => vec![Reply::error(None, &no_server())],
        }
    }
}

async fn answer(
    gateway: &Arc<Inner>,
    scope: &Scope,
    request: &Request<'_>,
    caller: &Caller<'_>,
) -> Result<Answer, RpcError> {
    let view = gateway
        .roster
        .snapshot()
        .view(scope)
        .cloned()
        .ok_or_else(no_server)?;
    methods::answer(gateway, &view, request, caller).await
}

/// A key that no session over HTTP has.
fn connection_key() -> io::Result<SessionKey> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(SessionKey::of(&format!(
        "stdio {:032x}",
        u128::from_be_bytes(random)
    )))
}

fn no_server() -> RpcError {
    RpcError::refused(404, "There is no server of that name")
}
