//! HTTP methods.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The HTTP method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Method {
    Get,
    Put,
    Post,
    Delete,
    Options,
    Head,
    Patch,
    Trace,
    /// A safe request with a body (OpenAPI 3.2.0, Path Item Object).
    Query,
    /// Any other (OpenAPI 3.2.0, Path Item Object, `additionalOperations`).
    Other(MethodName),
}

impl Method {
    /// Every method with a field of its own, in the order of the Path Item Object.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Put,
        Self::Post,
        Self::Delete,
        Self::Options,
        Self::Head,
        Self::Patch,
        Self::Trace,
        Self::Query,
    ];

    /// The method of that name, as it is on the wire: methods are case-sensitive (RFC 9110, 9.1).
    ///
    /// # Errors
    /// `InvalidInput` when it is no token, longer than 32 bytes, or `CONNECT`, which asks for a
    /// tunnel and not for an answer.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(known) = Self::ALL.into_iter().find(|method| method.as_str() == name) {
            return Ok(known);
        }
        MethodName::new(name).map(Self::Other)
    }

    /// The name on the wire, such as `GET`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
            Self::Trace => "TRACE",
            Self::Query => "QUERY",
            Self::Other(name) => name.as_str(),
        }
    }

    /// The key in a Path Item Object, such as `get`; of another method the one in its
    /// `additionalOperations`.
    pub fn key(&self) -> &str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
            Self::Options => "options",
            Self::Head => "head",
            Self::Patch => "patch",
            Self::Trace => "trace",
            Self::Query => "query",
            Self::Other(name) => name.as_str(),
        }
    }

    /// Safe methods do not ask for a change (RFC 9110, 9.2.1; QUERY by its own definition). Of
    /// another method nothing is known.
    pub const fn is_safe(self) -> bool {
        matches!(
            self,
            Self::Get | Self::Head | Self::Options | Self::Trace | Self::Query
        )
    }

    /// Idempotent methods may be sent twice (RFC 9110, 9.2.2).
    pub const fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.as_str().to_owned()
    }
}

impl TryFrom<String> for Method {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::named(&name)
    }
}

/// The longest name of a method in bytes; the longest registered one has 17.
const MAX: usize = 32;

/// The name of a method without a field of its own: a token (RFC 9110, 5.6.2) of 1 to 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodName {
    bytes: [u8; MAX],
    length: usize,
}

impl MethodName {
    fn new(name: &str) -> Result<Self> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let mut bytes = [0; MAX];
        match bytes.get_mut(..name.len()) {
            Some(room) if !room.is_empty() && name.bytes().all(token) && name != "CONNECT" => {
                room.copy_from_slice(name.as_bytes());
                Ok(Self {
                    bytes,
                    length: name.len(),
                })
            }
            _ => Err(Error::invalid(
                "an HTTP method is a token of 1 to 32 characters other than CONNECT",
            )
            .with("method", name.chars().take(80).collect::<String>())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn methods_are_their_names_when_stored() {
        let copy = Method::named("COPY").unwrap();
        for (method, text) in [
            (Method::Get, "\"GET\""),
            (Method::Query, "\"QUERY\""),
            (copy, "\"COPY\""),
        ] {
            assert_eq!(serde_json::to_string(&method).unwrap(), text);
            assert_eq!(serde_json::from_str::<Method>(text).unwrap(), method);
        }
        assert!(Method::Query.is_idempotent() && !copy.is_idempotent());
        assert_eq!(format!("{copy:?} {copy}"), "Other(\"COPY\") COPY");
    }

    #[test]
    fn what_is_no_method_is_refused() {
        let long = "X".repeat(33);
        for name in ["", "A B", "A\r\nB", "É", "CONNECT", &long] {
            assert!(Method::named(name).is_err(), "{name}");
        }
        assert!(Method::named(&long[1..]).is_ok());
    }
}
