//! One client on a connection that lasts as long as the client: stdio, or HTTP+SSE of 2024-11-05.
//!
//! A client of the modern era says with every request what it is; one of the old era begins with
//! `initialize`, which holds until the end of the connection. Requests run side by side; what they
//! answer goes out one after the other.

mod running;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mcphub_core::principal::Principal;
use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::running::Running;
use super::answer::Answer;
use super::batch;
use super::caller::Caller;
use super::conversation::Turn;
use super::error::RpcError;
use super::listen::{Changes, Subscription};
use super::message::{Message, Notification, Payload, Request};
use super::meta::Meta;
use super::methods::{self, INITIALIZE, LISTEN};
use super::reply::Reply;
use super::revision::Revision;
use super::roots;
use crate::auth::Admission;
use crate::federation::{Scope, View};
use crate::gateway::Inner;
use crate::upstream::{ClientAbilities, Progress};

/// How long what is running may take after the client has closed its end.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// How many messages may wait to be taken by the client; then whoever has more waits.
pub(crate) const OUTPUT_QUEUE: usize = 64;

/// The most subscriptions of one client.
const MAX_SUBSCRIPTIONS: usize = 16;

/// What a client sends.
pub(crate) trait Messages: Send {
    /// The next message. Nothing is lost when it is given up.
    fn next(&mut self) -> impl Future<Output = io::Result<Read>> + Send;
}

/// What was read of a client.
pub(crate) enum Read {
    Message(Bytes),
    /// A message beyond the limit of the gateway's settings, which is not kept.
    TooLong,
    End,
}

impl Messages for mpsc::Receiver<Bytes> {
    async fn next(&mut self) -> io::Result<Read> {
        Ok(self.recv().await.map_or(Read::End, Read::Message))
    }
}

/// Serves a client until its messages end. What it is told goes to `output`, each message on one
/// line. With an `admission` they see what they may, and whoever calls this ends it with that.
///
/// # Errors
/// When the system gives no random numbers; those of reading its messages.
pub(crate) fn serve(
    gateway: Arc<Inner>,
    scope: Scope,
    admission: Option<Admission>,
    messages: impl Messages,
    output: mpsc::Sender<String>,
) -> io::Result<impl Future<Output = io::Result<()>> + Send> {
    let client = Client {
        gateway,
        scope,
        admission,
        output,
        revision: None,
        // No session over streamable HTTP has such a key.
        key: SessionKey::of(&format!("connection {}", random()?)),
        abilities: 0,
        announcing: false,
        requests: Running::default(),
        subscriptions: Running::default(),
        background: JoinSet::new(),
    };
    Ok(client.hear(messages))
}

impl Drop for Client {
    fn drop(&mut self) {
        self.gateway.forget_session(self.key);
    }
}

struct Client {
    gateway: Arc<Inner>,
    scope: Scope,
    /// Who it is, where clients are asked who they are.
    admission: Option<Admission>,
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
    async fn hear(mut self, mut messages: impl Messages) -> io::Result<()> {
        loop {
            let busy = self.requests.len() >= self.gateway.settings.max_in_flight;
            tokio::select! {
                read = messages.next(), if !busy => match read? {
                    Read::Message(bytes) => self.take(&bytes).await,
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
        drop(std::mem::take(&mut self.subscriptions));
        drop(std::mem::take(&mut self.background));
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
        let who = self.who();
        let caller = self.caller(revision);
        if request.method == INITIALIZE && !revision.is_modern() {
            let caller = Caller {
                who: who.as_ref(),
                ..caller
            };
            // Answered before the next line is read, which may already count on it.
            let Answer::Whole(outcome) =
                answer(&self.gateway, &self.scope, request, &caller).await?
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
                // What is wrong with it is said when it is answered.
                let token = request.meta().ok().and_then(|meta| meta.progress);
                let progress = token.map(|token| Progress::new(token, output.clone()));
                let caller = Caller {
                    who: who.as_ref(),
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

    fn who(&self) -> Option<Arc<Principal>> {
        self.admission.as_ref().map(|it| Arc::clone(it.principal()))
    }

    /// What the client sees.
    fn view(&self) -> Option<Arc<View>> {
        self.gateway.view(&self.scope, self.who().as_deref())
    }

    fn caller(&self, revision: Revision) -> Caller<'static> {
        Caller {
            revision,
            session: Some(self.key),
            who: None,
            abilities: self.abilities,
            streams: true,
            headers: None,
            trace: None,
            progress: None,
        }
    }

    /// The revision of a request: what it says, else what `initialize` settled on.
    fn revision_of(&self, request: &Request<'_>) -> Result<Revision, RpcError> {
        if let Some(revision) = request.meta()?.revision()? {
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
        let view = self.view().ok_or_else(no_server)?;
        let subscription = Subscription::read(request, &view)?;
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
        let view = self.view();
        let digest = view.as_ref().map(|view| view.digest()).unwrap_or_default();
        let (scope, admission) = (self.scope.clone(), self.admission.clone());
        Changes::since(&self.gateway, scope, admission, digest, watched)
    }

    fn notification(&mut self, notification: &Notification<'_>) {
        match &*notification.method {
            "notifications/initialized" if self.revision.is_some() && !self.announcing => {
                self.announcing = true;
                let watched = self.gateway.memories.of(self.key).watched();
                let changes = self.changes(watched).with_elicitations(self.key);
                let (mut changes, output) = (changes, self.output.clone());
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
            "notifications/progress" => {
                let questions = &self.gateway.questions;
                questions.progress(Some(self.key), &notification.params);
            }
            roots::CHANGED => self.gateway.roots.changed(self.key),
            _ => {}
        }
    }

    async fn batch(&self, messages: &[&RawValue]) -> Vec<Reply> {
        match self.view() {
            Some(view) => batch::answers(&self.gateway, &view, self.who().as_ref(), messages).await,
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
    let who = caller.who.map(Arc::as_ref);
    let view = gateway.view(scope, who).ok_or_else(no_server)?;
    methods::answer(gateway, &view, request, caller).await
}

/// 128 random bits in hexadecimal.
///
/// # Errors
/// When the system gives no random numbers.
pub(crate) fn random() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

fn no_server() -> RpcError {
    RpcError::refused(404, "There is no server of that name")
}
