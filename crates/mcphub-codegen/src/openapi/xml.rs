//! XML Object: how the values of a body become XML.
//!
//! Read from the document itself, because the schemas of tools have no place for it. What is
//! referred to becomes a type of the shape, once, so that recursive schemas end.

use std::sync::Arc;

use mcphub_core::spec::{XmlKind, XmlNode, XmlShape};

use super::node::{Node, Object};
use super::place::Place;
use super::{Skip, Walk};

/// The most schemas that one shape is made of; values of others have their usual form.
const MAX_NODES: usize = 4_096;

/// How deep schemas nest in one another without references.
const MAX_DEPTH: usize = 64;

/// What one schema takes, in bytes.
const NODE: usize = 128;

struct Shaping<'d> {
    shape: XmlShape,
    /// Types that are named and not read yet, by where they stand.
    open: Vec<(Arc<str>, &'d Node<'d>)>,
    left: usize,
}

impl<'d> Walk<'d> {
    /// How values of a schema become XML.
    ///
    /// # Errors
    /// There is no room for it: each operation has a shape of its own.
    pub(super) fn xml_shape(
        &mut self,
        schema: Option<&'d Node<'d>>,
        at: Place<'_>,
    ) -> Result<XmlShape, Skip> {
        let mut shaping = Shaping {
            shape: XmlShape::default(),
            open: Vec::new(),
            left: MAX_NODES,
        };
        let Some(schema) = schema else {
            return Ok(shaping.shape);
        };
        let mut root = XmlNode::default();
        self.xml_node(schema, at, &mut root, &mut shaping, MAX_DEPTH);
        while let Some((pointer, schema)) = shaping.open.pop() {
            let mut node = XmlNode::default();
            let at = Place::Pointer(&pointer);
            self.xml_node(schema, at, &mut node, &mut shaping, MAX_DEPTH);
            shaping.shape.types.insert(pointer.to_string(), node);
        }
        self.charge(NODE * (MAX_NODES - shaping.left))?;
        let named = |node: &XmlNode| node.name.is_some();
        let types = &shaping.shape.types;
        if !named(&root)
            && !root
                .types
                .iter()
                .filter_map(|name| types.get(name))
                .any(named)
        {
            // 3.0.4, XML Object, `name`: that of the component.
            let reference = schema.get("$ref").and_then(Node::as_str);
            let name = reference.and_then(|reference| reference.rsplit('/').next());
            root.name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        }
        if shaping.left == 0 {
            self.remarks.warn("too-many", at, || {
                format!("only the first {MAX_NODES} schemas say how values become XML")
            });
        }
        shaping.shape.root = root;
        Ok(shaping.shape)
    }

    fn xml_node(
        &mut self,
        schema: &'d Node<'d>,
        at: Place<'_>,
        node: &mut XmlNode,
        shaping: &mut Shaping<'d>,
        depth: usize,
    ) {
        let (Node::Object(schema), Some(depth)) = (schema, depth.checked_sub(1)) else {
            return;
        };
        shaping.left = shaping.left.saturating_sub(1);
        if shaping.left == 0 {
            return;
        }
        if let Some(reference) = schema.get("$ref").and_then(Node::as_str) {
            self.xml_reference(reference, at, node, shaping);
        }
        if let Some(Node::Object(xml)) = schema.get("xml") {
            say(xml, node);
        }
        for part in schema
            .get("allOf")
            .and_then(Node::as_array)
            .into_iter()
            .flatten()
        {
            self.xml_node(part, at, node, shaping, depth);
        }
        for key in ["oneOf", "anyOf"] {
            for branch in schema
                .get(key)
                .and_then(Node::as_array)
                .into_iter()
                .flatten()
            {
                self.xml_node(branch, at, node, shaping, depth);
            }
        }
        for (name, property) in schema
            .get("properties")
            .and_then(Node::as_object)
            .into_iter()
            .flatten()
        {
            let mut member = node.members.shift_remove(name).unwrap_or_default();
            self.xml_node(property, at, &mut member, shaping, depth);
            node.members.insert(name.to_owned(), member);
        }
        if let Some(items) = schema.get("items") {
            let mut item = node.items.take().unwrap_or_default();
            self.xml_node(items, at, &mut item, shaping, depth);
            node.items = Some(item);
        }
    }

    fn xml_reference(
        &mut self,
        reference: &'d str,
        at: Place<'_>,
        node: &mut XmlNode,
        shaping: &mut Shaping<'d>,
    ) {
        // What cannot be followed is said where the schema itself is read.
        let Ok((target, pointer)) = self.refer(reference, at) else {
            return;
        };
        let name = pointer.to_string();
        if !shaping.shape.types.contains_key(&name) {
            shaping.shape.types.insert(name.clone(), XmlNode::default());
            shaping.open.push((pointer, target));
        }
        if !node.types.contains(&name) {
            node.types.push(name);
        }
    }
}

/// What an XML Object says of the node.
fn say(xml: &Object<'_>, node: &mut XmlNode) {
    let text = |key: &str| {
        let text = xml.get(key).and_then(Node::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let flag = |key: &str| matches!(xml.get(key), Some(Node::Bool(true)));
    node.name = text("name").or(node.name.take());
    node.namespace = text("namespace").or(node.namespace.take());
    node.prefix = text("prefix").or(node.prefix.take());
    node.wrapped |= flag("wrapped");
    if flag("attribute") {
        node.kind = XmlKind::Attribute;
    }
    // 3.2.0; an array with `element` is one that was wrapped before.
    match xml.get("nodeType").and_then(Node::as_str) {
        Some("attribute") => node.kind = XmlKind::Attribute,
        Some("text") => node.kind = XmlKind::Text,
        Some("cdata") => node.kind = XmlKind::CData,
        Some("element") => node.wrapped = true,
        _ => {}
    }
}
