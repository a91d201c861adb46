//! Tools become the source of standalone MCP servers, one folder per language.
//!
//! A target computes a view model in which every name is legal and every text is a literal of its
//! language; its templates only put the parts together. What is the same in every language lies
//! beside the folders: the environment variables, the names, what a project says of its API, and
//! the example call that its tests make of each tool.

pub(crate) mod about;
mod arguments;
mod call_example;
mod client_config;
mod environment;
pub(crate) mod example;
mod names;
mod pieces;
pub mod python;
mod registry;
pub mod rust;
mod schema_file;
mod templates;
pub mod typescript;
pub(crate) mod version;

use schema_file::SchemaFile;
