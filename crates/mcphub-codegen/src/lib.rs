//! API documents become tools, and tools become projects.
//!
//! [`import`] makes a document of a collection of requests, [`overlay`] changes it, [`servers`] chooses
//! where it is called, [`openapi`] reads it, [`plan`] makes tools of it, [`targets`] render projects and [`docs`] documentation, [`doctor`]
//! says what to mend, and [`mock`] answers for the API: pure functions without I/O, clock or state.
//! [`project`] puts a rendered project on disk, and [`bundle`] packs one for desktop clients.

mod archive;
pub mod bundle;
pub mod docs;
pub mod doctor;
mod hash;
pub mod import;
mod json_size;
mod keyword;
pub mod mock;
pub mod openapi;
pub mod overlay;
pub mod plan;
pub mod project;
pub mod servers;
pub mod targets;
