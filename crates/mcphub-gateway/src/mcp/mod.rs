//! The protocol of clients: tools, in both eras of MCP, over streamable HTTP and stdio.
//!
//! A message is read as raw text ([`message`]), its revision is found ([`revision`], [`meta`]),
//! and one of the methods answers it ([`methods`]). The transports ([`http`], [`stdio`]) only carry
//! messages: everything that is the same on both is above them.

mod error;
pub(crate) mod http;
mod listen;
mod message;
mod meta;
mod methods;
mod reply;
mod revision;
pub(crate) mod session;
pub(crate) mod stdio;
