//! Exit codes. They are part of the interface: see `mcphub help`.

use std::process::ExitCode;

use mcphub_core::ErrorKind;

/// The API answered a call with an error.
pub const CALL_FAILED: u8 = 7;
/// The audit log was tampered with.
pub const TAMPERED: u8 = 8;

/// The exit code that tells what kind of error ended the program.
pub fn code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(match kind {
        ErrorKind::InvalidInput => 2,
        ErrorKind::InvalidDocument | ErrorKind::TooLarge | ErrorKind::Unsupported => 3,
        ErrorKind::NotFound => 4,
        ErrorKind::Conflict | ErrorKind::PermissionDenied => 5,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Upstream => 6,
        _ => 1,
    })
}
