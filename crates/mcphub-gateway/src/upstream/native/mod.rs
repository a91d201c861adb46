//! An HTTP API that the gateway calls itself, without a server in between.
//!
//! A call is checked against the tool's input schema, becomes an HTTP request through the tool's
//! own binding, and its answer becomes a tool result. Whatever goes wrong on the way is a tool
//! error that a model can act on.

mod accept;
mod address;
mod answer;
mod authorized;
mod budget;
mod cached;
mod check;
mod digest;
mod exchange;
mod kept;
mod problem;
mod propagators;
mod rest;
mod retry;
mod settings;
mod shape;
mod streamed;
mod tree;
mod unanswered;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::{Arguments, HttpAnswer, HttpRequest, ToolResult};
use mcphub_core::schema::Schema;
use mcphub_core::secret::{Credentials, GrantKeeper};
use mcphub_core::server::ServerName;
use mcphub_core::tool::{Tool, ToolSet};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::time::Instant;
use url::Url;

pub(super) use self::address::{is_private_literal, is_public};
use self::authorized::Access;
pub(super) use self::budget::Room;
use self::check::Check;
use self::exchange::Allowance;
use self::unanswered::Unanswered;
use super::cache::AnswerCache;
use super::oauth::Keeper;
use super::{CallContext, CallResult, Upstream, UpstreamTool, planned_tools};
use crate::issuer::TokenIssuer;
pub use propagators::Propagators;
pub use settings::{NativeClient, NativeSettings};

/// An HTTP API as an MCP server.
pub struct NativeApi {
    set: Arc<ToolSet>,
    base_url: Url,
    client: NativeClient,
    access: Access,
    cache: Option<Box<AnswerCache>>,
    /// By name.
    entries: HashMap<Box<str>, Entry, ahash::RandomState>,
}

/// An answer with the room that it takes, or why there is none.
type Sent = std::result::Result<(HttpAnswer, Room), Unanswered>;

/// What a call gave.
struct Done {
    result: ToolResult,
    /// The room that it takes.
    room: Room,
    /// What is wrong with the API, where something is.
    trouble: Option<Box<str>>,
}

/// What came of a call, before it is given to the caller.
enum Outcome {
    /// An answer that is passed on.
    Answer {
        /// What was asked.
        url: Url,
        answer: HttpAnswer,
        room: Room,
    },
    Done(Done),
}

/// One tool, with what its first call prepares for the later ones.
struct Entry {
    /// In the set.
    index: usize,
    input: OnceLock<Check>,
    output: OnceLock<Check>,
}

impl NativeApi {
    /// The tools of `set`, called at `base_url`, with connections of their own. An operation that
    /// the document places on a server of its own is called there.
    ///
    /// # Errors
    /// As [`NativeClient::new`].
    pub fn new(
        set: Arc<ToolSet>,
        base_url: Url,
        credentials: Credentials,
        settings: NativeSettings,
    ) -> Result<Self> {
        Self::with_client(set, base_url, credentials, NativeClient::new(settings)?)
    }

    /// As [`NativeApi::new`], over connections that are shared with other APIs, unless certificates
    /// are among the credentials.
    ///
    /// # Errors
    /// `InvalidInput` when a certificate or a private key cannot be read.
    pub fn with_client(
        set: Arc<ToolSet>,
        base_url: Url,
        credentials: Credentials,
        client: NativeClient,
    ) -> Result<Self> {
        let client = client.trusting(credentials.authorities.as_deref())?;
        let access = Access::new(credentials, &set.security_schemes, &client)?;
        let entries = set.tools.iter().enumerate().map(|(index, tool)| {
            let entry = Entry {
                index,
                input: OnceLock::new(),
                output: OnceLock::new(),
            };
            (Box::from(tool.name.as_str()), entry)
        });
        Ok(Self {
            entries: entries.collect(),
            set,
            base_url,
            access,
            cache: None,
            client,
        })
    }

    /// Keeps logins of this server where they were read when they were renewed. Without this a
    /// renewed login is forgotten with this value.
    #[must_use]
    pub fn keeping(mut self, server: ServerName, grants: Arc<dyn GrantKeeper>) -> Self {
        self.access.keep(Keeper { server, grants });
        self
    }

    /// Says to authorization servers who calls, where tokens are exchanged for that. Without this such
    /// calls are refused.
    #[must_use]
    pub fn issuing(mut self, issuer: Arc<TokenIssuer>) -> Self {
        self.access.issue(issuer);
        self
    }

    /// Keeps answers of the API as far as it allows that to a cache which many share. None are kept
    /// where it is shown a certificate, is answered by digest, or gets tokens of whoever calls.
    #[must_use]
    pub(super) fn caching(mut self, cache: AnswerCache) -> Self {
        self.cache = self.access.is_of_all().then(|| Box::new(cache));
        self
    }

    /// The request that a call of this tool makes, credentials included, but for tokens that would
    /// be got first, and for what answers a question of the API (digest).
    ///
    /// # Errors
    /// `NotFound` for an unknown tool. `InvalidInput` when the arguments do not fit: the message
    /// begins with `Invalid arguments for NAME:` and has a line for each problem, at most ten.
    pub fn prepare(&self, tool: &str, arguments: &Arguments<'_>) -> Result<HttpRequest> {
        let (tool, entry) = self.find(tool)?;
        let mut request = self.request(tool, entry, arguments)?;
        self.authorize(tool, &mut request, self.access.credentials());
        Ok(request)
    }

    /// Calls a tool. Ends within [`NativeSettings::timeout`], or twice that where an access token has
    /// to be got first, however often the request goes again because the API asks for it. Whatever
    /// goes wrong is a tool error.
    pub async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> ToolResult {
        match self.find(tool) {
            Ok((tool, entry)) => {
                let context = CallContext::default();
                let outcome = self.exchange(tool, entry, arguments, context).await;
                self.done(tool, entry, outcome).result
            }
            Err(error) => failure(&error),
        }
    }

    async fn exchange(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
        context: CallContext<'_>,
    ) -> Outcome {
        if !tool.binding.answer.passes_on() || rest::may_be_asked(tool, arguments) {
            let shaped = Box::pin(self.shaped(tool, entry, arguments, context)).await;
            return shaped.unwrap_or_else(|error| failure(&error).into()).into();
        }
        let request = match self.request(tool, entry, arguments) {
            Ok(request) => request,
            Err(error) => return Done::from(failure(&error)).into(),
        };
        let url = request.url.clone();
        let allowance = Allowance::until(Instant::now() + self.client.settings.timeout)
            .of(tool)
            .kept_by(self.cache.as_deref())
            .within(context);
        let sent = self.send(tool, request, allowance).await;
        let sent = self.in_the_end(tool, entry, arguments, sent, allowance);
        match sent.await {
            Ok((answer, room)) => Outcome::Answer { url, answer, room },
            Err(unanswered) => Done::from(unanswered).into(),
        }
    }

    /// What the caller gets of a call.
    fn done(&self, tool: &Tool, entry: &Entry, outcome: Outcome) -> Done {
        let (url, answer, room) = match outcome {
            Outcome::Done(done) => return done,
            Outcome::Answer { url, answer, room } => (url, answer, room),
        };
        let result = ToolResult::from_answer(&answer, tool.binding.output, &shown_url(&url));
        let result = self.checked(tool, entry, result, answer.status).once();
        Done {
            trouble: Done::trouble_of(&answer),
            result: result.noted(answer.cut.map(|cut| cut.note)),
            room,
        }
    }

    /// The same as text. Most answers surely are as promised: they are read once for that, and once
    /// to be written.
    fn written(&self, tool: &Tool, entry: &Entry, mut outcome: Outcome) -> Result<CallResult> {
        if let Outcome::Answer { answer, room, .. } = &mut outcome {
            let structured = !tool.binding.output.is_none();
            let text = answer.as_it_is(tool.binding.output);
            let text = text.filter(|text| !structured || self.surely_fits(tool, entry, text));
            if let Some(text) = text {
                let room = std::mem::replace(room, Room::NONE);
                return Ok(CallResult::of_text(text, structured).holding(room));
            }
        }
        let done = self.done(tool, entry, outcome);
        let result = CallResult::of(&done.result)?.troubled(done.trouble);
        Ok(result.holding(done.room))
    }

    fn find(&self, name: &str) -> Result<(&Tool, &Entry)> {
        let found = self
            .entries
            .get(name)
            .and_then(|entry| Some((self.set.tools.get(entry.index)?, entry)));
        found.ok_or_else(|| {
            Error::not_found("the server has no tool of that name")
                .with("tool", super::http::clip(name, 128))
        })
    }

    fn request(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
    ) -> Result<HttpRequest> {
        let check = entry
            .input
            .get_or_init(|| Check::new(&tool.input, tool.name.as_str()));
        let problems = check
            .arguments(&tool.input, arguments)
            .map_err(|error| named(tool, error))?;
        if !problems.is_empty() {
            return Err(invalid(tool, &problems));
        }
        let own = tool
            .binding
            .server
            .as_deref()
            .map(|server| self.base_url.join(server))
            .transpose();
        let own = own
            .map_err(|error| Error::invalid("the operation's server is no URL").caused_by(error))?;
        tool.binding
            .request(own.as_ref().unwrap_or(&self.base_url), arguments)
            .map_err(|error| named(tool, error))
    }

    /// Whether an answer is JSON that is as the tool's output schema says, if that is told at once.
    fn surely_fits(&self, tool: &Tool, entry: &Entry, answer: &str) -> bool {
        let small = answer.len() <= self.client.settings.max_checked_output;
        let schema = tool.output.as_ref().filter(|_| small);
        schema.is_some_and(|schema| entry.output(schema, tool).surely_fits(answer))
    }

    /// Flags a structured answer that breaks the tool's own output schema.
    fn checked(&self, tool: &Tool, entry: &Entry, result: ToolResult, status: u16) -> ToolResult {
        let (Some(schema), Some(structured)) = (&tool.output, &result.structured_content) else {
            return result;
        };
        if structured.get().len() > self.client.settings.max_checked_output {
            return result;
        }
        let check = entry.output(schema, tool);
        match check.first_problem(structured.get()) {
            None => result,
            Some(problem) => result.mismatched(
                status,
                &format!("its document promises something else ({problem})"),
            ),
        }
    }
}

#[async_trait]
impl Upstream for NativeApi {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        Ok(planned_tools(&self.set))
    }

    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let (tool, entry) = self.find(tool)?;
        let context = CallContext::default();
        let outcome = self.exchange(tool, entry, arguments, context).await;
        self.written(tool, entry, outcome)
    }

    async fn call_in(
        &self,
        tool: &str,
        arguments: &Arguments<'_>,
        context: CallContext<'_>,
    ) -> Result<CallResult> {
        let (tool, entry) = self.find(tool)?;
        let outcome = self.exchange(tool, entry, arguments, context).await;
        self.written(tool, entry, outcome)
    }

    fn call_limit(&self) -> Option<Duration> {
        // Whoever waits for a token may wait for those who asked before.
        let bounded = !self.access.gets_tokens();
        bounded.then_some(self.client.settings.timeout)
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        // A changed plan is a new revision of the server, and a new value of this type.
        stream::pending().boxed()
    }

    /// The API is told nothing; a login that is being renewed is waited for.
    async fn close(&self) {
        self.access.settle().await;
    }
}

impl Done {
    /// What a status says of the API: that somebody before it cannot reach it, or that it is not able
    /// to do anything now (RFC 9110, 15.6.3 to 15.6.5).
    fn trouble_of(answer: &HttpAnswer) -> Option<Box<str>> {
        let status = answer.status;
        matches!(status, 502..=504).then(|| format!("HTTP {status}").into())
    }
}

impl Entry {
    fn output(&self, schema: &Schema, tool: &Tool) -> &Check {
        self.output
            .get_or_init(|| Check::new(schema, tool.name.as_str()))
    }
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        Self::Done(done)
    }
}

impl From<ToolResult> for Done {
    fn from(result: ToolResult) -> Self {
        Self {
            result,
            room: Room::NONE,
            trouble: None,
        }
    }
}

impl From<Unanswered> for Done {
    fn from(unanswered: Unanswered) -> Self {
        let trouble = unanswered.trouble();
        Self {
            trouble,
            ..ToolResult::error(unanswered.text).into()
        }
    }
}

impl fmt::Debug for NativeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeApi")
            .field("api", &self.set.api.title)
            .field("host", &super::http::host(&self.base_url))
            .field("tools", &self.set.tools.len())
            .field("credentials", self.access.credentials())
            .finish_non_exhaustive()
    }
}

/// The URL of a result's content: what was asked, without user and password.
fn shown_url(url: &Url) -> Cow<'_, str> {
    if url.username().is_empty() && url.password().is_none() {
        return Cow::Borrowed(url.as_str());
    }
    let mut url = url.clone();
    // Only a URL that cannot have them refuses, and it has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Cow::Owned(url.into())
}

fn failure(error: &Error) -> ToolResult {
    ToolResult::error(if error.kind() == ErrorKind::InvalidInput {
        error.message().to_owned()
    } else {
        error.report()
    })
}

fn invalid(tool: &Tool, problems: &[String]) -> Error {
    let mut text = format!("Invalid arguments for {}:", tool.name);
    for problem in problems {
        text.push_str("\n- ");
        text.push_str(problem);
    }
    Error::invalid(text)
}

/// What a binding refuses, in the form of all other wrong arguments.
fn named(tool: &Tool, error: Error) -> Error {
    let argument = error
        .context()
        .find(|(key, _)| *key == "argument")
        .map(|(_, name)| name.to_owned());
    let problem = match argument {
        Some(argument) => format!("{argument}: {}", error.message()),
        None => error.message().to_owned(),
    };
    invalid(tool, &[problem])
}
