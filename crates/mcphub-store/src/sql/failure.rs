//! What an engine says, in words that help.

use mcphub_core::{Error, ErrorKind};
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

/// An [`Error`] that `?` also makes from SQLx's errors.
#[derive(Debug)]
pub(crate) struct Failure(pub Error);

/// What an error code of an engine means: the kind, and what to say.
pub(crate) type Explained = (ErrorKind, String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let (kind, message) = match &error {
            sqlx::Error::Database(database) => explain(database.as_ref()),
            sqlx::Error::PoolTimedOut => (
                ErrorKind::Unavailable,
                "the store is busy or away: no connection was to be had in time".to_owned(),
            ),
            sqlx::Error::PoolClosed => {
                let message = "the store was closed".to_owned();
                return Self(Error::new(ErrorKind::Unavailable, message).set_retryable(false));
            }
            sqlx::Error::Io(_) => (
                ErrorKind::Unavailable,
                "the database cannot be reached".to_owned(),
            ),
            // Whatever ends a connection in its first words, such as a balancer whose server is away.
            sqlx::Error::Protocol(_) => (
                ErrorKind::Unavailable,
                "the connection to the database broke, or no database server is there".to_owned(),
            ),
            sqlx::Error::Tls(_) => {
                let message = "the database server offers no TLS that is trusted; see sslmode and \
                               sslrootcert";
                let error = Error::new(ErrorKind::Unavailable, message).caused_by(error);
                return Self(error.set_retryable(false));
            }
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

/// Both engines have codes of their own.
fn explain(error: &dyn DatabaseError) -> Explained {
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return crate::postgres::explain(error.code());
    }
    #[cfg(feature = "sqlite")]
    if let Some(code) = error.code() {
        return crate::sqlite::explain(code.parse().unwrap_or(0));
    }
    let _ = error;
    (ErrorKind::Internal, "the database failed".to_owned())
}
