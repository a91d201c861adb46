//! XML Objects in the OpenAPI document: what the shape of a body says goes back to its schemas.

use std::collections::HashSet;

use mcphub_core::spec::{XmlKind, XmlNode, XmlShape};
use serde_json::{Map, Value, json};

/// How deep schemas are followed, and how many types one node has.
const MAX: usize = 32;

/// Writes XML Objects into a schema and into the components that it refers to.
pub(super) struct XmlObjects<'a> {
    pub(super) shape: &'a XmlShape,
    pub(super) components: &'a mut Map<String, Value>,
    /// What a reference to a component begins with.
    pub(super) prefix: &'a str,
    /// The components that have theirs.
    pub(super) done: HashSet<String>,
}

impl XmlObjects<'_> {
    pub(super) fn write(&mut self, schema: &mut Value, node: &XmlNode, depth: usize) {
        if depth > MAX {
            return;
        }
        let reference = schema.get("$ref").and_then(Value::as_str);
        let component = reference.and_then(|reference| reference.strip_prefix(self.prefix));
        if let Some(name) = component.map(str::to_owned) {
            if self.done.insert(name.clone())
                && let Some(mut target) = self.components.get(&name).cloned()
            {
                let of_types = XmlNode {
                    types: node.types.clone(),
                    ..XmlNode::default()
                };
                self.write(&mut target, &of_types, depth + 1);
                self.components.insert(name, target);
            }
            // Beside a reference stands what is said of this use alone.
            let own = XmlNode {
                types: Vec::new(),
                ..node.clone()
            };
            say(schema, &[&own]);
            return;
        }
        let shape = self.shape;
        let mut nodes = vec![node];
        let mut next = 0;
        while let Some(node) = nodes.get(next).copied() {
            next += 1;
            let room = MAX.saturating_sub(nodes.len());
            let types = node.types.iter().take(room);
            nodes.extend(types.filter_map(|name| shape.types.get(name)));
        }
        say(schema, &nodes);
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            if let Some(member) = nodes.iter().find_map(|node| node.members.get(name)) {
                self.write(property, member, depth + 1);
            }
        }
        let item = nodes.iter().find_map(|node| node.items.as_deref());
        if let (Some(items), Some(item)) = (schema.get_mut("items"), item) {
            self.write(items, item, depth + 1);
        }
    }
}

fn say(schema: &mut Value, nodes: &[&XmlNode]) {
    let mut xml = Map::new();
    let text = |of: fn(&XmlNode) -> Option<&String>| nodes.iter().copied().find_map(of);
    for (key, value) in [
        ("name", text(|node| node.name.as_ref())),
        ("namespace", text(|node| node.namespace.as_ref())),
        ("prefix", text(|node| node.prefix.as_ref())),
    ] {
        xml.extend(value.map(|value| (key.to_owned(), value.as_str().into())));
    }
    let kinds = nodes.iter().map(|node| node.kind);
    match kinds.into_iter().find(|kind| !kind.is_element()) {
        Some(XmlKind::Attribute) => {
            xml.insert("attribute".to_owned(), true.into());
        }
        Some(XmlKind::Text) => {
            xml.insert("nodeType".to_owned(), "text".into());
        }
        Some(XmlKind::CData) => {
            xml.insert("nodeType".to_owned(), "cdata".into());
        }
        _ => {}
    }
    if nodes.iter().any(|node| node.wrapped) {
        xml.insert("wrapped".to_owned(), json!(true));
    }
    if let (false, Value::Object(schema)) = (xml.is_empty(), schema) {
        schema.insert("xml".to_owned(), Value::Object(xml));
    }
}
