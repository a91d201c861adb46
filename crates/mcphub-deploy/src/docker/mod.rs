//! Docker: MCP servers in containers.
//!
//! | file | holds |
//! |---|---|
//! | `container` | what is known of a container |
//! | `labels` | which server a container says that it is, as a pure function |
//! | `discovery` | what runs, asked of a daemon |

mod container;
mod discovery;
mod labels;

pub use discovery::{DockerDiscovery, DockerSettings, Reach};
pub use labels::NETWORK;

pub use crate::labels::{NAME, PATH, PORT, SERVER, TRANSPORT};
