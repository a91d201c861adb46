//! Which of the tools that a server lists are served, by what somebody approved.

use std::collections::HashMap;

use mcphub_core::catalog::{CatalogServer, Upstream as Target};
use mcphub_core::connection::ChangePolicy;
use mcphub_core::tool::{Tool, ToolSet};

use crate::upstream::{Inventory, UpstreamTool, planned_tools};

/// What is served of an inventory, and how many of its tools wait for approval: those that are new
/// or differ from what was registered, where the server's policy is not to follow. Prompts and
/// resources are served as they are listed.
pub(crate) fn approved(server: &CatalogServer, inventory: Inventory) -> (Inventory, usize) {
    let policy = match &server.upstream {
        Target::Connected { connection, .. } => connection.changes(),
        _ => ChangePolicy::Follow,
    };
    match policy {
        ChangePolicy::Pin => pinned(&server.tools, inventory),
        ChangePolicy::Quarantine => quarantined(&server.tools, inventory),
        _ => (inventory, 0),
    }
}

/// The tools that were registered: as the server writes them where they are the same.
fn pinned(registered: &ToolSet, inventory: Inventory) -> (Inventory, usize) {
    let (same, waiting) = told_apart(registered, inventory.tools);
    let mut same: HashMap<String, UpstreamTool> = same
        .into_iter()
        .map(|tool| (tool.name.clone(), tool))
        .collect();
    let tools = planned_tools(registered).into_iter();
    let tools = tools.map(|tool| same.remove(&tool.name).unwrap_or(tool));
    let inventory = Inventory {
        tools: tools.collect(),
        ..inventory
    };
    (inventory, waiting)
}

/// The tools that are still as they were registered.
fn quarantined(registered: &ToolSet, inventory: Inventory) -> (Inventory, usize) {
    let (tools, waiting) = told_apart(registered, inventory.tools);
    (Inventory { tools, ..inventory }, waiting)
}

/// The tools that are as they were registered, and how many are not.
fn told_apart(registered: &ToolSet, tools: Vec<UpstreamTool>) -> (Vec<UpstreamTool>, usize) {
    let known: HashMap<&str, &Tool> = registered
        .tools
        .iter()
        .map(|tool| (tool.name.as_str(), tool))
        .collect();
    let all = tools.len();
    let is_same = |tool: &UpstreamTool| {
        let listed = Tool::listed(&tool.definition);
        let known = known.get(tool.name.as_str());
        listed
            .zip(known)
            .is_some_and(|(listed, known)| known.difference(&listed).is_none())
    };
    let same: Vec<UpstreamTool> = tools.into_iter().filter(is_same).collect();
    let waiting = all - same.len();
    (same, waiting)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcphub_core::catalog::CatalogVersion;
    use mcphub_core::connection::Connection;
    use mcphub_core::secret::Credentials;
    use mcphub_core::server::ServerName;
    use mcphub_core::spec::Dialect;
    use mcphub_core::tool::ApiInfo;
    use serde_json::value::RawValue;

    use super::*;

    fn raw(name: &str, description: &str) -> Box<RawValue> {
        let text = format!(
            r#"{{"name":"{name}", "description":"{description}","inputSchema":{{"type":"object"}},"_meta":{{"x":1}}}}"#
        );
        RawValue::from_string(text).unwrap()
    }

    fn served(policy: ChangePolicy, listed: &[(&str, &str)]) -> (Vec<(String, String)>, usize) {
        let registered = [("a", "one"), ("b", "two"), ("c", "three")];
        let connection = Connection::stdio(vec!["x".into()]).unwrap();
        let server = CatalogServer {
            name: ServerName::new("shop").unwrap(),
            revision: CatalogVersion::default(),
            tools: Arc::new(ToolSet {
                api: ApiInfo {
                    title: String::new(),
                    version: String::new(),
                    dialect: Dialect::default(),
                    description: None,
                },
                servers: Vec::new(),
                security_schemes: Default::default(),
                tools: registered
                    .iter()
                    .map(|(name, about)| Tool::listed(&raw(name, about)).unwrap())
                    .collect(),
            }),
            upstream: Target::Connected {
                connection: connection.with_changes(policy),
                credentials: Credentials::default(),
                listed: Default::default(),
            },
        };
        let tools = listed.iter().map(|(name, about)| UpstreamTool {
            name: (*name).to_owned(),
            definition: raw(name, about),
        });
        let (inventory, waiting) = approved(&server, Inventory::of_tools(tools.collect()));
        let shown = |tool: UpstreamTool| {
            let tool = Tool::listed(&tool.definition).unwrap();
            (tool.name.to_string(), tool.description)
        };
        (inventory.tools.into_iter().map(shown).collect(), waiting)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, about): &(&str, &str)| ((*name).to_owned(), (*about).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_changed_is_taken_over_kept_as_it_was_or_left_out() {
        let listed = [("d", "four"), ("b", "other"), ("a", "one")];
        let (follow, pin, quarantine) = (
            served(ChangePolicy::Follow, &listed),
            served(ChangePolicy::Pin, &listed),
            served(ChangePolicy::Quarantine, &listed),
        );
        assert_eq!(follow, (pairs(&listed), 0));
        assert_eq!(
            pin,
            (pairs(&[("a", "one"), ("b", "two"), ("c", "three")]), 2)
        );
        assert_eq!(quarantine, (pairs(&[("a", "one")]), 2));
    }
}
