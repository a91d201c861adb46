//! The lists of a server, all pages of each.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use mcphub_core::{Error, ErrorKind, Result};
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::message::{Call, Params};
use super::{About, Inventory, UpstreamTool, one_line};
use crate::federation::Kind;
use crate::members::first_string;

/// A server that can be asked for its lists.
pub(super) trait Lists: Sync {
    /// The result of a request.
    fn ask(&self, call: &Call<'_>) -> impl Future<Output = Result<Box<RawValue>>> + Send;

    /// What the server said of itself when it was met last.
    fn about(&self) -> Arc<About>;

    /// How a person knows it.
    fn name(&self) -> &str;

    /// The most items of one list, and its most bytes.
    fn bounds(&self) -> (usize, usize);
}

/// All that a server offers.
///
/// # Errors
/// Those of its list of tools, which it need not have. Another list that fails is empty: it does not hide the others.
pub(super) async fn inventory(server: &impl Lists) -> Result<Inventory> {
    let tools = match all(server, Kind::Tools).await {
        Err(error) if is_unknown_method(&error) => Vec::new(),
        tools => tools?,
    };
    // What the server said when it was met for this.
    let about = server.about();
    let (prompts, resources, templates) = futures::join!(
        also(server, Kind::Prompts, about.prompts),
        also(server, Kind::Resources, about.resources),
        also(server, Kind::ResourceTemplates, about.resources),
    );
    Ok(Inventory {
        tools,
        prompts,
        resources,
        templates,
        about: About::clone(&about),
    })
}

/// All pages of a list.
///
/// # Errors
/// `TooLarge` beyond the bounds, `Upstream` for pages that do not end; those of asking.
pub(super) async fn all(server: &impl Lists, kind: Kind) -> Result<Vec<UpstreamTool>> {
    let (most, largest) = server.bounds();
    let (mut items, mut cursor, mut bytes) = (Vec::new(), None::<String>, 0);
    let nonsense = || {
        let message = "the MCP server's answer makes no sense";
        Error::new(ErrorKind::Upstream, message)
            .with("server", server.name())
            .with("method", kind.method())
    };
    loop {
        let call = Call::new(kind.method(), Params::list(cursor.as_deref()));
        let result = server.ask(&call).await?;
        bytes += result.get().len();
        let page = Page::read(&result, kind).map_err(|error| nonsense().caused_by(error))?;
        for definition in page.items {
            match first_string(definition.get(), kind.key()) {
                Some(name) => items.push(UpstreamTool {
                    name,
                    definition: one_line(definition),
                }),
                None => {
                    tracing::warn!(server = %server.name(), kind = kind.member(), "what is listed without a name is left out");
                }
            }
        }
        if items.len() > most || bytes > largest {
            let message = "the MCP server lists more than is taken";
            return Err(Error::new(ErrorKind::TooLarge, message)
                .set_fault(mcphub_core::Fault::Upstream)
                .with("server", server.name())
                .with("method", kind.method())
                .with("limit", most));
        }
        match page.next_cursor {
            None => return Ok(items),
            // A server that gives the same cursor for ever, or pages with nothing in them.
            next if next == cursor || items.is_empty() => {
                return Err(nonsense().with("reason", "its pages do not end"));
            }
            next => cursor = next,
        }
    }
}

async fn also(server: &impl Lists, kind: Kind, offered: bool) -> Vec<UpstreamTool> {
    if !offered {
        return Vec::new();
    }
    all(server, kind).await.unwrap_or_else(|error| {
        tracing::warn!(server = %server.name(), error = %error.report(), "a list is left out");
        Vec::new()
    })
}

fn is_unknown_method(error: &Error) -> bool {
    error
        .context()
        .any(|(name, value)| name == "code" && value == "-32601")
}

struct Page<'a> {
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    /// Reads a page once: lists are most of what servers that are asked now and then answer.
    fn read(result: &'a RawValue, kind: Kind) -> serde_json::Result<Self> {
        serde_json::Deserializer::from_str(result.get()).deserialize_map(PageOf(kind))
    }
}

struct PageOf(Kind);

impl<'de> Visitor<'de> for PageOf {
    type Value = Page<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the member `{}`", self.0.member())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Page<'de>, A::Error> {
        let (mut items, mut next_cursor) = (None, None);
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let again = if *name == *self.0.member() {
                items.replace(members.next_value()?).is_some()
            } else if name == "nextCursor" {
                next_cursor
                    .replace(members.next_value::<Option<String>>()?)
                    .is_some()
            } else {
                members.next_value::<IgnoredAny>()?;
                false
            };
            if again {
                return Err(A::Error::custom(format!("member `{name}` appears twice")));
            }
        }
        Ok(Page {
            items: items.ok_or_else(|| A::Error::missing_field(self.0.member()))?,
            next_cursor: next_cursor.flatten(),
        })
    }
}
