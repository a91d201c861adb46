//! Call: arguments become an HTTP request, and its answer becomes a tool result.
//!
//! Pure functions over a [`Tool`](crate::tool::Tool)'s own binding, so that the gateway, the
//! command line and the language bindings all put the same bytes on the wire.

mod arguments;
mod body;
mod credential;
mod multipart;
mod request;
mod response;
mod style;
mod xml;

pub use arguments::Arguments;
pub use credential::needed;
pub use request::{Body, HttpRequest};
pub use response::{Content, EmbeddedResource, HttpAnswer, ToolResult};
