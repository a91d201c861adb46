//! `[virtual.NAME]` in the configuration: chosen tools, prompts and resources of several servers.

use std::collections::BTreeMap;

use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolName;
use mcphub_core::{Error, Result};
use mcphub_gateway::federation::{Pattern, ToolChange, VirtualServer};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A virtual server as it is configured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configured {
    instructions: Option<String>,
    tools: Vec<String>,
    prompts: Vec<String>,
    resources: Vec<String>,
    /// By `SERVER/TOOL`.
    change: BTreeMap<String, Changed>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Changed {
    name: Option<String>,
    description: Option<String>,
    preset: Map<String, Value>,
    hidden: Vec<String>,
}

impl Configured {
    /// The virtual server of this name.
    ///
    /// # Errors
    /// `InvalidInput` for selections and names that are none, two tools of one name, and changes of
    /// a tool that is not selected.
    pub fn server(&self, name: &ServerName) -> Result<VirtualServer> {
        self.read(name)
            .map_err(|error| error.with("in", format!("[virtual.{name}]")))
    }

    fn read(&self, name: &ServerName) -> Result<VirtualServer> {
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
            let mut change = ToolChange::default();
            change.name = changed.name.as_ref().map(ToolName::new).transpose()?;
            change.description.clone_from(&changed.description);
            change.preset.clone_from(&changed.preset);
            change.hidden.clone_from(&changed.hidden);
            server.changes.insert((of, own.to_owned()), change);
        }
        server.check()?;
        Ok(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<VirtualServer> {
        let configured: Configured = toml::from_str(text).unwrap();
        configured.server(&ServerName::new("desk").unwrap())
    }

    #[test]
    fn it_is_read_as_the_readme_writes_it() {
        let server = read(
            r#"
            instructions = "Orders and tickets."
            tools = ["shop/get*", "tracker/create_ticket"]
            prompts = ["tracker/*"]
            [change."tracker/create_ticket"]
            name = "report"
            preset = { queue = "desk", tags = ["a", "b"] }
            hidden = ["assignee"]
            "#,
        )
        .unwrap();
        assert_eq!((server.tools.len(), server.prompts.len()), (2, 1));
        let change = server.changes.values().next().unwrap();
        assert_eq!(change.name.as_ref().unwrap().as_str(), "report");
        assert_eq!(change.preset["tags"], serde_json::json!(["a", "b"]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for text in [
            "tools = ['shop']",
            "prompts = ['shop/tag=a']",
            "tools = ['shop/*']\n[change.getBook]",
            "tools = ['shop/*']\n[change.'shop/getBook']\nname = 'a b'",
            "tools = ['shop/x']\n[change.'shop/getBook']",
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains("[virtual.desk]"), "{error}");
        }
        assert!(toml::from_str::<Configured>("tool = []").is_err());
    }
}
