//! API documents become tools, and tools become projects.
//!
//! [`openapi`] reads a document, [`plan`] makes tools of it, [`targets`] render projects: pure
//! functions without I/O, clock or state. [`project`] puts a rendered project on disk.

mod hash;
mod keyword;
pub mod openapi;
pub mod plan;
pub mod project;
pub mod targets;
