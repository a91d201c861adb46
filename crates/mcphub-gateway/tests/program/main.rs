//! An MCP server over a channel of lines, played by the test.

mod calls;
mod relay;
mod stage;
