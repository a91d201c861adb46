//! A virtual server as people write it: under `[virtual.NAME]` in the configuration, or in a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Pattern, ToolChange, VirtualServer};
use crate::server::ServerName;
use crate::tool::ToolName;
use crate::{Error, Result};

/// What a virtual server is made of, in words that were not checked yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Definition {
    /// What it tells a model about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Tools that are selected, each a [`Pattern`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Prompts that are selected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// Resources and templates that are selected, by their URIs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// What is changed of tools, by `SERVER/TOOL`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub change: BTreeMap<String, Changed>,
}

/// What is changed of a tool, as [`ToolChange`] has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Changed {
    /// Its name here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its description here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Arguments that each call has, with their values.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub preset: Map<String, Value>,
    /// Arguments that no call has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

impl Definition {
    /// How a virtual server is written.
    pub fn of(server: &VirtualServer) -> Self {
        let texts = |patterns: &[Pattern]| patterns.iter().map(Pattern::to_string).collect();
        let changes = server.changes.iter().map(|((of, tool), change)| {
            let changed = Changed {
                name: change.name.as_ref().map(|name| name.as_str().to_owned()),
                description: change.description.clone(),
                preset: change.preset.clone(),
                hidden: change.hidden.clone(),
            };
            (format!("{of}/{tool}"), changed)
        });
        Self {
            instructions: server.instructions.clone(),
            tools: texts(&server.tools),
            prompts: texts(&server.prompts),
            resources: texts(&server.resources),
            change: changes.collect(),
        }
    }

    /// The virtual server of this name.
    ///
    /// # Errors
    /// `InvalidInput` for selections and names that are none, two tools of one name, and changes of
    /// a tool that is not selected.
    pub fn server(&self, name: &ServerName) -> Result<VirtualServer> {
        let patterns = |texts: &[String]| -> Result<Vec<Pattern>> {
            texts.iter().map(|text| text.parse()).collect()
        };
        let mut server = VirtualServer::new(name.clone());
        server.instructions.clone_from(&self.instructions);
        server.tools = patterns(&self.tools)?;
        server.prompts = patterns(&self.prompts)?;
        server.resources = patterns(&self.resources)?;
        let others = server.prompts.iter().chain(&server.resources);
        if let Some(wrong) = others.into_iter().find(|it| it.is_of_tools()) {
            return Err(
                Error::invalid("only tools are selected by tag, method and path")
                    .with("selection", wrong),
            );
        }
        for (tool, changed) in &self.change {
            let wrong =
                || Error::invalid("a tool that is changed is SERVER/TOOL").with("tool", tool);
            let (of, own) = tool.split_once('/').ok_or_else(wrong)?;
            let of = ServerName::new(of).map_err(|_| wrong())?;
            let change = ToolChange {
                name: changed.name.as_ref().map(ToolName::new).transpose()?,
                description: changed.description.clone(),
                preset: changed.preset.clone(),
                hidden: changed.hidden.clone(),
            };
            server.changes.insert((of, own.to_owned()), change);
        }
        server.check()?;
        Ok(server)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(definition: Value) -> Result<VirtualServer> {
        let definition: Definition = serde_json::from_value(definition).unwrap();
        definition.server(&ServerName::new("desk").unwrap())
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        let written = json!({
            "instructions": "Orders and tickets.",
            "tools": ["shop/get*", "tracker/create_ticket", "shop/tag=orders"],
            "prompts": ["tracker/*"],
            "change": {"tracker/create_ticket": {
                "name": "report",
                "preset": {"queue": "desk", "tags": ["a", "b"]},
                "hidden": ["assignee"],
            }},
        });
        let server = read(written.clone()).unwrap();
        assert_eq!((server.tools.len(), server.prompts.len()), (3, 1));
        let change = server.changes.values().next().unwrap();
        assert_eq!(change.name.as_ref().unwrap().as_str(), "report");
        assert_eq!(change.preset["tags"], json!(["a", "b"]));
        let again = serde_json::to_value(Definition::of(&server)).unwrap();
        assert_eq!(again, written);
        assert_eq!(read(again).unwrap(), server);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for wrong in [
            json!({"tools": ["shop"]}),
            json!({"prompts": ["shop/tag=a"]}),
            json!({"tools": ["shop/*"], "change": {"getBook": {}}}),
            json!({"tools": ["shop/*"], "change": {"shop/getBook": {"name": "a b"}}}),
            json!({"tools": ["shop/x"], "change": {"shop/getBook": {}}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(serde_json::from_value::<Definition>(json!({"tool": []})).is_err());
    }
}
