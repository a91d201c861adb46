//! Tokens for whoever calls, in exchange for what says who that is.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::{Error, Result};

/// How tokens are asked for that are each about one caller (RFC 8693). No secret; the client that asks
/// is one.
///
/// As text `SUBJECT[,audience=NAME][,resource=URL][,type=URI]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenExchange {
    /// What is given for them.
    pub subject: Subject,
    /// Whom the token is for, by the name that the authorization server has for it (RFC 8693, 2.1).
    pub audience: Option<String>,
    /// Where the token is used: a URL, sent as it was written (RFC 8707). Default, where there is no
    /// audience either, what an MCP server says of itself.
    pub resource: Option<String>,
    /// Which type of token is asked for, as a URI (RFC 8693, 3). Default the authorization server
    /// decides.
    pub requested_type: Option<String>,
}

/// What says who calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The gateway, which signs it.
    #[default]
    Gateway,
    /// The caller's own login at the authorization server, of an MCP server where each user has one.
    Login,
}

impl Subject {
    const ALL: [Self; 2] = [Self::Gateway, Self::Login];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Login => "login",
        }
    }
}

impl TokenExchange {
    /// The longest text of one, in bytes.
    pub const MAX: usize = 4 * 1024;
}

impl fmt::Display for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subject.as_str())?;
        if let Some(audience) = &self.audience {
            write!(f, ",audience={audience}")?;
        }
        if let Some(resource) = &self.resource {
            write!(f, ",resource={resource}")?;
        }
        if let Some(kind) = &self.requested_type {
            write!(f, ",type={kind}")?;
        }
        Ok(())
    }
}

impl FromStr for TokenExchange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "a token exchange is `gateway` or `login`, and perhaps `,audience=NAME`, \
                 `,resource=URL` and `,type=URI`; {why}"
            ))
        };
        let legal = |c: char| !c.is_control() && c != '"' && c != '\\';
        if text.len() > Self::MAX || !text.chars().all(legal) {
            return Err(wrong("this is too long, or has characters that none has"));
        }
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default().trim();
        let subject = Subject::ALL.into_iter().find(|it| it.as_str() == first);
        let mut exchange = Self {
            subject: subject.ok_or_else(|| wrong("this begins otherwise"))?,
            ..Self::default()
        };
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| wrong("a part has no `=`"))?;
            let (key, value) = (key.trim(), value.trim());
            let twice = match key {
                "audience" => exchange.audience.replace(value.to_owned()).is_some(),
                "type" => exchange.requested_type.replace(value.to_owned()).is_some(),
                "resource" => {
                    let url = Url::parse(value).ok();
                    // RFC 8707, 2.
                    let url = url.filter(|url| url.fragment().is_none());
                    if url.is_none() {
                        return Err(wrong("the resource is an absolute URL without a fragment"));
                    }
                    exchange.resource.replace(value.to_owned()).is_some()
                }
                _ => return Err(wrong("a part is called otherwise")),
            };
            if twice || value.is_empty() {
                return Err(wrong("a part is empty, or there twice"));
            }
        }
        Ok(exchange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_of_an_exchange_is_read_again() {
        for text in [
            "gateway",
            "gateway,audience=billing",
            "gateway,audience=a b,resource=https://api.test,type=urn:ietf:params:oauth:token-type:jwt",
        ] {
            let exchange: TokenExchange = text.parse().unwrap();
            assert_eq!(exchange.to_string(), text);
        }
        let spaced: TokenExchange = "gateway, audience = billing".parse().unwrap();
        assert_eq!(spaced.audience.as_deref(), Some("billing"));
    }

    #[test]
    fn what_is_no_exchange_is_refused() {
        let long = format!("gateway,audience={}", "x".repeat(TokenExchange::MAX));
        for wrong in [
            "",
            "caller",
            "gateway,",
            "gateway,audience",
            "gateway,audience=",
            "gateway,audience=a,audience=b",
            "gateway,resource=api",
            "gateway,resource=https://api.test/#x",
            "gateway,scope=a",
            "gateway,audience=a\nb",
            &long,
        ] {
            assert!(wrong.parse::<TokenExchange>().is_err(), "{wrong}");
        }
    }
}
