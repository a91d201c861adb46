//! Call: arguments become an HTTP request, and its answer becomes a tool result.
//!
//! Pure functions over a [`Tool`](crate::tool::Tool)'s own binding, so that the gateway, the
//! command line and the language bindings all put the same bytes on the wire.

mod arguments;
mod body;
mod credential;
mod fields;
mod link;
mod multipart;
mod page;
mod request;
mod response;
mod style;
mod wanted;
mod xml;

pub use arguments::Arguments;
pub use credential::needed;
pub use fields::{Fields, MAX_FIELDS, Picked};
pub use page::{Next, PageRequest, Pages, Stop};
pub use request::{Body, HttpRequest};
pub use response::{Content, Cut, EmbeddedResource, HttpAnswer, ToolResult};
pub use wanted::Wanted;
