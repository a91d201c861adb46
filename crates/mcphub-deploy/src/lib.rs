//! Builders and deployers: a project's source becomes something that can be started, and is kept
//! running.
//!
//! One module per place to run in, each with its builder and its deployer, behind a feature of the
//! same name. Backends return values; they never see a store, and the gateway never sees them. What
//! runs in such a place already is discovered there, too.

#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
mod labels;
#[cfg(all(feature = "process", unix))]
pub mod process;
