//! Kubernetes: MCP servers behind the services of a cluster.
//!
//! | file | holds |
//! |---|---|
//! | `cluster` | which API server is asked, as whom, and what its answers mean |
//! | `service` | which server a service says that it is, as pure functions |
//! | `endpoints` | the pods that are ready behind services, as pure functions |
//! | `discovery` | what is there now, and that it changed, asked of the API server |

mod cluster;
mod discovery;
mod endpoints;
mod service;

pub use discovery::{KubernetesDiscovery, KubernetesSettings, Namespaces, Reach};

pub use crate::labels::{NAME, PATH, PORT, SERVER, TRANSPORT};
