//! What has to be true of the path before SQLite sees it. SQLite alone would open a file that it
//! may not write for reading, and make new ones as open as the umask lets it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mcphub_core::{Error, ErrorKind, Result};

use super::failure::DISK_TAKES_NO_WRITES;
use crate::master_key::folder;

/// The first bytes of every database (SQLite file format, section 1.2).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A database file that is open, told apart from any other that comes to its place.
#[derive(Debug, Clone)]
pub(crate) struct OpenFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl OpenFile {
    pub(super) fn new(path: PathBuf) -> Result<Self> {
        let identity = identity(&path).map_err(|error| unusable("database file", &error))?;
        Ok(Self { path, identity })
    }

    /// That it is still in its place.
    pub(super) fn refuse_another(&self) -> Result<()> {
        self.in_its_place().map(drop)
    }

    /// That it is still in its place, and that it and its disk may be written. Who opened it before somebody
    /// made it read-only could go on writing, against the wish of whoever did.
    pub(crate) fn refuse_read_only(&self) -> Result<()> {
        if self.in_its_place()?.permissions().readonly() {
            let message = "the database file is read-only; what is registered is served meanwhile, and \
                           changes work again when it may be written (chmod u+w)";
            return Err(Error::new(ErrorKind::PermissionDenied, message));
        }
        if self.is_on_a_broken_disk() {
            return Err(Error::new(ErrorKind::Unavailable, DISK_TAKES_NO_WRITES));
        }
        Ok(())
    }

    /// That the disk took what it said that it took.
    pub(crate) fn refuse_broken_disk(&self) -> Result<()> {
        if self.is_on_a_broken_disk() {
            let message = "the disk turned read-only while the change was being saved, and it may be \
                           lost; changes work again when the disk is mended and mounted again, and \
                           mcphub restarted";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(())
    }

    /// ext4 that turns read-only after an error can answer a sync that is under way as if all were written,
    /// and gives up its journal before it refuses to open files for writing. So a time is noted, which makes
    /// it look at its journal, and then a file is opened. It is the log, because the process's locks are on
    /// the other files, and closing one of those would give them up.
    fn is_on_a_broken_disk(&self) -> bool {
        let open = || OpenOptions::new().write(true).open(log(&self.path));
        let noted = open().and_then(|log| log.set_modified(SystemTime::now()));
        let is_broken = |error: io::Error| error.kind() == io::ErrorKind::ReadOnlyFilesystem;
        noted.is_err_and(is_broken) || open().is_err_and(is_broken)
    }

    fn in_its_place(&self) -> Result<fs::Metadata> {
        let file = fs::metadata(&self.path).ok();
        if let Some(file) = file.filter(|file| identity_of(file) == self.identity) {
            return Ok(file);
        }
        let message = "the database file was deleted or replaced while it was open; put it back, or \
                       restart mcphub";
        Err(Error::new(ErrorKind::Unavailable, message).set_retryable(false))
    }
}

/// The write-ahead log of a database.
fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    Ok(identity_of(&fs::metadata(path)?))
}

/// Where the file is on which disk. Elsewhere than on Unix an open file cannot be replaced.
fn identity_of(file: &fs::Metadata) -> (u64, u64) {
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt;
        (file.dev(), file.ino())
    };
    #[cfg(not(unix))]
    let identity = (0, u64::from(file.is_file()));
    identity
}

/// Makes the file and the folder it is in where they are missing, and checks that it can be
/// written and is a database or empty. Files that SQLite makes beside it take over its mode.
pub(super) fn prepare(path: &Path) -> Result<()> {
    make_folder(&folder(path))?;
    let file = match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).write(true).open(path)
        }
        other => other,
    };
    let file = file.map_err(|error| unusable("database file", &error))?;
    let mut head = Vec::with_capacity(MAGIC.len());
    match file.take(MAGIC.len() as u64).read_to_end(&mut head) {
        Ok(_) if head.is_empty() || head == MAGIC => Ok(()),
        Ok(_) => Err(Error::invalid(
            "the file is not a SQLite database; name another one, or move it away",
        )),
        Err(error) => Err(unusable("database file", &error)),
    }
}

/// One level only: a longer missing path is more likely a slip than a wish.
fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => Ok(()),
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::invalid(
            "the folder of the database does not exist, nor the one above it; make it first",
        )
        .with("folder", folder.display())),
        Err(error) => Err(unusable("folder of the database", &error)),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn unusable(what: &str, error: &io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, why) = match error.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            (ErrorKind::PermissionDenied, "may not be written")
        }
        Io::IsADirectory => (ErrorKind::InvalidInput, "is a folder; name a file in it"),
        Io::NotADirectory | Io::AlreadyExists => (ErrorKind::InvalidInput, "is below a file"),
        Io::InvalidFilename | Io::InvalidInput => (ErrorKind::InvalidInput, "has an illegal name"),
        Io::StorageFull | Io::QuotaExceeded => (ErrorKind::Unavailable, "finds the disk full"),
        _ => (ErrorKind::Unavailable, "cannot be opened"),
    };
    Error::new(kind, format!("the {what} {why}")).caused_by(io::Error::from(error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operating_system_says_keeps_its_kind() {
        for (io, kind) in [
            (io::ErrorKind::PermissionDenied, ErrorKind::PermissionDenied),
            (
                io::ErrorKind::ReadOnlyFilesystem,
                ErrorKind::PermissionDenied,
            ),
            (io::ErrorKind::StorageFull, ErrorKind::Unavailable),
            (io::ErrorKind::TimedOut, ErrorKind::Unavailable),
        ] {
            assert_eq!(unusable("file", &io.into()).kind(), kind);
        }
    }
}
