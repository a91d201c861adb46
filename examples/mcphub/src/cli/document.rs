//! What is said of a document, its tools and its API, shared by several commands.

use std::path::PathBuf;

use clap::Args;
use mcphub_codegen::servers::ServerChoice;
use mcphub_core::Error;
use mcphub_core::tool::{Criterion, ListLimit, Profile, ToolChoices};
use url::Url;

/// How calls reach an API, shared by several commands.
#[derive(Debug, Args, Default)]
pub struct ApiArgs {
    /// Where the API is, instead of what the document says, also of single paths and operations
    #[arg(long, value_name = "URL")]
    pub base_url: Option<Url>,

    /// A header for every call; repeatable
    #[arg(long = "header", value_name = "'K: V'")]
    pub headers: Vec<String>,

    /// Environment variable that holds a bearer token for the API
    #[arg(long, value_name = "VAR")]
    pub bearer_env: Option<String>,

    /// A security scheme of the document and the environment variable that holds its secret
    /// (`user:password` for HTTP basic and digest); repeatable
    #[arg(long = "secret-env", value_name = "SCHEME=VAR")]
    pub secrets: Vec<String>,

    /// An OAuth 2 scheme and the environment variable that holds `id:secret` of a client, which gets
    /// its own tokens (client credentials); repeatable
    #[arg(long = "client-env", value_name = "SCHEME=VAR")]
    pub clients: Vec<String>,

    /// The scopes that the client of a scheme asks for, separated by spaces; repeatable
    #[arg(long = "client-scope", value_name = "SCHEME=SCOPES")]
    pub scopes: Vec<String>,

    /// Whether the client of a scheme exchanges tokens for whoever calls (RFC 8693), for what the gateway
    /// says of them: 'login=gateway', or 'login=gateway,audience=NAME,resource=URL,type=URI'. Needs
    /// `--auth keys` and --public-url; repeatable
    #[arg(long = "exchange", value_name = "SCHEME=gateway[,…]")]
    pub exchanges: Vec<String>,

    /// A client certificate to show to the API, with those that lead to its authority (PEM)
    #[arg(long, value_name = "FILE", env = "MCPHUB_CLIENT_CERT")]
    pub client_cert: Option<PathBuf>,

    /// The private key of the client certificate (PEM) [default: in the file of the certificate]
    #[arg(
        long,
        value_name = "FILE",
        env = "MCPHUB_CLIENT_KEY",
        requires = "client_cert"
    )]
    pub client_key: Option<PathBuf>,

    /// Certificates of authorities to trust besides the system's (PEM)
    #[arg(long, value_name = "FILE", env = "MCPHUB_CA_CERT")]
    pub ca_cert: Option<PathBuf>,
}

/// How a document is read, shared by several commands.
#[derive(Debug, Args, Default)]
pub struct DocumentArgs {
    /// An Overlay (1.0 to 1.2) to change the document with: a path or an http(s) URL; repeatable,
    /// applied in order
    #[arg(long = "overlay", value_name = "FILE")]
    pub overlays: Vec<String>,

    /// A folder or the beginning of a URL from which files may be read that the document refers to;
    /// repeatable [default: its own folder, or its own origin]
    #[arg(long = "allow-ref", value_name = "PREFIX")]
    pub allowed_references: Vec<String>,

    /// Which of the document's servers to call, instead of the first: its number, its URL as the
    /// document writes it, or its name
    #[arg(long, value_name = "N|URL")]
    pub server: Option<String>,

    /// A variable of the document's servers, in place of its default; repeatable
    #[arg(long = "server-variable", value_name = "NAME=VALUE", value_parser = variable)]
    pub server_variables: Vec<(String, String)>,
}

impl DocumentArgs {
    /// What is chosen of the document's servers.
    pub fn choice(&self) -> ServerChoice {
        let mut choice = ServerChoice::default();
        choice.server.clone_from(&self.server);
        choice.variables = self.server_variables.iter().cloned().collect();
        choice
    }

    /// Checks that the API's place is said once.
    ///
    /// # Errors
    /// `InvalidInput` when a base URL and a choice of the document's servers say it both.
    pub fn agree_with(&self, base_url: Option<&Url>) -> mcphub_core::Result<()> {
        if base_url.is_none() || self.choice().is_empty() {
            return Ok(());
        }
        Err(Error::invalid(
            "--base-url replaces all servers of the document; leave it out, or --server and --server-variable",
        ))
    }
}

/// Which operations become tools, shared by several commands.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Tools")]
pub struct ToolArgs {
    /// Offer only operations that match, KEY one of tag, group, method, path, id (operationId) and
    /// tool; `*` is any text; repeatable: of one KEY any has to match, of several KEYs each
    #[arg(long, value_name = "KEY=GLOB")]
    pub include: Vec<Criterion>,

    /// Offer no operation that matches; repeatable, and stronger than --include
    #[arg(long, value_name = "KEY=GLOB")]
    pub exclude: Vec<Criterion>,

    /// Offer only operations that read (GET, HEAD and what the document calls `readOnlyHint`)
    #[arg(long)]
    pub read_only: bool,

    /// The most bytes that the list of tools may have: a number, `document` (as many as the document
    /// has as JSON, at least 49152) or `none`; a larger list loses what matters least
    #[arg(long, value_name = "BYTES", default_value_t)]
    pub list_limit: ListLimit,

    /// What clients take of JSON Schema: `standard`; `inlined` has no references (Gemini); `plain` has
    /// no combinators either (Cursor)
    #[arg(long, value_name = "PROFILE", default_value_t)]
    pub profile: Profile,
}

impl ToolArgs {
    /// What the planner is told.
    pub fn choices(&self) -> ToolChoices {
        let mut choices = ToolChoices::default();
        choices.selection.include = self.include.clone();
        choices.selection.exclude = self.exclude.clone();
        choices.selection.read_only = self.read_only;
        choices.list_limit = self.list_limit;
        choices.profile = self.profile;
        choices
    }

    /// The same as arguments of a command line.
    pub fn to_arguments(&self) -> Vec<String> {
        let include = self.include.iter().map(|it| ("--include", it));
        let exclude = self.exclude.iter().map(|it| ("--exclude", it));
        let criteria = include.chain(exclude);
        let criteria = criteria.flat_map(|(option, it)| [option.to_owned(), it.to_string()]);
        let read_only = self.read_only.then(|| "--read-only".to_owned());
        let limit = (self.list_limit != ListLimit::default())
            .then(|| ["--list-limit".to_owned(), self.list_limit.to_string()]);
        let limit = limit.into_iter().flatten();
        let profile = (self.profile != Profile::default())
            .then(|| ["--profile".to_owned(), self.profile.to_string()]);
        let profile = profile.into_iter().flatten();
        criteria
            .chain(read_only)
            .chain(limit)
            .chain(profile)
            .collect()
    }
}

/// A name and its value.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a server variable is NAME=VALUE, such as region=eu".to_owned()),
    }
}
