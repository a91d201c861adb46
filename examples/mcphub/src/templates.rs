//! Templates from a folder.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use mcphub_core::{Error, ErrorKind, Result};

/// How many files are read, how deep, and how large each may be in bytes.
const MAX_FILES: usize = 1_000;
const MAX_DEPTH: usize = 8;
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// Every file below a folder, by its path there, sorted. Names that begin with a dot are left out.
///
/// # Errors
/// `NotFound` and `PermissionDenied` for what cannot be read, `InvalidInput` for what is no text,
/// `TooLarge` beyond 1,000 files, 8 folders deep, or 4 MiB in one file.
pub fn read(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    collect(folder, "", 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<(String, String)>,
) -> Result<()> {
    let failed = |error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::PermissionDenied,
        };
        Error::new(kind, "a template cannot be read")
            .with("folder", folder.display())
            .caused_by(error)
    };
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            "there are too many templates, or too large ones",
        )
    };
    if depth > MAX_DEPTH {
        return Err(too_large());
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let path = format!("{prefix}{name}");
        if entry.file_type().map_err(failed)?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth + 1, found)?;
            continue;
        }
        let mut text = String::new();
        let file = fs::File::open(entry.path()).map_err(failed)?;
        file.take(MAX_SIZE + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > MAX_SIZE || found.len() >= MAX_FILES {
            return Err(too_large());
        }
        found.push((path, text));
    }
    Ok(())
}
