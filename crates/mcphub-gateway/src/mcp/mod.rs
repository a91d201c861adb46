//! The protocol of clients, in both eras of MCP, over streamable HTTP, stdio and HTTP+SSE.
//!
//! A message is read as raw text ([`message`]), its revision is found ([`revision`], [`meta`]),
//! and one of the methods answers it ([`methods`]), or a server does by itself, in a
//! [`conversation`]. The transports ([`http`], [`stdio`], and what keeps a client's [`connection`]) only carry
//! messages: everything that is the same on both is above them.

mod answer;
mod batch;
mod call;
mod caller;
pub(crate) mod cancel;
mod connection;
mod conversation;
mod error;
mod gathering;
pub(crate) mod http;
mod level;
mod listen;
mod login;
pub(crate) mod mark;
pub(crate) mod memory;
mod message;
mod meta;
mod methods;
pub(crate) mod questions;
mod reply;
mod result;
mod revision;
pub(crate) mod roots;
mod routing;
mod search;
pub(crate) mod session;
pub(crate) mod stdio;
pub(crate) mod touched;
mod trace;
mod watching;
mod wording;
