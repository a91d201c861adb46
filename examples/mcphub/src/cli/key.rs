//! `mcphub key`: who is let in.

use clap::{Args, Subcommand, ValueEnum};
use mcphub_core::key::KeyName;
use mcphub_core::principal::ToolRule;
use mcphub_core::server::ServerName;
use mcphub_core::user::UserName;
use serde::Deserialize;

use super::{Format, StoreArgs};

/// Who is let in over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Everybody who reaches the address
    #[default]
    None,
    /// Who shows an API key as a bearer token, as `mcphub key create` makes one
    Keys,
}

/// `mcphub key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key and print its token, which is shown this once
    Create(KeyCreate),
    /// List the keys: what they may do, and when they were used last
    List(KeyList),
    /// Give a key another token; the one before is good for a while longer
    Rotate(KeyRotate),
    /// Revoke a key; a running gateway lets it in no more within a second or two
    Revoke(KeyRevoke),
    /// Say whether a key may use something now, and which rule says so, without calling it
    Explain(KeyExplain),
    /// Say whose token stands on standard input, such as one that was found somewhere
    Identify(KeyIdentify),
}

/// `mcphub key create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  TOKEN=$(mcphub key create ci --expires 90d)
  mcphub key create reports --allow 'billing/get*' --allow 'shop/list*' --read-only

A client sends the token as `Authorization: Bearer TOKEN` to a gateway that was started with
`--auth keys`. A token is mcphub_ and 49 letters and digits, so that scanners find a leaked one with
mcphub_[0-9A-Za-z]{49}.")]
pub struct KeyCreate {
    /// The name of the key
    pub name: KeyName,

    /// Whose it is: a member, whose role limits it and who can be disabled [default: the tenant's own]
    #[arg(long, value_name = "USER")]
    pub user: Option<UserName>,

    /// What may be used: SERVER for all that it has, or SERVER/TOOL for tools alone, with `*` for any
    /// text; repeatable [default: everything]
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<ToolRule>,

    /// Of tools, only those may be called that say that they only read
    #[arg(long)]
    pub read_only: bool,

    /// When it ends: in so long (90d, 12h, 30m, 45s), or a time as in RFC 3339 [default: never]
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub expires: Option<Moment>,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub key list`.
#[derive(Debug, Args)]
pub struct KeyList {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub key rotate`.
#[derive(Debug, Args)]
pub struct KeyRotate {
    /// The name of the key
    pub name: KeyName,

    /// How long the token before is good (90d, 12h, 30m, 45s); one before that ends at once
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span)]
    pub overlap: i64,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub key revoke`.
#[derive(Debug, Args)]
pub struct KeyRevoke {
    /// The name of the key
    pub name: KeyName,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub key explain`.
#[derive(Debug, Args)]
#[command(after_help = "Exits with 5 when the key may not use it.")]
pub struct KeyExplain {
    /// The name of the key
    pub name: KeyName,

    /// SERVER/TOOL, a tool by the name that it has at its server; SERVER for what else that has
    #[arg(value_name = "WHAT", value_parser = thing)]
    pub thing: Thing,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// What a rule can be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// The server.
    pub server: ServerName,
    /// Its tool; `None` for its prompts and resources.
    pub tool: Option<String>,
}

fn thing(text: &str) -> Result<Thing, String> {
    let (server, tool) = match text.split_once('/') {
        Some((server, tool)) => (server, Some(tool.to_owned())),
        None => (text, None),
    };
    let server = ServerName::new(server).map_err(|error| error.to_string())?;
    Ok(Thing { server, tool })
}

/// `mcphub key identify`.
#[derive(Debug, Args)]
pub struct KeyIdentify {
    #[command(flatten)]
    pub store: StoreArgs,
}

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At that time, in Unix milliseconds.
    At(i64),
    /// So many milliseconds from now on.
    In(i64),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(span) = span(text) {
        return Ok(Moment::In(span));
    }
    super::store::time(text).map(Moment::At).map_err(|_| {
        "it is so long as 90d, 12h, 30m or 45s, or a time such as 2026-11-21T10:00:00Z".to_owned()
    })
}

/// In milliseconds, up to 100 years.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let unit = text.chars().next_back().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        _ => None,
    });
    let number = text.get(..text.len().saturating_sub(1));
    let seconds = unit.zip(number).and_then(|(unit, number)| {
        let count: u32 = number.parse().ok()?;
        Some(i64::from(count) * unit)
    });
    let bounded = seconds.filter(|seconds| *seconds <= 100 * 366 * 24 * 60 * 60);
    bounded
        .map(|seconds| seconds * 1_000)
        .ok_or_else(|| "it is so long as 90d, 12h, 30m or 45s, at most 100 years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_a_tool_or_what_else_a_server_has() {
        let read = |text: &str| {
            let thing = thing(text)?;
            Ok::<_, String>((thing.server.to_string(), thing.tool))
        };
        let tool = Some("a/b".to_owned());
        assert_eq!(read("shop/a/b"), Ok(("shop".to_owned(), tool)));
        assert_eq!(read("shop"), Ok(("shop".to_owned(), None)));
        assert!(read("").is_err() && read("/a").is_err() && read("a b/c").is_err());
    }

    #[test]
    fn a_time_is_a_span_or_a_moment() {
        assert_eq!(moment("90d"), Ok(Moment::In(90 * 86_400_000)));
        assert_eq!(moment("0s"), Ok(Moment::In(0)));
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(Moment::At(1_000)));
        for wrong in ["", "d", "5", "-1d", "1.5h", "ü", "4000000000d", "tomorrow"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
