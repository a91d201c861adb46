//! MCP servers behind one endpoint.

pub mod upstream;
