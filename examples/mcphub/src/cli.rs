//! The command line: what can be said, and the help that teaches it.

mod add;
mod changes;
mod discover;
mod document;
#[cfg(test)]
mod documented;
mod key;
mod login;
mod people;
mod project;
mod status;
mod store;
mod virtual_servers;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::shared::Rate;
use mcphub_gateway::AllowedHost;
use url::Url;

use crate::config::ToolsSetting;
use crate::size::Size;

pub use add::{Add, Transport};
pub use changes::Changes;
pub use discover::Discover;
pub use document::{ApiArgs, DocumentArgs, ToolArgs};
pub use key::*;
pub use login::{Login, Logout};
pub use people::*;
pub use project::{Bundle, Docs, DocsFormat, Generate, Language};
pub use status::Status;
pub use store::*;
pub use virtual_servers::*;

/// Exit codes are listed in `mcphub help` and in the README.
#[derive(Debug, Parser)]
#[command(name = "mcphub", version, about, long_about = None, after_long_help = EXIT_CODES)]
#[command(about = "Any HTTP API as an MCP server, and all of them behind one endpoint")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Say more on standard error; twice for everything. `RUST_LOG` overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  mcphub itself failed
  2  the command line or a configuration value is wrong
  3  the document cannot be used
  4  something named does not exist
  5  something is in the way: a port in use, a file that was edited
  6  something needed cannot be reached or is not installed
  7  the API answered the call with an error
  8  the audit log was tampered with";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all in one go: a small API, its tools, one call, an endpoint to connect to
    Demo(Demo),
    /// Serve APIs as MCP tools: register their documents and open an endpoint
    Up(Up),
    /// Put an MCP server that exists already behind the endpoint
    Add(Add),
    /// Look for MCP servers at addresses that you name
    Discover(Discover),
    /// Show what a document becomes: its tools, and what it gets wrong
    Inspect(Inspect),
    /// Call one tool of a document, without a gateway
    Call(Call),
    /// Write a standalone MCP server project for a document
    Generate(Generate),
    /// Write an .mcpb bundle that desktop clients install: of a generated project, or of a document
    Bundle(Bundle),
    /// Write documentation of the tools of a document
    Docs(Docs),
    /// Answer for the API of a document: a deterministic mock that checks its requests
    Mock(Mock),
    /// Serve what was registered before
    Serve(ServeArgs),
    /// Log in to the API of a registered server, with a browser or another device
    Login(Login),
    /// Forget a login of a registered server
    Logout(Logout),
    /// List the registered servers
    List(List),
    /// Show how the servers behind a running gateway are
    Status(Status),
    /// Find tools of the registered servers by words
    Search(Search),
    /// Remove a registered server
    Remove(Remove),
    /// Bring a removed server back
    Restore(Restore),
    /// List the documents that a server had
    History(History),
    /// Show how the tools of a server changed, and approve it
    Changes(Changes),
    /// Give a server a document again that it had before
    Rollback(Rollback),
    /// Virtual servers: chosen tools of several servers at an endpoint of their own
    #[command(subcommand)]
    Virtual(Virtual),
    /// What was changed, when and by whom
    #[command(subcommand)]
    Audit(Audit),
    /// API keys: who is let in by a gateway with `--auth keys`
    #[command(subcommand)]
    Key(Key),
    /// Users of the store: people and services
    #[command(subcommand)]
    User(User),
    /// Roles: what the members of a tenant may do
    #[command(subcommand)]
    Role(Role),
    /// Members of a tenant, each with a role
    #[command(subcommand)]
    Member(Member),
    /// Several organisations in one store
    #[command(subcommand)]
    Tenant(Tenant),
    /// The database: what is in it, its schema, its keys
    #[command(subcommand)]
    Db(Db),
}

/// `mcphub demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts a bookshop API on loopback, publishes its OpenAPI document, makes one call through the
endpoint, prints every step and stays up until Ctrl-C. Nothing is written to disk.")]
pub struct Demo {
    /// Address of the MCP endpoint; another port is taken when this one is in use
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000", value_parser = address)]
    pub listen: SocketAddr,
}

/// `mcphub up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub up https://api.example.com/openapi.json
  mcphub up billing.yaml --base-url http://127.0.0.1:9000 --bearer-env BILLING_TOKEN
  mcphub up a.yaml b.json --listen 127.0.0.1:9100
  mcphub up a.yaml --include tag=books --include method=GET --exclude path=/books/admin*
  mcphub up a.yaml --stdio                  (for a desktop client to start)

All servers answer at /mcp, their tools prefixed with the server's name; each one answers at
/mcp/NAME with its own names. What is registered stays in the store: `mcphub serve` brings it back,
and `mcphub up` in a second terminal changes what a running gateway over the same store serves.
No option is remembered from one `up` to the next: give credentials and --base-url each time.")]
pub struct Up {
    /// OpenAPI documents: paths or http(s) URLs, YAML or JSON
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<String>,

    /// Name of the server; by default made from the document's title
    #[arg(long, value_name = "NAME")]
    pub name: Option<ServerName>,

    #[command(flatten)]
    pub document: DocumentArgs,

    #[command(flatten)]
    pub tools: ToolArgs,

    #[command(flatten)]
    pub api: ApiArgs,

    /// Address to listen on
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8000",
        value_parser = address,
        conflicts_with = "stdio"
    )]
    pub listen: SocketAddr,

    /// Another name under which requests may come: HOST or HOST:PORT, such as that of a proxy; `*`: any.
    /// Repeatable [default: those of loopback at such an address, any elsewhere]
    #[arg(long = "allow-host", value_name = "HOST", conflicts_with = "stdio")]
    pub allow_hosts: Vec<AllowedHost>,

    /// Who is let in: everybody, or who shows an API key [default: none]
    #[arg(long, value_enum, value_name = "WHO", conflicts_with = "stdio")]
    pub auth: Option<Auth>,

    /// Who makes the HTTP requests
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub serve: ServeMode,

    /// Serve over standard input and output instead of HTTP; logs go to standard error
    #[arg(long)]
    pub stdio: bool,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// `--serve`.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum ServeMode {
    /// The gateway itself
    #[default]
    Native,
    /// A generated Python project, run as a supervised local process
    Process,
}

impl From<ServeMode> for Serve {
    fn from(mode: ServeMode) -> Self {
        match mode {
            ServeMode::Native => Self::Native,
            ServeMode::Process => Self::Process,
        }
    }
}

/// `--format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs; the form is in docs/output.md and stays
    Json,
}

/// `mcphub inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// An OpenAPI document: a path or an http(s) URL
    #[arg(value_name = "SPEC")]
    pub spec: String,

    #[command(flatten)]
    pub document: DocumentArgs,

    #[command(flatten)]
    pub tools: ToolArgs,

    /// Say what to mend instead: what the tools cost in tokens, what models and clients stumble over
    #[arg(long)]
    pub doctor: bool,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub call`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub call shop.yaml list_books --args '{\"limit\": 2}'
  mcphub call shop.yaml create_order --args @order.json --dry-run

`mcphub inspect SPEC` lists the tools and their arguments. What `mcphub login` keeps for a server that
was registered from the same document is used, and renewed where it is kept.")]
pub struct Call {
    /// An OpenAPI document: a path or an http(s) URL
    #[arg(value_name = "SPEC")]
    pub spec: String,

    /// The name of the tool
    #[arg(value_name = "TOOL")]
    pub tool: String,

    /// The arguments: a JSON object, or @FILE
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub args: String,

    #[command(flatten)]
    pub document: DocumentArgs,

    #[command(flatten)]
    pub tools: ToolArgs,

    #[command(flatten)]
    pub api: ApiArgs,

    #[command(flatten)]
    pub store: StoreArgs,

    /// Print the HTTP request, secrets redacted, and send nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How to print the answer; a dry run always prints JSON
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub mock`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub mock shop.yaml
  curl http://127.0.0.1:4010/v1/books -H 'Prefer: code=404'
  mcphub mock shop.yaml --record calls.har      (passes requests on to the API and writes them down)
  mcphub mock shop.yaml --replay calls.har      (answers as the API did)

A request is held against the document: its path, parameters, body, and whether it shows a
credential. A right one is answered with the document's example, or with one made from the schema,
always the same. `Prefer: code=N` asks for another answer of the document.

A recording is an HTTP archive (HAR 1.2), as browsers write it, too. Credentials are taken out of it,
and what an API key, token or password was anywhere else. A request is answered with what was recorded
for the same method, path, query and body, whatever its credentials; a repeated one in order.")]
pub struct Mock {
    /// An OpenAPI document: a path or an http(s) URL
    #[arg(value_name = "SPEC")]
    pub spec: String,

    #[command(flatten)]
    pub document: DocumentArgs,

    /// Pass requests on to the API, and write them and the answers to a new file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,

    /// Answer with what was recorded
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,

    /// Where the API is that is recorded, instead of what the document says
    #[arg(long, value_name = "URL")]
    pub base_url: Option<Url>,

    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010", value_parser = address)]
    pub listen: SocketAddr,

    /// Another name under which requests may come: HOST or HOST:PORT, such as that of a proxy; `*`: any.
    /// Repeatable [default: those of loopback at such an address, any elsewhere]
    #[arg(long = "allow-host", value_name = "HOST")]
    pub allow_hosts: Vec<AllowedHost>,

    /// Wait so many milliseconds before each answer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency: u64,

    /// Answer each Nth request with 503
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub fail_every: Option<u64>,
}

/// `mcphub serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
The configuration is TOML. Everything is optional; these are the defaults:

  listen = \"127.0.0.1:8000\"
  metrics_listen = \"127.0.0.1:9464\"  # GET /metrics, /healthz for operators; default none
  store = \"./mcphub.db\"
  tenant = \"default\"
  key_file = \"./mcphub.key\"      # beside the store; MCPHUB_MASTER_KEY comes first
  cache_dir = \"~/.cache/mcphub\"  # builds of generated projects
  auth = \"none\"                  # or \"keys\": who shows an API key is let in
  allowed_origins = []           # browser origins besides loopback
  allowed_hosts = []             # names of the gateway, such as \"hub.example.com\", besides those of
                                 # loopback, --public-url and allowed_origins; \"*\": any
  shared = \"redis://HOST\"        # what nodes share; default: a store on a server
  rate_limit = \"100/s\"           # for each client address; default none
  rate_burst = 100               # requests at once; default as many as the rate counts
  trusted_proxies = []           # networks such as \"10.0.0.0/8\" whose X-Forwarded-For counts
  [audit]                        # calls = \"off\", \"writes\" or \"all\"; when_full = \"drop\" or \"wait\";
                                 # keep_days = 365, after which an entry is removed; default never
  [servers.NAME]                 # MCP servers to register, as `mcphub add` does: url, headers,
                                 # bearer_env or command, args, env, env_from; transport, era,
                                 # per_session; default none
  [[discover]]                   # docker = \"default\": containers with labels, or
                                 # kubernetes = \"default\": services with labels; reach,
                                 # network, namespaces, host, every, grace; default none

`mcphub.toml` in the working directory is read when --config is not given.")]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address to listen on, before what the configuration says
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,

    /// Another name under which requests may come: HOST or HOST:PORT, such as that of a proxy; `*`: any.
    /// Repeatable [default: those of loopback at such an address, any elsewhere]
    #[arg(long = "allow-host", value_name = "HOST")]
    pub allow_hosts: Vec<AllowedHost>,

    /// The URL at which others reach the gateway, such as https://hub.example.com. It says who calls in
    /// that name, with keys at /.well-known/jwks.json below it (`mcphub add --exchange`), and users log in
    /// there to servers of `mcphub add --per-user`
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Url>,

    /// Address for operators: GET /metrics (OpenMetrics) and GET /healthz with all servers; whoever
    /// reaches it reads them [default: none]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub metrics_listen: Option<SocketAddr>,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,

    /// Who is let in: everybody, or who shows an API key [default: none]
    #[arg(long, value_enum, value_name = "WHO")]
    pub auth: Option<Auth>,

    /// Whether clients are listed all tools, or three with which they find the others; a client
    /// chooses for itself with `?tools=all` or `?tools=search` in its URL [default: all]
    #[arg(long, value_enum, value_name = "HOW")]
    pub tools: Option<ToolsSetting>,

    /// How much of answers is kept, to be given again as far as APIs and MCP servers allow that: a
    /// number with KiB, MiB or GiB [default: none is]
    #[arg(long, value_name = "SIZE")]
    pub cache: Option<Size>,

    /// How often one client address may ask: COUNT/s, /m, /h or /d; more is answered with 429
    #[arg(long, value_name = "RATE")]
    pub rate_limit: Option<Rate>,

    /// How many requests of its rate a client may make at once [default: as many as the rate counts]
    #[arg(long, value_name = "N", requires = "rate_limit", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_burst: Option<u32>,
}

/// An address to listen on. Names other than `localhost` would have to be looked up.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        "an address is IP:PORT, such as 127.0.0.1:8000 or [::1]:8000; port 0 takes any that is free"
            .to_owned()
    })
}
