//! Archives: all that a store keeps in one file, to be taken to another store, whatever its engine.
//!
//! An archive is JSON Lines. The first line says what it is, the last how many there are before it
//! and their SHA-256; between them all users, and each tenant, its documents, servers, roles,
//! members, API keys and audit log, in that order. `docs/archive.md` describes every member. It is written from one snapshot, and read
//! whole or not at all.

mod export;
mod import;
mod line;
mod people;

pub use export::Exported;
pub use import::Imported;

/// The version of the format.
const FORMAT: u32 = 1;

/// The longest line that is read, in bytes: a document of 64 MiB takes 86 MiB in base64.
const MAX_LINE: u64 = 256 << 20;
