//! The tools of an HTTP API, as typed requests and as an MCP server.
//!
//! `tools` has a type for each tool; [`api::Api`] sends what they become. [`server::Server`] offers
//! them to MCP clients, and [`serving`] does so over stdio and over streamable HTTP.

pub mod about;
pub mod api;
mod body;
mod challenge;
pub mod choices;
pub mod cli;
pub mod credentials;
mod digest;
pub mod fields;
pub mod link;
mod multipart;
pub mod pages;
mod paths;
mod problems;
pub mod request;
mod rest;
pub mod result;
pub mod retry;
mod serialization;
pub mod server;
pub mod serving;
pub mod settings;
pub mod steps;
pub mod stream;
pub mod style;
pub mod tool;
pub mod tools;
mod validation;
mod xml;
