//! What one server lists, ready to be listed under other names.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::meaning::meaning;
use super::parameter::{HeaderParameter, marked};
use crate::members::{Members, is_object, place, splice, string};
use crate::upstream::{About, Inventory, UpstreamTool};

/// What one server lists, in its order, and what it says of itself.
#[derive(Debug, Default)]
pub struct Listing {
    lists: [List; Kind::ALL.len()],
    pub(super) about: About,
}

#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) items: Vec<Listed>,
    /// What the definitions mean, once somebody asked.
    digest: OnceLock<[u8; 32]>,
}

/// A tool, prompt, resource or template of a resource.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its own name or URI.
    pub(super) key: Box<str>,
    definition: Box<str>,
    /// Where the definition has the key, with its quotes.
    key_at: Range<usize>,
    /// Arguments of a tool that are headers too.
    pub(super) parameters: Arc<[HeaderParameter]>,
    /// Where it has URIs of the server's resources, with their quotes.
    links: Vec<Range<usize>>,
    /// Whether the annotations of a tool say that it only reads.
    pub(super) reads: bool,
    /// Whether twice is as good as once.
    pub(super) repeatable: bool,
}

impl Listing {
    /// The tools that an upstream listed; see [`Listing::of`].
    pub fn new(tools: Vec<UpstreamTool>) -> Self {
        Self::of(Inventory::of_tools(tools))
    }

    /// What an upstream listed.
    ///
    /// A definition that is not an object with distinct members, that has another name or, of a
    /// tool, no input schema object is left out with a warning: one bad tool does not hide the
    /// others. So is the second of a name.
    pub fn of(inventory: Inventory) -> Self {
        let Inventory {
            tools,
            prompts,
            resources,
            templates,
            about,
        } = inventory;
        Self {
            lists: [
                List::new(Kind::Tools, tools),
                List::new(Kind::Prompts, prompts),
                List::new(Kind::Resources, resources),
                List::new(Kind::ResourceTemplates, templates),
            ],
            about,
        }
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.list(Kind::Tools).items.len()
    }

    /// Whether there are no tools.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both list the same definitions in the same order. Spaces and the order of members
    /// do not count: a server that is replaced by another program writes them differently, and
    /// clients are not to be told of that. Reads all of them the first time.
    pub fn same_as(&self, other: &Self) -> bool {
        let same = |(one, other): (&List, &List)| {
            one.items.len() == other.items.len() && one.digest() == other.digest()
        };
        self.about == other.about && self.lists.iter().zip(&other.lists).all(same)
    }

    /// Whether an upstream listed the very same text, which is told without reading it.
    pub fn repeats(&self, inventory: &Inventory) -> bool {
        let same = |kind: Kind| self.list(kind).repeats(inventory.of(kind));
        self.about == inventory.about && Kind::ALL.into_iter().all(same)
    }

    /// Reads what the definitions mean, once, before somebody asks.
    pub(crate) fn read(&self) {
        for list in &self.lists {
            list.digest();
        }
    }

    pub(super) fn list(&self, kind: Kind) -> &List {
        let [tools, prompts, resources, templates] = &self.lists;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources => resources,
            Kind::ResourceTemplates => templates,
        }
    }
}

impl List {
    fn new(kind: Kind, items: Vec<UpstreamTool>) -> Self {
        let mut listed: Vec<Listed> = Vec::with_capacity(items.len());
        let mut keys = std::collections::HashSet::with_capacity(items.len());
        for item in items {
            if !keys.insert(item.name.clone()) {
                warn(kind, &item.name, "another one of the server has its name");
                continue;
            }
            match found(kind, &item) {
                Ok(found) => {
                    let definition: Box<str> = item.definition.into();
                    let parameters = match kind {
                        Kind::Tools => marked(&definition),
                        _ => Vec::new(),
                    };
                    listed.push(Listed {
                        reads: found.reads,
                        repeatable: found.repeatable,
                        key: item.name.into(),
                        definition,
                        key_at: found.key_at,
                        parameters: parameters.into(),
                        links: found.links,
                    });
                }
                Err(why) => warn(kind, &item.name, &why),
            }
        }
        Self {
            items: listed,
            digest: OnceLock::new(),
        }
    }

    /// Of what its definitions mean, which is read by whoever asks first.
    pub(super) fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| {
            let mut hash = Sha256::new();
            for item in &self.items {
                hash.update(meaning(&item.definition).to_be_bytes());
            }
            hash.finalize().into()
        })
    }

    /// About how long the text of the list is, under names with so many bytes more.
    pub(super) fn text_len(&self, prefix: usize) -> usize {
        let lengths = self.items.iter().map(|item| item.definition.len());
        lengths.sum::<usize>() + self.items.len() * (prefix + 1)
    }

    fn repeats(&self, items: &[UpstreamTool]) -> bool {
        let same = |(listed, item): (&Listed, &UpstreamTool)| {
            *listed.key == *item.name && *listed.definition == *item.definition.get()
        };
        self.items.len() == items.len() && self.items.iter().zip(items).all(same)
    }
}

impl Listed {
    /// As its server wrote it.
    pub(super) fn definition(&self) -> &str {
        &self.definition
    }

    /// This tool with another definition. Its server wants the same arguments as headers, also those
    /// that the definition does not have. `None` for a definition that cannot be listed.
    pub(super) fn redefined(&self, definition: String) -> Option<Self> {
        let tool = UpstreamTool {
            name: self.key.to_string(),
            definition: RawValue::from_string(definition).ok()?,
        };
        let listed = List::new(Kind::Tools, vec![tool]).items.pop()?;
        Some(Self {
            parameters: Arc::clone(&self.parameters),
            ..listed
        })
    }

    /// Appends the definition under another name or URI, with other URIs of resources; all else
    /// stays byte for byte.
    pub(super) fn write(&self, key: &str, link: impl Fn(&str) -> String, out: &mut Vec<u8>) {
        if self.links.is_empty()
            && let Some(before) = self.definition.get(..self.key_at.start)
            && let Some(after) = self.definition.get(self.key_at.end..)
        {
            for piece in [before, key, after] {
                out.extend_from_slice(piece.as_bytes());
            }
            return;
        }
        let mut edits = vec![(self.key_at.clone(), key.to_owned())];
        for at in &self.links {
            let own = self.definition.get(at.clone());
            if let Some(own) = own.and_then(|text| serde_json::from_str::<String>(text).ok()) {
                edits.push((at.clone(), link(&own)));
            }
        }
        out.extend_from_slice(splice(&self.definition, edits).as_bytes());
    }
}

/// What a definition says to whoever lists it.
struct Found {
    /// Where it has its key.
    key_at: Range<usize>,
    /// Where it has URIs of resources.
    links: Vec<Range<usize>>,
    /// See [`hints`]. A prompt or a resource can be asked for twice, and is no tool that only reads.
    reads: bool,
    repeatable: bool,
}

fn found(kind: Kind, item: &UpstreamTool) -> Result<Found, String> {
    let definition = item.definition.get();
    let members = Members::read(definition)
        .map_err(|error| format!("its definition cannot be used: {error}"))?;
    if kind == Kind::Tools && !members.get("inputSchema").is_some_and(is_object) {
        return Err("its definition has no inputSchema".to_owned());
    }
    let key = kind.key();
    let value = members
        .get(key)
        .ok_or_else(|| format!("its definition has no {key}"))?;
    if string(value).as_deref() != Some(&item.name) {
        return Err(format!("its definition has another {key}"));
    }
    let key_at = place(definition, value).ok_or("its definition cannot be used")?;
    if kind != Kind::Tools {
        return Ok(Found {
            key_at,
            links: Vec::new(),
            reads: false,
            repeatable: true,
        });
    }
    let links = pages_of_app(&members).into_iter();
    let (reads, repeatable) = hints(&members);
    Ok(Found {
        key_at,
        links: links.filter_map(|raw| place(definition, raw)).collect(),
        reads,
        repeatable,
    })
}

/// Whether a tool only reads, and whether twice is as good as once: `readOnlyHint` and
/// `idempotentHint` (2026-07-28, Schema, `ToolAnnotations`), which are false where they are not said.
fn hints(tool: &Members<'_>) -> (bool, bool) {
    let annotations = tool.get("annotations");
    let annotations = annotations.and_then(|raw| Members::read(raw.get()).ok());
    let says = |hint: &str| {
        let annotations = annotations.as_ref();
        annotations.and_then(|it| it.get(hint)).map(RawValue::get) == Some("true")
    };
    let reads = says("readOnlyHint");
    (reads, reads || says("idempotentHint"))
}

/// The page that shows a tool's results (MCP Apps): `_meta.ui.resourceUri`, and what it was called
/// before.
fn pages_of_app<'a>(tool: &Members<'a>) -> Vec<&'a RawValue> {
    let meta = tool
        .get("_meta")
        .and_then(|raw| Members::read(raw.get()).ok());
    let Some(meta) = meta else {
        return Vec::new();
    };
    let ui = meta.get("ui").and_then(|raw| Members::read(raw.get()).ok());
    let now = ui.and_then(|ui| ui.get("resourceUri"));
    let before = ["ui/resourceUri", "openai/outputTemplate"].map(|name| meta.get(name));
    let found = before.into_iter().chain([now]).flatten();
    found.filter(|raw| string(raw).is_some()).collect()
}

fn warn(kind: Kind, name: &str, why: &str) {
    let name: String = name.chars().take(128).collect();
    tracing::warn!(
        kind = kind.member(),
        name,
        why,
        "it is left out of the list"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, definition: &str) -> UpstreamTool {
        UpstreamTool {
            name: name.into(),
            definition: RawValue::from_string(definition.into()).unwrap(),
        }
    }

    #[test]
    fn only_the_name_changes() {
        let definition =
            r#"{"title": "name", "name" : "get\u002fpet", "inputSchema":{"x":1.0e2}, "_x": null}"#;
        let listing = Listing::new(vec![tool("get/pet", definition)]);
        let mut out = Vec::new();
        listing.list(Kind::Tools).items[0].write(r#""new""#, str::to_owned, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            definition.replace(r#""get\u002fpet""#, r#""new""#)
        );
    }

    #[test]
    fn a_tool_that_cannot_be_listed_does_not_hide_the_others() {
        let good = r#"{"name":"good","inputSchema":{}}"#;
        let listing = Listing::new(vec![
            tool("array", "[]"),
            tool(
                "double",
                r#"{"name":"double","name":"double","inputSchema":{}}"#,
            ),
            tool("no-schema", r#"{"name":"no-schema"}"#),
            tool("other", good),
            tool("good", good),
            tool("good", good),
        ]);
        assert_eq!(listing.len(), 1);
        assert!(listing.same_as(&Listing::new(vec![tool("good", good)])));
        let repeats = |tools: Vec<UpstreamTool>| listing.repeats(&Inventory::of_tools(tools));
        assert!(repeats(vec![tool("good", good)]) && !repeats(vec![]));
        assert!(!repeats(vec![tool(
            "good",
            r#"{"name":"good", "inputSchema":{}}"#
        )]));
        assert!(!listing.same_as(&Listing::new(vec![tool(
            "good",
            r#"{"name":"good","inputSchema":{"a":1}}"#
        )])));
    }

    #[test]
    fn the_page_of_an_app_is_a_link() {
        let definition = r#"{"name":"t","inputSchema":{},"_meta":{"ui":{"visibility":["app"],"resourceUri":"ui:\/\/a"},"ui/resourceUri" : "ui://b","x":"ui://c"}}"#;
        let listing = Listing::new(vec![tool("t", definition)]);
        let mut out = Vec::new();
        let link = |own: &str| format!("\"<{own}>\"");
        listing.list(Kind::Tools).items[0].write(r#""t""#, link, &mut out);
        let expected = definition
            .replace(r#""ui:\/\/a""#, r#""<ui://a>""#)
            .replace(r#""ui://b""#, r#""<ui://b>""#);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
