//! `mcphub virtual`: selections of what several servers have.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mcphub_core::server::ServerName;

use super::{Format, SharedArgs, StoreArgs};

/// `mcphub virtual`.
#[derive(Debug, Subcommand)]
pub enum Virtual {
    /// Make a virtual server, or change it; running gateways serve it within a second
    Add(VirtualAdd),
    /// List the virtual servers that the store keeps
    List(VirtualList),
    /// Show what a virtual server selects and changes
    Show(VirtualShow),
    /// Remove a virtual server; its servers stay
    Remove(VirtualRemove),
}

/// `mcphub virtual add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub virtual add desk --from desk.toml
  mcphub virtual add desk --from desk.json --revision 7

The file has what `[virtual.NAME]` has in mcphub.toml, as TOML or JSON:

  instructions = \"Orders and tickets.\"
  tools = [\"shop/get*\", \"tracker/create_ticket\"]   # also shop/tag=, method= and path=
  prompts = [\"tracker/*\"]
  resources = [\"docs/file:///handbook/*\"]
  [change.\"tracker/create_ticket\"]
  name = \"report\"
  preset = { queue = \"desk\" }
  hidden = [\"assignee\"]

It answers at /mcp/NAME, which no server may have as its name.")]
pub struct VirtualAdd {
    /// Its name
    pub name: ServerName,

    /// What it selects and changes: a TOML file, or one of JSON that ends in .json
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,

    /// Only if it still has this revision, as `mcphub virtual list` told it; 0 if it is to be new
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// `mcphub virtual list`.
#[derive(Debug, Args)]
pub struct VirtualList {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub virtual show`.
#[derive(Debug, Args)]
pub struct VirtualShow {
    /// Its name
    pub name: ServerName,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it; as JSON, `definition` is what `mcphub virtual add --from` reads
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub virtual remove`.
#[derive(Debug, Args)]
pub struct VirtualRemove {
    /// Its name
    pub name: ServerName,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}
