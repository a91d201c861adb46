//! What PostgreSQL's error codes mean.

use mcphub_core::ErrorKind;

use crate::sql::Explained;

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>. The first two characters are
/// the class.
pub(crate) fn explain(code: &str) -> Explained {
    let (kind, message) = match code {
        "28000" | "28P01" => (
            ErrorKind::PermissionDenied,
            "the database server refuses this user or password",
        ),
        "3D000" => (
            ErrorKind::InvalidInput,
            "the database does not exist; make it first, such as with `createdb`",
        ),
        "42501" => (
            ErrorKind::PermissionDenied,
            "the database user may not do this; let it create a schema in the database, or own one",
        ),
        "42P07" => (
            ErrorKind::InvalidInput,
            "the schema holds tables of another program; name another with ?schema=NAME",
        ),
        "22021" => (
            ErrorKind::InvalidInput,
            "a text holds a character that PostgreSQL cannot hold, such as NUL",
        ),
        "25006" => (
            ErrorKind::Unavailable,
            "the database server takes no writes now; it may be a standby",
        ),
        "25P03" | "25P04" => (
            ErrorKind::Unavailable,
            "the database server ended a transaction that it had not heard of for too long",
        ),
        "53100" => (
            ErrorKind::Unavailable,
            "the disk of the database server is full; make room, nothing that was acknowledged is \
             lost",
        ),
        "53300" => (
            ErrorKind::Unavailable,
            "the database server has no connection left; lower max_connections, or raise its own",
        ),
        "55P03" => (
            ErrorKind::Unavailable,
            "another node kept the database locked for too long",
        ),
        "57014" => (
            ErrorKind::Timeout,
            "the database server took too long; see statement_timeout",
        ),
        "XX001" | "XX002" => (
            ErrorKind::Internal,
            "the database is damaged; restore it from a backup",
        ),
        _ => match code.get(..2) {
            // Connections, resources, operators, and transactions that lost to another.
            Some("08" | "53" | "57" | "58") => (
                ErrorKind::Unavailable,
                "the database server is not ready, or is being stopped",
            ),
            Some("40") => (
                ErrorKind::Unavailable,
                "another node changed the same at the same time",
            ),
            _ => (ErrorKind::Internal, "the database failed"),
        },
    };
    (kind, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_may_be_tried_again() {
        for code in [
            "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P03", "08006",
        ] {
            assert!(explain(code).0.retryable(), "{code}");
        }
        for code in ["28P01", "3D000", "42501", "42P01", "22021", "XX001", ""] {
            assert!(!explain(code).0.retryable(), "{code}");
        }
    }
}
