//! Commands about what is kept.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mcphub_core::audit::{Action, AuditHead};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::store::{ServerStatus, ToolPlace};
use mcphub_core::tenant::{Actor, TenantName};
use mcphub_core::tool::{ToolKind, ToolName};

use super::Format;
use super::key::span;

/// Where things are kept.
#[derive(Debug, Args, Default)]
pub struct StoreArgs {
    /// The store: a SQLite file, or postgres://USER:PASSWORD@HOST/DATABASE, which several nodes
    /// share [default: ./mcphub.db; with --stdio: kept in memory only]
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "MCPHUB_STORE",
        hide_env_values = true
    )]
    pub store: Option<String>,

    /// Whose servers; `mcphub tenant create` makes another one [default: default]
    #[arg(long, value_name = "NAME", env = "MCPHUB_TENANT")]
    pub tenant: Option<TenantName>,
}

/// What nodes share.
#[derive(Debug, Args, Default)]
pub struct SharedArgs {
    /// What the gateways over one store tell each other through, and count rates in: redis://HOST,
    /// rediss://HOST or postgres://HOST/DATABASE [default: the store when it is on a server; else
    /// nothing, and changes by other processes are found within half a second]
    #[arg(
        long,
        value_name = "URL",
        env = "MCPHUB_SHARED",
        hide_env_values = true
    )]
    pub shared: Option<String>,
}

/// `mcphub list`.
#[derive(Debug, Args)]
pub struct List {
    /// Those that are served in this way
    #[arg(long, value_enum, value_name = "HOW")]
    pub serve: Option<ServedHow>,

    /// Those whose name and title have words that begin with each of these
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// Those that have a tool of this name
    #[arg(long, value_name = "NAME")]
    pub tool: Option<ToolName>,

    /// Those that have a tool of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<KindMode>,

    /// Those in this state
    #[arg(long, value_enum, value_name = "STATUS", default_value_t)]
    pub status: StatusMode,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub search`.
#[derive(Debug, Args)]
#[command(after_help = "\
Finds the tools of registered servers that have, in their name, title or description, a word that
begins with each word given. Those found by name and title come first. `getPet` and `get_pet` have
the words get and pet.")]
pub struct Search {
    /// What is looked for
    #[arg(required = true, value_name = "TEXT")]
    pub text: Vec<String>,

    /// Tools of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<KindMode>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,

    /// Those after this place, which the page before names
    #[arg(long, value_name = "PLACE")]
    pub after: Option<ToolPlace>,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `--kind`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindMode {
    /// Changes nothing
    ReadOnly,
    /// Changes something, and destroys nothing
    Additive,
    /// May destroy something
    Destructive,
}

impl From<KindMode> for ToolKind {
    fn from(mode: KindMode) -> Self {
        match mode {
            KindMode::ReadOnly => Self::ReadOnly,
            KindMode::Additive => Self::Additive,
            KindMode::Destructive => Self::Destructive,
        }
    }
}

/// `--status`.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum StatusMode {
    /// It is there
    #[default]
    Registered,
    /// It is there, and was planned by another version of mcphub
    Outdated,
    /// It was removed, and can be restored
    Removed,
}

impl From<StatusMode> for ServerStatus {
    fn from(mode: StatusMode) -> Self {
        match mode {
            StatusMode::Registered => Self::Registered,
            StatusMode::Outdated => Self::Outdated,
            StatusMode::Removed => Self::Removed,
        }
    }
}

/// `--serve` of `mcphub list`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ServedHow {
    /// APIs that the gateway calls itself
    Native,
    /// APIs whose generated project runs as a local process
    Process,
    /// MCP servers at a URL
    Remote,
    /// MCP servers that the gateway starts
    Stdio,
}

impl From<ServedHow> for Serve {
    fn from(how: ServedHow) -> Self {
        match how {
            ServedHow::Native => Self::Native,
            ServedHow::Process => Self::Process,
            ServedHow::Remote => Self::Remote,
            ServedHow::Stdio => Self::Stdio,
        }
    }
}

/// `mcphub remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The name of the server
    pub name: ServerName,

    /// Delete it for good, with its documents and credentials, also when it was removed before
    #[arg(long)]
    pub purge: bool,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// `mcphub restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The name of the server
    pub name: ServerName,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// `mcphub history`.
#[derive(Debug, Args)]
pub struct History {
    /// The name of the server
    pub name: ServerName,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The name of the server
    pub name: ServerName,

    /// The revision whose document is wanted, as `mcphub history` lists it
    pub revision: u64,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// `mcphub audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Show what was changed, and which calls were noted, the last first
    List(AuditList),
    /// Write all of it as JSON lines, the first change first
    Export(AuditExport),
    /// Find entries that were altered, dropped or reordered
    Verify(AuditVerify),
    /// Remove the oldest entries, and note that
    Prune(AuditPrune),
}

/// `mcphub audit list`.
#[derive(Debug, Args)]
pub struct AuditList {
    /// By this actor, such as cli:ada or key:ci
    #[arg(long, value_name = "ACTOR", value_parser = actor)]
    pub actor: Option<Actor>,

    /// Of this kind, such as server.save, or tool.call with `[audit]` in the configuration
    #[arg(long, value_name = "ACTION", value_parser = action)]
    pub action: Option<Action>,

    /// Of this, such as server:petstore or tool:petstore/addPet
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,

    /// At or after this time (RFC 3339, such as 2026-11-21T10:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,

    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<i64>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,

    /// Those before the entry of this number
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub audit export`.
#[derive(Debug, Args)]
pub struct AuditExport {
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
It prints where the log ends, as NUMBER:HASH. Note that elsewhere, and give it with --anchor the next
time: whoever may write to the database can cut the end off, or write the whole log anew, and only
somebody who knows where it ended notices.")]
pub struct AuditVerify {
    /// An end of the log that was noted before
    #[arg(long, value_name = "NUMBER:HASH", value_parser = anchor)]
    pub anchor: Option<AuditHead>,

    /// Look at a file that `mcphub audit export` wrote, and not at the store
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub audit prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
What is left goes on from the last entry that is removed: an entry of the log keeps its number and
hash, and `mcphub audit verify` begins there. Keep what `mcphub audit export` writes, and the end that
`mcphub audit verify` prints, where nobody who writes to the store gets at them.

Gateways do it each hour with `keep_days` below [audit] in mcphub.toml.")]
pub struct AuditPrune {
    /// Remove what is older than this, such as 90d or 12h
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub older_than: i64,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub tenant`.
#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Make a tenant, with servers, credentials and an audit log of its own
    Create(TenantCreate),
    /// List the tenants
    List(TenantList),
}

/// `mcphub tenant create`.
#[derive(Debug, Args)]
pub struct TenantCreate {
    /// The name of the tenant
    pub name: TenantName,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub tenant list`.
#[derive(Debug, Args)]
pub struct TenantList {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

fn actor(text: &str) -> Result<Actor, String> {
    Actor::new(text).map_err(|error| error.to_string())
}

fn action(text: &str) -> Result<Action, String> {
    Ok(Action::from(text.to_owned()))
}

pub(super) fn time(text: &str) -> Result<i64, String> {
    let time = text.parse::<jiff::Timestamp>();
    time.map(jiff::Timestamp::as_millisecond)
        .map_err(|_| "a time is written as in RFC 3339, such as 2026-11-21T10:00:00Z".to_owned())
}

fn anchor(text: &str) -> Result<AuditHead, String> {
    let parts = text.split_once(':');
    let anchor = parts.and_then(|(sequence, hash)| {
        Some(AuditHead {
            sequence: sequence.parse().ok()?,
            hash: hash.parse().ok()?,
        })
    });
    anchor.ok_or_else(|| {
        "an anchor is NUMBER:HASH, as `mcphub audit verify` prints the end of a log".to_owned()
    })
}

/// `mcphub db`.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// Show what is in the database, and change nothing
    Status(DbStatus),
    /// Bring the schema up to date, which every other command does too
    Migrate(DbMigrate),
    /// Read everything, and say what is damaged or was tampered with
    Check(DbCheck),
    /// Make what is slow fast again: missing indexes, stale statistics, wasted room
    Optimize(DbOptimize),
    /// List the work that gateways have to do once
    Jobs(DbJobs),
    /// Write all of it into one file, to be imported elsewhere
    Export(DbExport),
    /// Take over what was exported, into a store that is empty
    Import(DbImport),
    /// Encrypt all credentials with a new key, while gateways go on
    RotateKey(DbRotateKey),
}

/// `mcphub db status`.
#[derive(Debug, Args)]
pub struct DbStatus {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub db jobs`.
#[derive(Debug, Args)]
pub struct DbJobs {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub db migrate`.
#[derive(Debug, Args)]
pub struct DbMigrate {
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub db check`.
#[derive(Debug, Args)]
pub struct DbCheck {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub db rotate-key`.
#[derive(Debug, Args)]
#[command(after_help = "\
Credentials are encrypted with a key that the database keeps, itself encrypted with the master key.
This makes a new one of the former and encrypts everything anew. What was broken off is finished the
next time.

To change the master key as well:
  in a key file     mcphub db rotate-key --new-master-key
                    (running gateways on this machine notice; back the new file up)
  in the environment  start the nodes with MCPHUB_MASTER_KEY=NEW,OLD, then run this with the same,
                    then start the nodes with NEW alone

A backup of the database from before needs the master key from before.")]
pub struct DbRotateKey {
    /// Make a new master key too, in the key file
    #[arg(long)]
    pub new_master_key: bool,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub db export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub db export hub.jsonl
  mcphub db import hub.jsonl --store postgres://hub:PASSWORD@db.example.com/hub

With credentials, under a key that is in neither store:
  export MOVE=$(openssl rand -hex 32)
  mcphub db export hub.jsonl --secrets-key-env MOVE
  mcphub db import hub.jsonl --secrets-key-env MOVE --store postgres://hub:PASSWORD@db.example.com/hub")]
pub struct DbExport {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Environment variable with the key that credentials are encrypted with (64 hex digits);
    /// without it they are left out
    #[arg(long, value_name = "VAR")]
    pub secrets_key_env: Option<String>,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub db import`.
#[derive(Debug, Args)]
pub struct DbImport {
    /// The file that `mcphub db export` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Environment variable with the key that the credentials are encrypted with
    #[arg(long, value_name = "VAR")]
    pub secrets_key_env: Option<String>,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub db optimize`.
#[derive(Debug, Args)]
pub struct DbOptimize {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Look for missing indexes only
    #[arg(long)]
    pub indexes_only: bool,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}
