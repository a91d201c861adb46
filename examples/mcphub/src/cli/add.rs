//! `mcphub add`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mcphub_core::connection::{ChangePolicy, Era, Hedge, Limits, Replica, Zone};
use mcphub_core::secret::TokenExchange;
use mcphub_core::server::ServerName;
use serde::Deserialize;
use url::Url;

use super::{SharedArgs, StoreArgs};

/// `mcphub add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub add tracker https://mcp.example.com/mcp --bearer-env TRACKER_TOKEN
  mcphub add old https://mcp.example.com/sse --transport sse
  mcphub add files -- npx -y @modelcontextprotocol/server-filesystem /srv/files
  mcphub add search --env-from SEARCH_KEY -- search-server --key '${SEARCH_KEY}'
  mcphub add --from ~/.config/client/mcp.json           (all of a client's servers)

A server is met and asked for its tools before it is registered; one that does not answer is
registered with --no-probe only. A running gateway over the same store serves it within a second.
Adding a name again replaces it: give credentials each time.

A server that wants a login gets one afterwards:
  mcphub add tracker https://mcp.example.com/mcp --no-probe && mcphub login tracker

A program runs with the rights of the gateway. It is started by the first call, shared by all
callers (but with --per-session), started again when it ends, and ends with the gateway. It gets PATH, HOME, proxies and the
like, and the variables given here; all values are kept encrypted, arguments are not: write ${NAME}.")]
pub struct Add {
    /// The name: its tools begin with it, and it answers at /mcp/NAME. With --from: only this one
    #[arg(required_unless_present = "from")]
    pub name: Option<ServerName>,

    /// Where the server answers MCP. A query is kept as a secret
    pub url: Option<Url>,

    /// The program that is the server, after `--`, with its arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "url")]
    pub command: Vec<String>,

    /// A configuration of an MCP client, whose servers are all registered
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "command"])]
    pub from: Option<PathBuf>,

    #[command(flatten)]
    pub access: AccessArgs,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub program: ProgramArgs,

    /// Which era of MCP it is spoken to in: 2026-07-28 (modern), or those before. `legacy` is for a
    /// server of both whose tools ask their client in the way of before
    #[arg(long, value_enum, default_value_t)]
    pub era: EraArg,

    /// How long one of its calls may take until it is answered, or says something before its answer,
    /// and then until the next; 1 to 3600 [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// What becomes of tools that it lists otherwise later: `mcphub changes` shows and approves them
    #[arg(long, value_enum, value_name = "POLICY", default_value_t)]
    pub changes: ChangesMode,

    /// Register it without asking it for its tools, also when it cannot be reached
    #[arg(long)]
    pub no_probe: bool,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// `--changes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ChangesMode {
    /// They are taken over
    #[default]
    Follow,
    /// Its tools stay as they were approved
    Pin,
    /// Tools that are new or changed are left out until they are approved
    Quarantine,
}

impl From<ChangesMode> for ChangePolicy {
    fn from(mode: ChangesMode) -> Self {
        match mode {
            ChangesMode::Follow => Self::Follow,
            ChangesMode::Pin => Self::Pin,
            ChangesMode::Quarantine => Self::Quarantine,
        }
    }
}

/// What lets mcphub in at a server with a URL.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Servers with a URL")]
pub struct AccessArgs {
    /// How the server at the URL is reached: streamable HTTP, or HTTP+SSE of 2024-11-05
    #[arg(long, value_enum, value_name = "TRANSPORT", default_value_t)]
    pub transport: Transport,

    /// A header for every request; repeatable
    #[arg(long = "header", value_name = "'K: V'")]
    pub headers: Vec<String>,

    /// Another address of the same server, streamable HTTP and with the same credentials; repeatable.
    /// A weight is a percentage of the sessions, such as ',weight=5'; the others go where the fewest
    /// requests are
    #[arg(long = "replica", value_name = "URL[,weight=N][,zone=Z]")]
    pub replicas: Vec<Replica>,

    /// Where the server at the URL is: gateways in a zone call what is there first
    #[arg(long, value_name = "ZONE", requires = "replicas")]
    pub zone: Option<Zone>,

    /// Ask a second replica, too, where the first is slow: after such a time (50ms, 2s), or when it
    /// takes longer than 95 of 100 requests (p95). Only what is safe to repeat, and one in ten
    #[arg(long, value_name = "TIME", requires = "replicas")]
    pub hedge: Option<Hedge>,

    /// Environment variable that holds a bearer token for the server
    #[arg(long, value_name = "VAR")]
    pub bearer_env: Option<String>,

    /// Environment variable that holds `id:secret` of an OAuth 2 client, which gets access tokens
    /// from the --issuer and from no other (client credentials)
    #[arg(long, value_name = "VAR", requires = "issuer")]
    pub client_env: Option<String>,

    /// The scopes that the client asks for, separated by spaces [default: those that the server
    /// names]
    #[arg(long, value_name = "SCOPES", requires = "client_env")]
    pub client_scope: Option<String>,

    /// Let that client exchange tokens for whoever calls (RFC 8693): for what the gateway says of them
    /// ('gateway', which needs `mcphub serve --auth keys --public-url URL`), or for each user's login
    /// ('login', with --per-user). Also 'gateway,audience=NAME,resource=URL,type=URI'. Lists are read with
    /// the client's own token
    #[arg(long, value_name = "SUBJECT[,…]", requires = "client_env")]
    pub exchange: Option<TokenExchange>,

    /// The authorization server whose tokens let in [default: the one that the server names, when a
    /// person logs in]
    #[arg(long, value_name = "URL")]
    pub issuer: Option<Url>,

    /// Send with each call the login of its user: `mcphub login NAME --user USER`. Needs `mcphub
    /// serve --auth keys` and keys of users
    #[arg(long)]
    pub per_user: bool,

    /// A client certificate to show to the server, with those that lead to its authority (PEM)
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

/// How patient mcphub is with a server at a URL.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Limits of servers with a URL")]
pub struct LimitArgs {
    /// How long connecting may take, 1 to 60 [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub connect_timeout: Option<u64>,

    /// How long the headers of an answer may take, 1 to 3600 [default: as --timeout]
    #[arg(long, value_name = "SECONDS")]
    pub first_byte_timeout: Option<u64>,

    /// How long a streamed answer may be silent between two messages, 1 to 3600 [default: as
    /// --timeout]
    #[arg(long, value_name = "SECONDS")]
    pub idle_timeout: Option<u64>,

    /// How long a request may take with all that is said until its answer, besides the time in which
    /// its client is asked, 1 to 3600 [default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub total_timeout: Option<u64>,

    /// How many connections that are not in use are kept for each host, 0 to 1024, for at most 90 s
    /// [default: 1024]
    #[arg(long, value_name = "NUMBER")]
    pub max_idle_connections: Option<u32>,
}

impl From<&LimitArgs> for Limits {
    fn from(args: &LimitArgs) -> Self {
        let mut limits = Self::default();
        limits.connect_timeout = args.connect_timeout;
        limits.first_byte_timeout = args.first_byte_timeout;
        limits.idle_timeout = args.idle_timeout;
        limits.total_timeout = args.total_timeout;
        limits.max_idle_connections = args.max_idle_connections;
        limits
    }
}

/// What a program is started with.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Programs")]
pub struct ProgramArgs {
    /// A variable for the program; repeatable
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,

    /// A variable of this shell that the program gets, too, under its own name or another;
    /// repeatable
    #[arg(long = "env-from", value_name = "[NAME=]VAR")]
    pub inherited: Vec<String>,

    /// Start a program for each client's session, at most 16, besides one that lists: for programs
    /// of before 2026-07-28 that ask their client, or keep something for it
    #[arg(long)]
    pub per_session: bool,

    /// Where the program is started [default: where the gateway was started]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
}

/// How a server at a URL is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP, of MCP 2025-03-26 and later.
    #[default]
    Http,
    /// HTTP+SSE, of MCP 2024-11-05.
    Sse,
}

/// Which era of MCP a server is spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EraArg {
    /// As it answers.
    #[default]
    Auto,
    /// 2026-07-28.
    Modern,
    /// `initialize`, up to 2025-11-25.
    Legacy,
}

impl From<EraArg> for Era {
    fn from(era: EraArg) -> Self {
        match era {
            EraArg::Auto => Self::Auto,
            EraArg::Modern => Self::Modern,
            EraArg::Legacy => Self::Legacy,
        }
    }
}

/// A name and its value; an error shows neither, since the value may be a secret.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is NAME=VALUE".to_owned()),
    }
}
