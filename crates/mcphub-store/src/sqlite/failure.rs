//! What SQLite says, in words that help.

use mcphub_core::{Error, ErrorKind};
use sqlx::migrate::MigrateError;

use super::SqliteStore;

/// An [`Error`] that `?` also makes from SQLx's errors.
#[derive(Debug)]
pub(super) struct Failure(pub Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let (kind, message) = match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().and_then(|code| code.parse().ok());
                explain_code(code.unwrap_or(0))
            }
            sqlx::Error::PoolTimedOut => (
                ErrorKind::Unavailable,
                "the store is busy: too many wait for a connection".to_owned(),
            ),
            sqlx::Error::PoolClosed => {
                let message = "the store was closed".to_owned();
                return Self(Error::new(ErrorKind::Unavailable, message).set_retryable(false));
            }
            sqlx::Error::Io(_) => (
                ErrorKind::Unavailable,
                "the database cannot be reached".to_owned(),
            ),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => (
                ErrorKind::Internal,
                "the database holds a value that does not belong there".to_owned(),
            ),
            _ => (ErrorKind::Internal, "the database failed".to_owned()),
        };
        Self(Error::new(kind, message).caused_by(error))
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            other => {
                Self(Error::internal("the schema cannot be brought up to date").caused_by(other))
            }
        }
    }
}

/// Result codes: <https://www.sqlite.org/rescode.html>. The low byte is the primary one.
fn explain_code(code: i32) -> (ErrorKind, String) {
    let (kind, message) = match code & 0xff {
        5 | 6 => {
            let seconds = SqliteStore::BUSY_TIMEOUT.as_secs();
            return (
                ErrorKind::Unavailable,
                format!("another process kept the database locked for {seconds} seconds"),
            );
        }
        3 | 8 | 23 => (
            ErrorKind::PermissionDenied,
            "the database may not be written",
        ),
        7 => (ErrorKind::Unavailable, "there is no memory left"),
        10 => (
            ErrorKind::Unavailable,
            "the disk failed to read or write the database",
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
