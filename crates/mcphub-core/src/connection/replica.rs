//! Further addresses of one server, and how requests are shared out among them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Error, Result};

/// One more address of a server, which answers there as it does at its URL.
///
/// As text `URL`, `URL,weight=5` or `URL,weight=5,zone=b`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Replica {
    /// Without a query: that of the server goes with its requests, too.
    pub url: Url,
    /// How many percent of the sessions, and of the requests outside of sessions, go there, 1 to
    /// 100. Default it shares with the others what is left, so that each request goes where the
    /// fewest are on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Where it is. A gateway that is in a zone takes the replicas of that zone, and of none, before
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

/// A place, such as a region or a data center: 1 to 64 letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

/// When a request that is safe to repeat goes to a second replica because the first is slow. The
/// answer that comes first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Hedge {
    /// After so long, 1 ms to 60 s. As text `50ms` or `2s`.
    After(Duration),
    /// When it takes longer than 95 of 100 do. As text `p95`.
    Slowest,
}

impl Replica {
    /// The most replicas of one server, besides its URL.
    pub const MAX: usize = 15;

    /// A replica that takes its part of what no other has a weight for.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            weight: None,
            zone: None,
        }
    }
}

impl FromStr for Replica {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &'static str| {
            // The text may hold a key: it is not shown.
            Error::invalid(format!(
                "a replica is URL[,weight=PERCENT][,zone=NAME]: {what}"
            ))
        };
        let (mut rest, mut weight, mut zone) = (text, None, None);
        while let Some((before, option)) = rest.rsplit_once(',') {
            match option.split_once('=') {
                Some(("weight", percent)) if weight.is_none() => {
                    let percent = percent.parse().ok();
                    let percent = percent.ok_or_else(|| wrong("a weight is 1 to 100"))?;
                    weight = Some(percent);
                }
                Some(("zone", name)) if zone.is_none() => zone = Some(name.parse()?),
                // A comma of the URL.
                _ => break,
            }
            rest = before;
        }
        let url = rest.parse().map_err(|_| wrong("the URL is none"))?;
        Ok(Self { url, weight, zone })
    }
}

impl Zone {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > Self::MAX || !text.chars().all(legal) {
            return Err(Error::invalid(
                "a zone is named with 1 to 64 letters, digits, `.`, `_` and `-`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Hedge {
    const MAX: Duration = Duration::from_secs(60);
}

impl FromStr for Hedge {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "p95" {
            return Ok(Self::Slowest);
        }
        let after = match text.strip_suffix("ms") {
            Some(number) => number.parse().ok().map(Duration::from_millis),
            None => text
                .strip_suffix('s')
                .and_then(|number| number.parse().ok().map(Duration::from_secs)),
        };
        let after = after.filter(|after| !after.is_zero() && *after <= Self::MAX);
        after.map(Self::After).ok_or_else(|| {
            Error::invalid("a request goes to a second replica after 1ms to 60s, or as p95 says")
        })
    }
}

impl TryFrom<String> for Hedge {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Hedge> for String {
    fn from(hedge: Hedge) -> Self {
        hedge.to_string()
    }
}

impl fmt::Display for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slowest => f.write_str("p95"),
            Self::After(after) => write!(f, "{}ms", after.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_a_url_with_a_weight_and_a_zone() {
        let read = |text: &str| text.parse::<Replica>();
        let whole = read("https://b.test/m,c,zone=eu-1,weight=5").unwrap();
        assert_eq!(whole.url.as_str(), "https://b.test/m,c");
        assert_eq!(whole.weight, Some(5));
        assert_eq!(whole.zone.unwrap().as_str(), "eu-1");
        assert_eq!(read("http://b.test/").unwrap().weight, None);
        for wrong in [
            "b.test",
            "https://b.test,weight=x",
            "https://b.test,weight=300",
            "https://b.test,zone=a b",
            "https://b.test,zone=",
        ] {
            let error = read(wrong).map(|it| it.url).unwrap_err().to_string();
            assert!(!error.contains("b.test"), "{wrong}: {error}");
        }
    }

    #[test]
    fn hedging_is_written_as_it_is_read() {
        for (text, written) in [("p95", "p95"), ("50ms", "50ms"), ("2s", "2000ms")] {
            let hedge: Hedge = text.parse().unwrap();
            assert_eq!(hedge.to_string(), written);
            assert_eq!(written.parse::<Hedge>().unwrap(), hedge);
        }
        for wrong in ["", "0ms", "61s", "5", "p99", "ms", "-1s"] {
            assert!(wrong.parse::<Hedge>().is_err(), "{wrong}");
        }
    }
}
