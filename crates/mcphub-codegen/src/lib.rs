//! API documents become tools, and tools become projects.
//!
//! [`openapi`] reads a document, [`plan`] makes tools of it, [`targets`] render projects. All pure
//! functions: no I/O, no clock, no state.

mod hash;
mod keyword;
pub mod openapi;
pub mod plan;
pub mod project;
pub mod targets;
