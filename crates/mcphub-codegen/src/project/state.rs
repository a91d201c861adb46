//! What is in a folder now.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::io_error;

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// A file with this SHA-256.
    File(String),
    /// A symbolic link.
    Link,
}

/// What stands at a path below the folder. No symbolic link is followed.
///
/// # Errors
/// `Conflict` when something that is no folder is on the way, or a folder or device is at the end.
pub(super) fn find(directory: &Path, path: &str) -> Result<Found> {
    let in_the_way = |what: &str, at: PathBuf| {
        Error::new(
            ErrorKind::Conflict,
            format!("{what} is in the way of a generated file; move it away"),
        )
        .with("path", at.display())
        .during("project::write")
    };
    let failed = |error| {
        io_error("a file cannot be read", error)
            .with("file", path)
            .during("project::write")
    };
    let mut at = directory.to_path_buf();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        let last = parts.peek().is_none();
        let kind = match fs::symlink_metadata(&at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(failed(error)),
            Ok(metadata) => metadata.file_type(),
        };
        match (last, kind.is_dir()) {
            (false, true) => {}
            (false, false) => return Err(in_the_way("something that is no folder", at)),
            (true, _) if kind.is_symlink() => return Ok(Found::Link),
            (true, _) if kind.is_file() => return digest(&at).map(Found::File).map_err(failed),
            (true, _) => return Err(in_the_way("something that is no file", at)),
        }
    }
    Ok(Found::Nothing)
}

/// The contents of a file below the folder; `None` where it is not there, is no plain file, or is
/// larger than `limit` bytes.
///
/// # Errors
/// As [`find`].
pub(super) fn read(directory: &Path, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    if !matches!(find(directory, path)?, Found::File(_)) {
        return Ok(None);
    }
    let failed = |error| io_error("a file cannot be read", error).with("file", path);
    let file = fs::File::open(directory.join(path)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Succeeds when the folder does not exist or has nothing in it.
///
/// # Errors
/// `Conflict` otherwise.
pub(super) fn empty(directory: &Path) -> Result<()> {
    let conflict = |message: &str| {
        Error::new(ErrorKind::Conflict, message)
            .with("directory", directory.display())
            .during("project::write")
    };
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(conflict("there is a file where the folder has to go"))
        }
        Err(error) => Err(io_error("the folder cannot be read", error)
            .with("directory", directory.display())
            .during("project::write")),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(conflict(
                "the folder has files in it that were not generated; choose another, or --force to write into it",
            )),
        },
    }
}

/// Removes a file, and the folders above it that are empty then.
pub(super) fn remove(directory: &Path, path: &str) -> Result<()> {
    let at = directory.join(path);
    match fs::remove_file(&at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("a file cannot be removed", error).with("file", path));
        }
        _ => {}
    }
    let above = at
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != directory);
    for folder in above {
        // One that is not empty stays, with all above it.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
