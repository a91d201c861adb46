//! Tools become the source of standalone MCP servers, one folder per language.
//!
//! A target computes a view model in which every name is legal and every text is a literal of its
//! language; its templates only put the parts together.

mod example;
pub mod python;
