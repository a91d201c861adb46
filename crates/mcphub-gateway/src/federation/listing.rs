//! What one server lists, ready to be listed under other names.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::members::{Members, is_object, string};
use crate::upstream::UpstreamTool;

/// The tools of one server, in its order.
#[derive(Debug, Default)]
pub struct Listing {
    pub(super) tools: Vec<ListedTool>,
    pub(super) digest: [u8; 32],
}

#[derive(Debug)]
pub(super) struct ListedTool {
    pub(super) name: Box<str>,
    definition: Box<str>,
    /// Where the definition has the name, with its quotes.
    name_at: Range<usize>,
}

impl Listing {
    /// The tools that an upstream listed.
    ///
    /// A definition that is not an object with distinct members, that has another name or no input
    /// schema object is left out with a warning: one bad tool does not hide the others. So is the
    /// second tool of a name.
    pub fn new(tools: Vec<UpstreamTool>) -> Self {
        let mut listed: Vec<ListedTool> = Vec::with_capacity(tools.len());
        let mut names = std::collections::HashSet::with_capacity(tools.len());
        let mut hash = Sha256::new();
        for tool in tools {
            if !names.insert(tool.name.clone()) {
                warn(&tool.name, "another tool of the server has its name");
                continue;
            }
            match name_at(&tool) {
                Ok(name_at) => {
                    let definition: Box<str> = tool.definition.into();
                    hash.update(meaning(&definition));
                    hash.update([0]);
                    listed.push(ListedTool {
                        name: tool.name.into(),
                        definition,
                        name_at,
                    });
                }
                Err(why) => warn(&tool.name, &why),
            }
        }
        Self {
            tools: listed,
            digest: hash.finalize().into(),
        }
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Whether both list the same definitions in the same order. Spaces and the order of members
    /// do not count: a server that is replaced by another program writes them differently, and
    /// clients are not to be told of that.
    pub fn same_as(&self, other: &Self) -> bool {
        self.tools.len() == other.tools.len() && self.digest == other.digest
    }

    /// Whether an upstream listed the very same text, which is told without reading it.
    pub fn repeats(&self, tools: &[UpstreamTool]) -> bool {
        let same = |(listed, tool): (&ListedTool, &UpstreamTool)| {
            *listed.name == *tool.name && *listed.definition == *tool.definition.get()
        };
        self.tools.len() == tools.len() && self.tools.iter().zip(tools).all(same)
    }
}

impl ListedTool {
    /// Appends the definition under another name; all else stays byte for byte. A legal name needs
    /// no escapes.
    pub(super) fn write(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.definition.as_bytes()[..self.name_at.start]);
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.definition.as_bytes()[self.name_at.end..]);
    }
}

/// A definition with its members in one order and without spaces.
fn meaning(definition: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(definition) {
        Ok(mut value) => {
            value.sort_all_objects();
            value.to_string()
        }
        Err(_) => definition.to_owned(),
    }
}

fn name_at(tool: &UpstreamTool) -> Result<Range<usize>, String> {
    let definition = tool.definition.get();
    let members = Members::read(definition)
        .map_err(|error| format!("its definition cannot be used: {error}"))?;
    if !members.get("inputSchema").is_some_and(is_object) {
        return Err("its definition has no inputSchema".to_owned());
    }
    let name = members.get("name").ok_or("its definition has no name")?;
    if string(name).as_deref() != Some(&tool.name) {
        return Err("its definition has another name".to_owned());
    }
    // Both are slices of one text.
    let start = name.get().as_ptr() as usize - definition.as_ptr() as usize;
    Ok(start..start + name.get().len())
}

fn warn(tool: &str, why: &str) {
    let tool: String = tool.chars().take(128).collect();
    tracing::warn!(tool, why, "a tool is left out of the list");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

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
        listing.tools[0].write("new", &mut out);
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
        assert!(listing.repeats(&[tool("good", good)]) && !listing.repeats(&[]));
        assert!(!listing.repeats(&[tool("good", r#"{"name":"good", "inputSchema":{}}"#)]));
        assert!(!listing.same_as(&Listing::new(vec![tool(
            "good",
            r#"{"name":"good","inputSchema":{"a":1}}"#
        )])));
    }
}
