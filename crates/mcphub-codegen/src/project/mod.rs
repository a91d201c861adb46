//! A rendered project goes to disk, and a later one replaces it without losing its owner's work.
//!
//! `manifest` is what a folder remembers of what was generated into it, `state` compares that
//! with what is there now. Nothing is written before everything is known.

mod manifest;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use mcphub_core::project::Project;
use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

pub use manifest::MANIFEST;
use manifest::Manifest;
use state::{Found, find};

/// How many changed files an error names.
const MAX_NAMED: usize = 20;

/// Options of [`write()`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Overwrites files that were changed since they were generated, and writes into a folder that
    /// was not generated. Files that the project does not have stay. Default false.
    pub force: bool,
}

/// What [`write()`] did, by path, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// New files, and files with new contents.
    pub written: Vec<String>,
    /// Files that had these contents already.
    pub unchanged: Vec<String>,
    /// Files of an earlier generation that the project no longer has.
    pub removed: Vec<String>,
    /// The same, but changed since, and therefore still there. They are their owner's from now on.
    pub kept: Vec<String>,
}

/// Writes a project into a folder, which is made if need be.
///
/// A file `.mcphub.json` in it remembers the SHA-256 of every generated file. A file that still has
/// these contents is replaced, or removed when the project no longer has it; one that was changed
/// is not, unless [`WriteOptions::force`] says so. Each file is replaced as a whole: whoever reads
/// meanwhile sees the old or the new one. An interrupted call can be repeated.
///
/// A symbolic link is never followed below `directory`: as a folder it is refused, as a file it
/// counts as changed and is itself what is replaced.
///
/// # Errors
/// `Conflict`, with nothing written, when a file was changed, when the folder has files but was not
/// generated, or when a folder stands where a file has to go. `PermissionDenied`, `NotFound` and
/// the like when the folder cannot be written.
pub fn write(project: &Project, directory: &Path, options: &WriteOptions) -> Result<Written> {
    let old = Manifest::read(directory, options.force)?;
    if old.is_none() && !options.force {
        state::empty(directory)?;
    }
    let old = old.unwrap_or_default();
    let new: BTreeMap<&str, String> = project
        .files()
        .map(|(path, bytes)| (path, digest(bytes)))
        .collect();

    let mut done = Written::default();
    let mut changed = Vec::new();
    for (path, digest) in &new {
        match find(directory, path)? {
            Found::File(found) if found == *digest => done.unchanged.push((*path).to_owned()),
            Found::Nothing => done.written.push((*path).to_owned()),
            Found::File(found) if old.generated(path, &found) => {
                done.written.push((*path).to_owned())
            }
            Found::File(_) | Found::Link => {
                changed.push(*path);
                done.written.push((*path).to_owned());
            }
        }
    }
    if !changed.is_empty() && !options.force {
        return Err(conflict(directory, &changed));
    }
    for path in old.paths().filter(|path| !new.contains_key(path)) {
        match find(directory, path)? {
            Found::File(found) if old.generated(path, &found) => done.removed.push(path.to_owned()),
            Found::File(_) | Found::Link => done.kept.push(path.to_owned()),
            Found::Nothing => {}
        }
    }
    apply(project, directory, old, &new, &done)?;
    Ok(done)
}

fn apply(
    project: &Project,
    directory: &Path,
    mut old: Manifest,
    new: &BTreeMap<&str, String>,
    done: &Written,
) -> Result<()> {
    let at = |error: Error| {
        error
            .with("directory", directory.display())
            .during("project::write")
    };
    fs::create_dir_all(directory)
        .map_err(|error| at(io_error("the folder cannot be made", error)))?;
    if !done.written.is_empty() || !done.removed.is_empty() {
        // Whoever repeats an interrupted call finds old and new files, and has to know both.
        old.announce(new);
        replace(directory, MANIFEST, &old.to_bytes()?).map_err(at)?;
    }
    for path in &done.written {
        if let Some(bytes) = project.file(path) {
            replace(directory, path, bytes).map_err(at)?;
        }
    }
    for path in &done.removed {
        state::remove(directory, path).map_err(at)?;
    }
    replace(directory, MANIFEST, &Manifest::of(new).to_bytes()?).map_err(at)
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

fn conflict(directory: &Path, changed: &[&str]) -> Error {
    let mut names = changed
        .iter()
        .take(MAX_NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if changed.len() > MAX_NAMED {
        names.push_str(&format!(" and {} more", changed.len() - MAX_NAMED));
    }
    Error::new(
        ErrorKind::Conflict,
        format!("files were changed since they were generated: {names}; nothing was written; --force overwrites them"),
    )
    .with("directory", directory.display())
    .during("project::write")
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
