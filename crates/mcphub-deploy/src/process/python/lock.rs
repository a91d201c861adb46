//! One build of a thing at a time, over all processes of this machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use mcphub_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

use super::cannot_write;

/// How often a lock that somebody else holds is tried. Waiting in the kernel would hold a thread,
/// and could not be given up.
const PAUSE: Duration = Duration::from_millis(25);

/// A lock, held until it is dropped or its process ends. Its file stays: removing it would let a
/// third process lock a new file of the same name.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held open")] File);

impl Lock {
    /// Takes the lock of that name.
    ///
    /// # Errors
    /// `Timeout` when it is held until `deadline`, `Unavailable` when the folder cannot be written.
    pub async fn take(root: &Path, name: &str, deadline: Instant) -> Result<Self> {
        let folder = root.join("locks");
        let path = folder.join(name);
        let file = std::fs::create_dir_all(&folder)
            .and_then(|()| {
                OpenOptions::new()
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(&path)
            })
            .map_err(|error| cannot_write(&path, error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(cannot_write(&path, error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        "another build of the same did not end in time",
                    )
                    .with("lock", path.display()));
                }
                Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_by_one_and_given_back() {
        let root = tempfile::tempdir().unwrap();
        let soon = || Instant::now() + Duration::from_millis(60);
        let held = Lock::take(root.path(), "x", soon()).await.unwrap();
        assert!(Lock::take(root.path(), "y", soon()).await.is_ok());
        let error = Lock::take(root.path(), "x", soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        drop(held);
        assert!(Lock::take(root.path(), "x", soon()).await.is_ok());
    }
}
