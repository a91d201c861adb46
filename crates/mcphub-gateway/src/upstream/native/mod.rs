//! An HTTP API that the gateway calls itself, without a server in between.
//!
//! A call is checked against the tool's input schema, becomes an HTTP request through the tool's
//! own binding, and its answer becomes a tool result. Whatever goes wrong on the way is a tool
//! error that a model can act on.

mod address;
mod budget;
mod check;
mod exchange;
mod problem;
mod retry;
mod settings;
mod shape;
mod streamed;
mod token;
mod tree;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::{Arguments, HttpAnswer, HttpRequest, ToolResult, needed};
use mcphub_core::secret::{Credentials, SecretString};
use mcphub_core::spec::SecurityScheme;
use mcphub_core::tool::{Tool, ToolSet};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::time::Instant;
use url::Url;

pub(super) use self::budget::Room;
use self::check::Check;
use self::exchange::Allowance;
use self::token::{Client, Tokens};
use self::tree::Tree;
use super::{CallResult, Upstream, UpstreamTool, planned_tools};
pub use settings::{NativeClient, NativeSettings};

/// An HTTP API as an MCP server.
pub struct NativeApi {
    set: Arc<ToolSet>,
    base_url: Url,
    credentials: Credentials,
    client: NativeClient,
    tokens: Tokens,
    /// By name.
    entries: HashMap<Box<str>, Entry>,
}

/// An answer with the room that it takes, or why there is none.
type Sent = std::result::Result<(HttpAnswer, Room), String>;

/// One tool, with what its first call prepares for the later ones.
struct Entry {
    /// In the set.
    index: usize,
    input: OnceLock<Check>,
    output: OnceLock<Check>,
}

/// Credentials for one call.
struct Grants {
    credentials: Credentials,
    /// The tokens among them that earlier calls got, by scheme.
    cached: Vec<(String, SecretString)>,
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
        Ok(Self::with_client(
            set,
            base_url,
            credentials,
            NativeClient::new(settings)?,
        ))
    }

    /// As [`NativeApi::new`], over connections that are shared with other APIs.
    pub fn with_client(
        set: Arc<ToolSet>,
        base_url: Url,
        credentials: Credentials,
        client: NativeClient,
    ) -> Self {
        let entries = set.tools.iter().enumerate().map(|(index, tool)| {
            let entry = Entry {
                index,
                input: OnceLock::new(),
                output: OnceLock::new(),
            };
            (Box::from(tool.name.as_str()), entry)
        });
        Self {
            entries: entries.collect(),
            set,
            base_url,
            tokens: Tokens::new(&credentials),
            credentials,
            client,
        }
    }

    /// The request that a call of this tool makes, credentials included, but for tokens that a
    /// client would get first.
    ///
    /// # Errors
    /// `NotFound` for an unknown tool. `InvalidInput` when the arguments do not fit: the message
    /// begins with `Invalid arguments for NAME:` and has a line for each problem, at most ten.
    pub fn prepare(&self, tool: &str, arguments: &Arguments<'_>) -> Result<HttpRequest> {
        let (tool, entry) = self.find(tool)?;
        let mut request = self.request(tool, entry, arguments)?;
        self.authorize(tool, &mut request, &self.credentials);
        Ok(request)
    }

    /// Calls a tool. Ends within [`NativeSettings::timeout`], or twice that where an access token has
    /// to be got first, however often the request goes again because the API asks for it. Whatever
    /// goes wrong is a tool error.
    pub async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> ToolResult {
        match self.find(tool) {
            Ok((tool, entry)) => self.exchange(tool, entry, arguments).await.0,
            Err(error) => failure(&error),
        }
    }

    async fn exchange(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
    ) -> (ToolResult, Room) {
        if !tool.binding.answer.is_plain() {
            let shaped = Box::pin(self.shaped(tool, entry, arguments)).await;
            return shaped.unwrap_or_else(|error| (failure(&error), Room::NONE));
        }
        let request = match self.request(tool, entry, arguments) {
            Ok(request) => request,
            Err(error) => return (failure(&error), Room::NONE),
        };
        let url = request.url.clone();
        let allowance = Allowance::until(Instant::now() + self.client.settings.timeout);
        match self
            .answered(tool, entry, arguments, request, allowance)
            .await
        {
            Ok((answer, room)) => {
                let shown = shown_url(&url);
                let result = ToolResult::from_answer(&answer, tool.binding.output, &shown);
                (
                    self.checked(tool, entry, result, answer.status)
                        .once()
                        .noted(answer.cut),
                    room,
                )
            }
            Err(text) => (ToolResult::error(text), Room::NONE),
        }
    }

    /// Sends a request with its credentials.
    async fn send(&self, tool: &Tool, mut request: HttpRequest, allowance: Allowance) -> Sent {
        if self.credentials.clients.is_empty() {
            self.authorize(tool, &mut request, &self.credentials);
            return exchange::send(&self.client, request, allowance).await;
        }
        // Boxed, so that calls which need none of it carry none of it.
        Box::pin(self.send_with_tokens(tool, request, allowance)).await
    }

    /// Sends a request with access tokens. One whose token was refused, though it had been good
    /// before, goes again with a new one: the API did nothing (RFC 9110, 15.5.2).
    async fn send_with_tokens(
        &self,
        tool: &Tool,
        mut request: HttpRequest,
        allowance: Allowance,
    ) -> Sent {
        let first = self.granted(tool).await?;
        let mut again = request.clone();
        self.authorize(tool, &mut request, &first.credentials);
        let sent = exchange::send(&self.client, request, allowance).await?;
        if sent.0.status != 401 || first.cached.is_empty() {
            return Ok(sent);
        }
        // Its room goes back first: whoever holds some must not wait for more.
        drop(sent);
        for (scheme, token) in &first.cached {
            self.tokens.forget(scheme, token);
        }
        let second = self.granted(tool).await?;
        self.authorize(tool, &mut again, &second.credentials);
        exchange::send(&self.client, again, allowance).await
    }

    /// The credentials with the tokens that the operation needs.
    async fn granted(&self, tool: &Tool) -> std::result::Result<Grants, String> {
        let mut grants = Grants {
            credentials: self.credentials.clone(),
            cached: Vec::new(),
        };
        let schemes = &self.set.security_schemes;
        for scheme in needed(&tool.binding.security, schemes, &self.credentials) {
            let own = self.credentials.schemes.contains_key(scheme);
            if own || !self.credentials.clients.contains_key(scheme) {
                continue;
            }
            let Some(SecurityScheme::OAuth2 {
                token_url: Some(token_url),
            }) = schemes.get(scheme)
            else {
                return Err(format!(
                    "The document has no token endpoint for clients of `{scheme}`; give a token instead"
                ));
            };
            let client = Client {
                scheme,
                token_url,
                base_url: &self.base_url,
            };
            let granted = self.tokens.get(&client, &self.credentials, &self.client);
            let granted = granted.await?;
            if granted.cached {
                grants.cached.push((scheme.clone(), granted.token.clone()));
            }
            grants
                .credentials
                .schemes
                .insert(scheme.clone(), granted.token);
        }
        Ok(grants)
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

    fn authorize(&self, tool: &Tool, request: &mut HttpRequest, credentials: &Credentials) {
        request.authorize(
            &tool.binding.security,
            &self.set.security_schemes,
            credentials,
        );
    }

    /// Flags a structured answer that breaks the tool's own output schema.
    fn checked(&self, tool: &Tool, entry: &Entry, result: ToolResult, status: u16) -> ToolResult {
        let (Some(schema), Some(structured)) = (&tool.output, &result.structured_content) else {
            return result;
        };
        if structured.get().len() > self.client.settings.max_checked_output {
            return result;
        }
        let check = entry
            .output
            .get_or_init(|| Check::new(schema, tool.name.as_str()));
        // What nests too deep to be read is beyond what the schema could be held against.
        let Ok(value) = serde_json::from_str::<Tree<'_>>(structured.get()) else {
            return result;
        };
        match check.first_problem(&value) {
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
        let (result, room) = self.exchange(tool, entry, arguments).await;
        Ok(CallResult::of(&result)?.holding(room))
    }

    fn call_limit(&self) -> Option<Duration> {
        // Whoever waits for a token may wait for those who asked before.
        let bounded = self.credentials.clients.is_empty();
        bounded.then_some(self.client.settings.timeout)
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        // A changed plan is a new revision of the server, and a new value of this type.
        stream::pending().boxed()
    }
}

impl fmt::Debug for NativeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeApi")
            .field("api", &self.set.api.title)
            .field("host", &super::http::host(&self.base_url))
            .field("tools", &self.set.tools.len())
            .field("credentials", &self.credentials)
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
