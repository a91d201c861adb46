//! ZIP archives whose bytes depend on what is in them and on nothing else.

use std::io::{Cursor, Read as _, Write as _};

use mcphub_core::{Error, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, System, ZipArchive, ZipWriter};

/// Rights of a file, and of a program, in an archive.
const FILE: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// A file on its way into an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Relative, with `/`.
    pub(crate) path: &'a str,
    pub(crate) bytes: &'a [u8],
    /// Whether it can be run.
    pub(crate) program: bool,
}

impl<'a> Entry<'a> {
    pub(crate) fn file(path: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            path,
            bytes,
            program: false,
        }
    }
}

/// An archive of these files, in this order. No clock and no machine is in it: each file is of
/// 1980-01-01, the first day that the format knows.
pub(crate) fn write<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Result<Vec<u8>> {
    let failed = |error| Error::internal("an archive cannot be made").caused_by(error);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6))
        .last_modified_time(zip::DateTime::DEFAULT)
        .system(System::Unix);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let rights = if entry.program { PROGRAM } else { FILE };
        archive
            .start_file(entry.path, options.unix_permissions(rights))
            .map_err(failed)?;
        archive
            .write_all(entry.bytes)
            .map_err(|error| failed(error.into()))?;
    }
    Ok(archive.finish().map_err(failed)?.into_inner())
}

/// One file of an archive; `None` where it is not there, is larger than `limit` bytes, or cannot be
/// read.
pub(crate) fn file(archive: &[u8], path: &str, limit: u64) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).ok()?;
    let entry = archive.by_name(path).ok()?;
    let mut bytes = Vec::new();
    entry
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_gives_back_what_was_put_in() {
        let entries = [Entry::file("a/b.txt", b"one"), Entry::file("c", b"two")];
        let archive = write(entries).unwrap();

        assert_eq!(archive, write(entries).unwrap());
        assert_eq!(file(&archive, "a/b.txt", 3).as_deref(), Some(&b"one"[..]));
        assert_eq!(file(&archive, "a/b.txt", 2), None);
        assert_eq!(file(&archive, "d", 9), None);
        assert_eq!(file(b"no archive", "c", 9), None);
    }
}
