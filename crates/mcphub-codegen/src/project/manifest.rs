//! What a folder remembers of what was generated into it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use mcphub_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{io_error, state};

/// The file with the manifest, below the folder.
pub const MANIFEST: &str = ".mcphub/manifest.json";
/// An archive of the files as they were generated, which edits are merged against.
pub(super) const GENERATED: &str = ".mcphub/generated.zip";

/// The largest manifest that is read, and the largest archive, in bytes.
const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// Digests of generated files by path.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// For whoever opens it.
    #[serde(default)]
    about: String,
    files: BTreeMap<String, String>,
    /// Files that a generation that is under way, or was interrupted, has written or is to write.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pending: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of these files.
    pub(super) fn of(files: &BTreeMap<&str, String>) -> Self {
        Self {
            about: "SHA-256 of the files as mcphub generated them: one that still matches is replaced, one that does not is merged. Keep this folder with the project."
                .to_owned(),
            files: files.iter().map(|(path, digest)| ((*path).to_owned(), digest.clone())).collect(),
            pending: BTreeMap::new(),
        }
    }

    /// The manifest of a folder; `None` where there is none, or none that can be used and `force`.
    pub(super) fn read(directory: &Path, force: bool) -> Result<Option<Self>> {
        let failed = |error| {
            io_error("the folder cannot be read", error)
                .with("directory", directory.display())
                .during("project::write")
        };
        let path = directory.join(MANIFEST);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(metadata) if !metadata.is_file() => return damaged(directory, force),
            Ok(_) => {}
        }
        let Some(bytes) = state::read(directory, MANIFEST, MAX_SIZE)? else {
            return damaged(directory, force);
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(manifest) if manifest.paths().all(legal) => Ok(Some(manifest)),
            _ => damaged(directory, force),
        }
    }

    /// Whether a file was at this path when the last generation was done.
    pub(super) fn finished(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether a file at this path with this digest is as it was generated.
    pub(super) fn generated(&self, path: &str, digest: &str) -> bool {
        [&self.files, &self.pending]
            .iter()
            .any(|files| files.get(path).is_some_and(|known| known == digest))
    }

    /// Every path that was generated.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let pending = self
            .pending
            .keys()
            .filter(|path| !self.files.contains_key(*path));
        self.files.keys().chain(pending).map(String::as_str)
    }

    /// Adds the files that are about to be written, and takes out those that are about to be removed:
    /// where one of these is missing, it was not its owner who removed it.
    pub(super) fn announce(&mut self, files: &BTreeMap<&str, String>, removed: &[String]) {
        let Self {
            about,
            files: pending,
            ..
        } = Self::of(files);
        self.about = about;
        self.pending = pending;
        for path in removed {
            if let Some(digest) = self.files.remove(path) {
                self.pending.insert(path.clone(), digest);
            }
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal("the manifest cannot be written").caused_by(error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The archive of the files as they were generated; `None` where it cannot be read, so that nothing
/// can be merged.
pub(super) fn generated(directory: &Path) -> Option<Vec<u8>> {
    state::read(directory, GENERATED, MAX_SIZE).ok().flatten()
}

fn damaged(directory: &Path, force: bool) -> Result<Option<Manifest>> {
    if force {
        return Ok(None);
    }
    Err(Error::new(ErrorKind::Conflict, format!("{MANIFEST} is damaged, so nobody knows which files were changed; --force overwrites them"))
        .with("directory", directory.display())
        .during("project::write"))
}

/// The manifest is a file like any other: it must not lead out of the folder.
fn legal(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(['\\', '\0', ':'])
}
