//! The commands that write files of a document: a project, a bundle, documentation.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mcphub_core::server::ServerName;
use url::Url;

use super::{DocumentArgs, ToolArgs};

/// `mcphub generate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub generate shop.yaml --target python --out shop-server
  mcphub generate shop-v2.yaml --target python --out shop-server    (keeps what you changed in it)

The files are yours to edit. What is generated again is merged into them line by line, against what
was generated before, which `.mcphub` in the folder keeps; files of your own are never touched, and
files that you removed stay away.")]
pub struct Generate {
    /// An OpenAPI document: a path or an http(s) URL
    #[arg(value_name = "SPEC")]
    pub spec: String,

    #[command(flatten)]
    pub document: DocumentArgs,

    #[command(flatten)]
    pub tools: ToolArgs,

    /// The language of the project
    #[arg(long, value_enum, value_name = "TARGET")]
    pub target: Language,

    /// The folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Name of the server; by default made from the document's title
    #[arg(long, value_name = "NAME")]
    pub name: Option<ServerName>,

    /// The API's base URL that the project uses by default
    #[arg(long, value_name = "URL")]
    pub base_url: Option<Url>,

    /// A folder of templates in place of the target's own, by their names (minijinja), such as
    /// `project/README.md.j2`; a wrong name tells the right ones
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,

    /// Overwrite files that were edited since they were generated, and bring back removed ones
    #[arg(long, conflicts_with = "mark_conflicts")]
    pub force: bool,

    /// Where an edit and the new generation change the same lines, write both between conflict
    /// markers [default: write nothing, and name the lines]
    #[arg(long)]
    pub mark_conflicts: bool,
}

/// `mcphub bundle`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub bundle shop-server                 (a folder that `mcphub generate` wrote)
  mcphub bundle shop.yaml --secret-env apiKey=SHOP_KEY --out shop.mcpb
  mcphub bundle shop.yaml --include tag=books --read-only

A Python project is packed as it is: the client brings uv. A TypeScript project is packed as it was
built: run `npm ci && npm run build` in it first; a Rust project is packed for this platform: run
`cargo build --release` in it first. A document is packed with this program, for this platform, and
served with `up --stdio`. The client asks its user for the secrets.")]
pub struct Bundle {
    /// The folder of a generated project, or a document: a path or an http(s) URL
    #[arg(value_name = "PROJECT|SPEC")]
    pub source: String,

    /// The file to write, in place of one that is there [default: NAME.mcpb]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Of a document: name of the server; by default made from the document's title
    #[arg(long, value_name = "NAME")]
    pub name: Option<ServerName>,

    #[command(flatten)]
    pub document: DocumentArgs,

    #[command(flatten)]
    pub tools: ToolArgs,

    /// Of a document: where the API is, instead of what the document says
    #[arg(long, value_name = "URL")]
    pub base_url: Option<Url>,

    /// Of a document: the client asks for a bearer token, and the server gets it in this variable
    #[arg(long, value_name = "VAR")]
    pub bearer_env: Option<String>,

    /// Of a document: the client asks for the secret of a security scheme, and the server gets it in
    /// this variable; repeatable
    #[arg(long = "secret-env", value_name = "SCHEME=VAR")]
    pub secrets: Vec<String>,
}

/// `mcphub docs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub docs shop.yaml --out shop.html
  mcphub docs shop.yaml --format llms > llms.txt")]
pub struct Docs {
    /// An OpenAPI document: a path or an http(s) URL
    #[arg(value_name = "SPEC")]
    pub spec: String,

    #[command(flatten)]
    pub document: DocumentArgs,

    #[command(flatten)]
    pub tools: ToolArgs,

    /// What to write
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: DocsFormat,

    /// The file to write, in place of one that is there [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `--format` of `mcphub docs`.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum DocsFormat {
    /// One page that needs nothing beside itself, with a search
    #[default]
    Html,
    /// Markdown
    Markdown,
    /// An index of the tools for models
    Llms,
    /// The API as the tools call it, in OpenAPI (JSON)
    OpenapiJson,
    /// The same in YAML
    OpenapiYaml,
}

/// A language that projects are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// On the official Python SDK
    Python,
    /// On the official TypeScript SDK, for Node.js
    Typescript,
    /// On the official Rust SDK
    Rust,
}
