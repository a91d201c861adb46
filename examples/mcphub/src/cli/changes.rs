//! `mcphub changes`.

use clap::Args;
use mcphub_core::server::ServerName;

use super::{Format, SharedArgs, StoreArgs};

/// `mcphub changes`.
#[derive(Debug, Args)]
#[command(after_help = "\
Of an MCP server that exists already: what it lists now, against what was registered; --approve
registers what it lists now. Of an API: the tools of the document that is served, against those of
the document before, or of the one that came with a revision (`mcphub history` lists them).

Each tool is added, removed, described otherwise, compatible (each call that was possible is
possible), or breaking. `mcphub add --changes pin` keeps a server's tools as they were approved, and
`--changes quarantine` leaves those out that changed, until they are.")]
pub struct Changes {
    /// The server
    #[arg(value_name = "NAME")]
    pub name: ServerName,

    /// Of an API: the revision to compare with [default: that of the document before]
    #[arg(long, value_name = "REVISION")]
    pub since: Option<u64>,

    /// Take over what the server lists now
    #[arg(long, conflicts_with = "since")]
    pub approve: bool,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}
