//! What SQLite's result codes mean.

use mcphub_core::ErrorKind;

use super::BUSY_TIMEOUT;
use crate::sql::Explained;

pub(super) const DISK_TAKES_NO_WRITES: &str = "the disk takes no writes, as one that turned \
     read-only after an error (see dmesg); what is registered is served meanwhile, and changes work \
     again when the disk is mended, after a restart where it was mounted again";

/// Result codes: <https://www.sqlite.org/rescode.html>. The low byte is the primary one.
pub(crate) fn explain(code: i32) -> Explained {
    let (kind, message) = match code & 0xff {
        5 | 6 => {
            let seconds = BUSY_TIMEOUT.as_secs();
            return (
                ErrorKind::Unavailable,
                format!("another process kept the database locked for {seconds} seconds"),
            );
        }
        3 | 8 | 23 => (
            ErrorKind::PermissionDenied,
            "the database may not be written; changes work again when its file, folder and disk may be",
        ),
        7 => (ErrorKind::Unavailable, "there is no memory left"),
        // Of writing, syncing and cutting back: what a disk gives that turned read-only after an error.
        10 if matches!(code >> 8, 3..=6) => (ErrorKind::Unavailable, DISK_TAKES_NO_WRITES),
        10 => (
            ErrorKind::Unavailable,
            "the disk failed to read or write the database; see whether it is there and may be written",
        ),
        11 => (
            ErrorKind::Internal,
            "the database is damaged; restore it from a backup, or move it away and register again",
        ),
        13 => (
            ErrorKind::Unavailable,
            "the disk is full; make room, nothing that was acknowledged is lost",
        ),
        14 => (ErrorKind::Unavailable, "the database file cannot be opened"),
        18 => (
            ErrorKind::TooLarge,
            "a value is larger than SQLite can hold",
        ),
        26 => (ErrorKind::InvalidInput, "the file is not a SQLite database"),
        _ => (ErrorKind::Internal, "the database failed"),
    };
    (kind, message.to_owned())
}
