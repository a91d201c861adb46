//! Announcements of changed lists and resources, in both eras.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, Stream};
use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::error::RpcError;
use super::memory::{MAX_WATCHED, Memory};
use super::message::{Request, members};
use super::methods::LISTEN;
use super::watching::Watching;
use crate::auth::Admission;
use crate::federation::{Scope, View};
use crate::gateway::Inner;
use crate::members::{Members, quoted};
use crate::roster::Signal;

/// What a client is told to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Tools,
    Prompts,
    /// The list of resources, or that of templates.
    Resources,
    /// A resource, by its public URI.
    Resource(String),
    /// What the client's user was asked to open is done: what that was called. Nothing is to be read.
    Elicitation(Arc<str>),
}

impl Change {
    fn method(&self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
            Self::Resource(_) => "notifications/resources/updated",
            Self::Elicitation(_) => "notifications/elicitation/complete",
        }
    }

    /// The announcement of the old era.
    pub(crate) fn announcement(&self) -> String {
        let method = self.method();
        match self {
            Self::Resource(uri) => {
                let uri = quoted(uri);
                format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"uri":{uri}}}}}"#)
            }
            Self::Elicitation(id) => {
                let id = quoted(id);
                format!(
                    r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"elicitationId":{id}}}}}"#
                )
            }
            _ => format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#),
        }
    }
}

/// The changes of one endpoint.
#[derive(Debug)]
pub(crate) struct Changes {
    gateway: Arc<Inner>,
    scope: Scope,
    /// Whose lists they are, where clients are asked who they are.
    admission: Option<Admission>,
    signals: watch::Receiver<Signal>,
    seen: String,
    /// To be told next, last first.
    ahead: Vec<Change>,
    watching: Watching,
    /// Whose elicitations are told, and all that are completed.
    completed: Option<(SessionKey, broadcast::Receiver<Arc<str>>)>,
}

/// Where a digest of a view has which list.
const LISTS: [(std::ops::Range<usize>, Change); 3] = [
    (24..32, Change::Resources),
    (16..24, Change::Prompts),
    (0..16, Change::Tools),
];

impl Changes {
    /// Changes since the lists with this digest, and updates of what is watched.
    pub(crate) fn since(
        gateway: &Arc<Inner>,
        scope: Scope,
        admission: Option<Admission>,
        digest: &str,
        watched: watch::Receiver<BTreeSet<String>>,
    ) -> Self {
        let who = admission
            .as_ref()
            .map(|admission| Arc::clone(admission.principal()));
        Self {
            signals: gateway.roster.signals(),
            watching: Watching::new(gateway, scope.clone(), who, watched),
            gateway: Arc::clone(gateway),
            scope,
            admission,
            seen: digest.to_owned(),
            ahead: Vec::new(),
            completed: None,
        }
    }

    /// The same, and which elicitations are completed that this session was told (2025-11-25,
    /// Elicitation, Completion Notifications for URL Mode Elicitation).
    pub(crate) fn with_elicitations(mut self, session: SessionKey) -> Self {
        let logins = self.gateway.logins.as_ref();
        self.completed = logins.map(|logins| (session, logins.completed.listen()));
        self
    }

    /// Changes for a session of the old era, with what it watches.
    pub(crate) fn of_session(
        gateway: &Arc<Inner>,
        scope: Scope,
        admission: Option<Admission>,
        digest: &str,
        session: Option<SessionKey>,
    ) -> Self {
        let watched = match session {
            Some(session) => gateway.memories.of(session).watched(),
            None => Memory::default().watched(),
        };
        let changes = Self::since(gateway, scope, admission, digest, watched);
        match session {
            Some(session) => changes.with_elicitations(session),
            None => changes,
        }
    }

    /// Waits for the next change. `None` when there will be none: the server is gone, whoever listens
    /// is let in no more or may do something else than before, or the gateway ends its streams.
    /// Nothing is lost when it is given up.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        loop {
            // Read before looking, so that no change falls between.
            if *self.signals.borrow_and_update() == Signal::Closed {
                return None;
            }
            if let Some(change) = self.ahead.pop() {
                return Some(change);
            }
            let who = self.admission.as_ref().map(Admission::principal);
            let view = self.gateway.view(&self.scope, who.map(Arc::as_ref))?;
            let digest = view.digest();
            if digest != self.seen {
                for (at, change) in LISTS {
                    if digest.get(at.clone()) != self.seen.get(at) {
                        self.ahead.push(change);
                    }
                }
                digest.clone_into(&mut self.seen);
                continue;
            }
            let admission = &mut self.admission;
            let refused = async {
                match admission {
                    Some(admission) => admission.ended().await,
                    None => std::future::pending().await,
                }
            };
            let completed = completed(&self.gateway, &mut self.completed);
            tokio::select! {
                changed = self.signals.changed() => changed.ok()?,
                elicitation = completed => return Some(Change::Elicitation(elicitation)),
                uri = self.watching.next() => return Some(Change::Resource(uri)),
                () = refused => return None,
            }
        }
    }
}

/// The next elicitation that is completed of those that a session was told. Nothing is lost when it is
/// given up.
async fn completed(
    gateway: &Inner,
    listening: &mut Option<(SessionKey, broadcast::Receiver<Arc<str>>)>,
) -> Arc<str> {
    while let (Some((session, told)), Some(logins)) = (&mut *listening, &gateway.logins) {
        match told.recv().await {
            Ok(elicitation) if logins.is_of(&elicitation, *session) => return elicitation,
            // Those that were missed are found by trying again.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    std::future::pending().await
}

/// A `subscriptions/listen` request (2026-07-28, Subscriptions).
#[derive(Debug)]
pub(crate) struct Subscription {
    id: Box<RawValue>,
    tools: bool,
    prompts: bool,
    resources: bool,
    watched: BTreeSet<String>,
}

impl Subscription {
    /// Of what is asked for, that which the endpoint has is granted.
    pub(crate) fn read(request: &Request<'_>, view: &View) -> Result<Self, RpcError> {
        debug_assert_eq!(request.method, LISTEN);
        let Some(filter) = request.params.get("notifications") else {
            return Err(RpcError::malformed_params(
                "Invalid params: `notifications` is not an object",
            ));
        };
        let filter = members("notifications", filter)?;
        Ok(Self {
            id: request.id.to_owned(),
            tools: asked(&filter, "toolsListChanged")?,
            prompts: asked(&filter, "promptsListChanged")? && view.about().prompts,
            resources: asked(&filter, "resourcesListChanged")? && view.about().resources,
            watched: watched(&filter, view)?,
        })
    }

    /// What is watched. It does not change as long as the subscription is there.
    pub(crate) fn watched(&self) -> watch::Receiver<BTreeSet<String>> {
        watch::Sender::new(self.watched.clone()).subscribe()
    }

    /// Its messages, each on one line: the acknowledgement, the changes, and, when it is not the
    /// client who ends it, a cancellation and the response.
    pub(crate) fn messages(self, changes: Changes) -> impl Stream<Item = String> + Send + 'static {
        stream::unfold(
            (self, changes, Step::Acknowledge),
            |(this, mut changes, step)| async move {
                let (message, next) = match step {
                    Step::Acknowledge => (this.acknowledged(), Step::Announce),
                    Step::Announce => loop {
                        match changes.next().await {
                            Some(change) if this.wants(&change) => {
                                break (this.changed(&change), Step::Announce);
                            }
                            Some(_) => {}
                            None => break (this.cancelled(), Step::Respond),
                        }
                    },
                    Step::Respond => (this.response(), Step::End),
                    Step::End => return None,
                };
                Some((message, (this, changes, next)))
            },
        )
    }

    fn wants(&self, change: &Change) -> bool {
        match change {
            Change::Tools => self.tools,
            Change::Prompts => self.prompts,
            Change::Resources => self.resources,
            Change::Resource(_) => true,
            Change::Elicitation(_) => false,
        }
    }

    fn acknowledged(&self) -> String {
        let mut granted = Vec::new();
        for (is, member) in [
            (self.tools, "toolsListChanged"),
            (self.prompts, "promptsListChanged"),
            (self.resources, "resourcesListChanged"),
        ] {
            if is {
                granted.push(format!("\"{member}\":true"));
            }
        }
        if !self.watched.is_empty() {
            let uris: Vec<String> = self.watched.iter().map(|uri| quoted(uri)).collect();
            granted.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
        }
        self.notification(
            "notifications/subscriptions/acknowledged",
            &format!(r#","notifications":{{{}}}"#, granted.join(",")),
        )
    }

    fn changed(&self, change: &Change) -> String {
        let members = match change {
            Change::Resource(uri) => format!(r#","uri":{}"#, quoted(uri)),
            _ => String::new(),
        };
        self.notification(change.method(), &members)
    }

    /// 2026-07-28, Cancellation: a server says so when it ends a subscription.
    fn cancelled(&self) -> String {
        self.notification(
            "notifications/cancelled",
            &format!(r#","requestId":{}"#, self.id.get()),
        )
    }

    fn notification(&self, method: &str, members: &str) -> String {
        let id = self.id.get();
        format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}{members}}}}}"#
        )
    }

    /// 2026-07-28, Subscriptions, Graceful Closure.
    fn response(&self) -> String {
        let id = self.id.get();
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )
    }
}

fn asked(filter: &Members<'_>, member: &str) -> Result<bool, RpcError> {
    match filter.get(member).map(RawValue::get) {
        Some("true") => Ok(true),
        None | Some("false" | "null") => Ok(false),
        Some(_) => Err(RpcError::malformed_params(format!(
            "Invalid params: `{member}` is not a boolean"
        ))),
    }
}

fn watched(filter: &Members<'_>, view: &View) -> Result<BTreeSet<String>, RpcError> {
    let raw = match filter.get("resourceSubscriptions") {
        Some(raw) if raw.get() != "null" => raw,
        _ => return Ok(BTreeSet::new()),
    };
    let uris: BTreeSet<String> = serde_json::from_str(raw.get()).map_err(|_| {
        RpcError::malformed_params(
            "Invalid params: `resourceSubscriptions` is not an array of strings",
        )
    })?;
    if uris.len() > MAX_WATCHED {
        return Err(RpcError::invalid_params(format!(
            "Invalid params: `resourceSubscriptions` has more than {MAX_WATCHED} URIs"
        )));
    }
    let has = |uri: &String| view.about().resources && view.resource(uri).is_ok();
    Ok(uris.into_iter().filter(has).collect())
}

/// What a subscription says next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Acknowledge,
    Announce,
    Respond,
    End,
}
