//! The one error type of every crate.

use std::error::Error as StdError;
use std::fmt;

/// `std::result::Result` with mcphub's [`struct@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller needs to tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument, option or configuration value is wrong.
    #[error("invalid input")]
    InvalidInput,
    /// The API document cannot be read as what it claims to be.
    #[error("invalid document")]
    InvalidDocument,
    /// The named thing does not exist.
    #[error("not found")]
    NotFound,
    /// The thing exists and may not be replaced, or was changed by somebody else meanwhile.
    #[error("conflict")]
    Conflict,
    /// Something is larger than its documented bound.
    #[error("too large")]
    TooLarge,
    /// The work did not finish in its time.
    #[error("timed out")]
    Timeout,
    /// A part that is needed cannot be reached or is not installed.
    #[error("unavailable")]
    Unavailable,
    /// Another system answered with an error or with something that makes no sense.
    #[error("upstream error")]
    Upstream,
    /// A feature is not supported here.
    #[error("unsupported")]
    Unsupported,
    /// The caller may not do this.
    #[error("permission denied")]
    PermissionDenied,
    /// A bug or a damaged store.
    #[error("internal error")]
    Internal,
}

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Whoever made the call.
    Caller,
    /// A system that mcphub depends on.
    Upstream,
    /// mcphub itself.
    Internal,
}

impl ErrorKind {
    /// Whose fault an error of this kind is unless the error says otherwise.
    pub const fn fault(self) -> Fault {
        match self {
            Self::InvalidInput
            | Self::InvalidDocument
            | Self::NotFound
            | Self::Conflict
            | Self::TooLarge
            | Self::Unsupported
            | Self::PermissionDenied => Fault::Caller,
            Self::Timeout | Self::Unavailable | Self::Upstream => Fault::Upstream,
            Self::Internal => Fault::Internal,
        }
    }

    /// Whether the same call can succeed later without being changed.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable)
    }

    /// The HTTP status (RFC 9110) that reports this kind.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidInput => 400,
            Self::InvalidDocument => 422,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unsupported => 501,
            Self::PermissionDenied => 403,
            Self::Timeout => 504,
            Self::Unavailable => 503,
            Self::Upstream => 502,
            Self::Internal => 500,
        }
    }

    /// The JSON-RPC 2.0 error code that reports this kind. Codes of our own stay outside the range
    /// -32768..-32000, which JSON-RPC and MCP reserve.
    pub const fn json_rpc_code(self) -> i32 {
        match self {
            Self::InvalidInput | Self::InvalidDocument | Self::NotFound => -32602,
            Self::Conflict => -31009,
            Self::TooLarge => -31013,
            Self::Unsupported => -32601,
            Self::PermissionDenied => -31003,
            Self::Timeout => -31004,
            Self::Unavailable => -31503,
            Self::Upstream => -31502,
            Self::Internal => -32603,
        }
    }
}

/// An error with its kind, what was being done, and with what.
///
/// `Display` gives one line without the source: `message (key: value)`. The chain is in
/// [`StdError::source`]; [`Error::report`] joins both. No constructor takes a secret.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    fault: Fault,
    retryable: bool,
    message: String,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says what is wrong and, where the caller can mend it, how.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            fault: kind.fault(),
            retryable: kind.retryable(),
            message: message.into(),
            operation: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// Shorthand for [`ErrorKind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Names the operation that failed, such as `store::save`. The innermost name stays.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Adds a fact that helps to find the cause. Never a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Overrides whether the same call may succeed later.
    #[must_use]
    pub fn set_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Overrides who can mend it.
    #[must_use]
    pub fn set_fault(mut self, fault: Fault) -> Self {
        self.0.fault = fault;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Who can mend it.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// Whether the same call can succeed later without being changed.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation that failed, where one was named.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The facts added with [`Error::with`], in order.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(k, v)| (*k, v.as_str()))
    }

    /// The error and its causes in one line, for a person.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let line = error.to_string();
            if !text.contains(&line) {
                text.push_str(": ");
                text.push_str(&line);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut separator = " (";
        for (key, value) in &self.0.context {
            write!(f, "{separator}{key}: {value}")?;
            separator = ", ";
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("operation", &self.0.operation)
            .field("context", &self.0.context)
            .field("fault", &self.0.fault)
            .field("retryable", &self.0.retryable)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_the_facts_and_report_adds_the_causes() {
        let error = Error::new(ErrorKind::Unavailable, "cannot open the store")
            .during("store::open")
            .with("path", "./mcphub.db")
            .caused_by("disk is read-only");
        assert_eq!(
            error.to_string(),
            "cannot open the store (path: ./mcphub.db)"
        );
        assert_eq!(
            error.report(),
            "cannot open the store (path: ./mcphub.db): disk is read-only"
        );
        assert_eq!(
            (error.kind(), error.fault()),
            (ErrorKind::Unavailable, Fault::Upstream)
        );
        assert!(error.is_retryable());
    }

    #[test]
    fn our_own_json_rpc_codes_stay_out_of_the_reserved_range() {
        for kind in [
            ErrorKind::Conflict,
            ErrorKind::TooLarge,
            ErrorKind::Timeout,
            ErrorKind::Upstream,
        ] {
            assert!(kind.json_rpc_code() > -32000);
        }
    }
}
