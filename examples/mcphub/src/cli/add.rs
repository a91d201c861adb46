//! `mcphub add`.

use std::path::PathBuf;

use clap::Args;
use mcphub_core::server::ServerName;
use url::Url;

use super::{SharedArgs, StoreArgs};

/// `mcphub add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub add tracker https://mcp.example.com/mcp --bearer-env TRACKER_TOKEN
  mcphub add files -- npx -y @modelcontextprotocol/server-filesystem /srv/files
  mcphub add search --env-from SEARCH_KEY -- search-server --key '${SEARCH_KEY}'
  mcphub add --from ~/.config/client/mcp.json           (all of a client's servers)

A server is met and asked for its tools before it is registered; one that does not answer is
registered with --no-probe only. A running gateway over the same store serves it within a second.
Adding a name again replaces it: give credentials each time.

A program runs with the rights of the gateway. It is started by the first call, shared by all
callers, started again when it ends, and ends with the gateway. It gets PATH, HOME, proxies and the
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
    pub program: ProgramArgs,

    /// How long one of its calls may take, 1 to 3600 [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// Register it without asking it for its tools, also when it cannot be reached
    #[arg(long)]
    pub no_probe: bool,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// What lets mcphub in at a server with a URL.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Servers with a URL")]
pub struct AccessArgs {
    /// A header for every request; repeatable
    #[arg(long = "header", value_name = "'K: V'")]
    pub headers: Vec<String>,

    /// Environment variable that holds a bearer token for the server
    #[arg(long, value_name = "VAR")]
    pub bearer_env: Option<String>,

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

    /// Where the program is started [default: where the gateway was started]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
}

/// A name and its value; an error shows neither, since the value may be a secret.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is NAME=VALUE".to_owned()),
    }
}
