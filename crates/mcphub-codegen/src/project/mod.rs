//! A rendered project goes to disk, and a later one replaces it without losing its owner's work.
//!
//! `manifest` is what a folder remembers of what was generated into it, `state` looks at what is
//! there now, `merge` brings an owner's edits and a new generation together, and `edits` says what
//! becomes of each file. Nothing is written before everything is known.

mod edits;
mod manifest;
mod merge;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::path::Path;

use mcphub_core::project::Project;
use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::archive::{self, Entry};
use edits::Edits;
pub use manifest::MANIFEST;
use manifest::{GENERATED, Manifest};

/// Options of [`write()`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// What becomes of the owner's edits. Default [`OnEdit::Merge`].
    pub on_edit: OnEdit,
}

/// What becomes of files that were changed, or removed, since they were generated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnEdit {
    /// Merges them with what is generated now; where both changed the same lines, nothing is written.
    #[default]
    Merge,
    /// The same, but the lines that both changed are written with both between conflict markers.
    MergeAndMark,
    /// Overwrites them, and writes into a folder that was not generated. Files that the project does
    /// not have stay.
    Overwrite,
}

/// What [`write()`] did, by path, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// New files, and files with new contents.
    pub written: Vec<String>,
    /// Files that had these contents already.
    pub unchanged: Vec<String>,
    /// Files with edits of their owner, into which what is new was merged.
    pub merged: Vec<String>,
    /// Files with edits of their owner for which nothing new was generated.
    pub edited: Vec<String>,
    /// Files that their owner removed, which stay away.
    pub missing: Vec<String>,
    /// Files of an earlier generation that the project no longer has.
    pub removed: Vec<String>,
    /// The same, but changed since, and therefore still there. They are their owner's from now on.
    pub kept: Vec<String>,
    /// Files that were written with conflict markers in them ([`OnEdit::MergeAndMark`]).
    pub conflicts: Vec<Conflict>,
}

/// A file in which its owner and the generator changed the same lines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// Its path.
    pub path: String,
    /// The owner's lines, counted from one; none where the file as a whole is the conflict.
    pub lines: Vec<RangeInclusive<usize>>,
}

/// Writes a project into a folder, which is made if need be.
///
/// A folder `.mcphub` in it remembers every file as it was generated. A file that is still so is
/// replaced, or removed when the project no longer has it. One that its owner changed keeps the
/// changes: what is new is merged into it, line by line, and where both changed the same lines
/// [`WriteOptions::on_edit`] decides. One that its owner removed stays away. Each file is replaced as
/// a whole: whoever reads meanwhile sees the old or the new one. An interrupted call can be repeated.
///
/// Files above 1 MiB and files that are no UTF-8 are not merged: a change of both is a conflict. A
/// symbolic link is never followed below `directory`: as a folder it is refused, as a file it counts
/// as changed and is itself what is replaced.
///
/// # Errors
/// `Conflict`, with nothing written, when both changed the same lines, when a file has conflict
/// markers of an earlier call, when the folder has files but was not generated, or when a folder
/// stands where a file has to go. `PermissionDenied`, `NotFound` and the like when the folder cannot
/// be written.
pub fn write(project: &Project, directory: &Path, options: &WriteOptions) -> Result<Written> {
    let force = options.on_edit == OnEdit::Overwrite;
    let old = Manifest::read(directory, force)?;
    if old.is_none() && !force {
        state::empty(directory)?;
    }
    let old = old.unwrap_or_default();
    let new: BTreeMap<&str, String> = project
        .files()
        .map(|(path, bytes)| (path, digest(bytes)))
        .collect();
    let edits = Edits::find(project, directory, &old, &new, options.on_edit)?;
    apply(project, directory, old, &new, &edits)?;
    Ok(edits.done)
}

fn apply(
    project: &Project,
    directory: &Path,
    mut old: Manifest,
    new: &BTreeMap<&str, String>,
    edits: &Edits,
) -> Result<()> {
    let at = |error: Error| {
        error
            .with("directory", directory.display())
            .during("project::write")
    };
    let done = &edits.done;
    fs::create_dir_all(directory)
        .map_err(|error| at(io_error("the folder cannot be made", error)))?;
    if !done.written.is_empty() || !done.removed.is_empty() {
        // Whoever repeats an interrupted call finds old and new files, and has to know both.
        old.announce(new, &done.removed);
        replace(directory, MANIFEST, &old.to_bytes()?).map_err(at)?;
    }
    for path in &done.written {
        if let Some(bytes) = project.file(path) {
            replace(directory, path, bytes).map_err(at)?;
        }
    }
    for (path, bytes) in &edits.merged {
        replace(directory, path, bytes).map_err(at)?;
    }
    for path in &done.removed {
        state::remove(directory, path).map_err(at)?;
    }
    let files = project
        .files()
        .map(|(path, bytes)| Entry::file(path, bytes));
    replace_changed(directory, GENERATED, &archive::write(files)?).map_err(at)?;
    replace_changed(directory, MANIFEST, &Manifest::of(new).to_bytes()?).map_err(at)
}

/// Puts a file in the place of another, unless it is the same.
fn replace_changed(directory: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    match state::find(directory, path)? {
        state::Found::File(found) if found == digest(bytes) => Ok(()),
        _ => replace(directory, path, bytes),
    }
}

/// Puts a file in the place of another in one step.
fn replace(directory: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let failed = |error| io_error("a file cannot be written", error).with("file", path);
    let target = directory.join(path);
    let folder = target.parent().unwrap_or(directory);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = new_file(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(&target)
        .map(drop)
        .map_err(|error| failed(error.error))
}

/// A file with the rights that new files usually have, not only its owner's.
fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mcphub-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn io_error(message: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => ErrorKind::Conflict,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, message).caused_by(error)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
