//! An error for everybody who waits for the same thing.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use mcphub_core::{Error, ErrorKind};

use crate::upstream::http::clip;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 500;

/// The longest cause, in characters: the last lines of a program's standard error.
const MAX_CAUSE: usize = 16_000;

/// Why a server cannot be asked.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    kind: ErrorKind,
    message: String,
    cause: Option<String>,
}

impl Failed {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: clip(&error.to_string(), MAX_MESSAGE),
            cause: error
                .source()
                .map(|cause| clip(&cause.to_string(), MAX_CAUSE)),
        }
    }

    pub(super) fn new(kind: ErrorKind, message: &str) -> Self {
        Self {
            kind,
            message: message.to_owned(),
            cause: None,
        }
    }

    /// The error, for one of those who wait; `pause` is how long nothing is tried.
    pub(super) fn error(&self, pause: Option<Duration>) -> Error {
        let mut error = Error::new(self.kind, self.message.clone());
        if let Some(pause) = pause {
            error = error.with(
                "it is started again in",
                format!("{} ms", pause.as_millis()),
            );
        }
        match &self.cause {
            Some(cause) => error.caused_by(Cause(cause.clone())),
            None => error,
        }
    }
}

#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}
