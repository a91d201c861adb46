//! Bundles that desktop clients install with a click: MCPB archives, manifest version 0.4.
//!
//! `manifest` says how a bundle is started and what a client asks its user for, `folder` packs a
//! generated project, and `native` packs a program that serves a document. The same input gives the
//! same bytes.

mod folder;
pub(crate) mod manifest;
mod native;

pub use folder::project;
pub use native::{Native, Secret, native};

/// What manifests call the platform that this program runs on: `darwin`, `linux`, `win32`.
pub fn platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}

/// A bundle, ready to be written to a file whose name ends in `.mcpb`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bundle {
    /// The name in its manifest.
    pub name: String,
    /// How many files are in it.
    pub files: usize,
    /// The archive.
    pub bytes: Vec<u8>,
}
