//! MCP servers as the gateway meets them, over real sockets.

#![allow(missing_docs)]

#[path = "../bookshop/mod.rs"]
mod bookshop;
#[path = "../recording_api/mod.rs"]
mod recording_api;

mod connector;
mod limits;
mod official_server;
mod raw_server;
mod sse;
