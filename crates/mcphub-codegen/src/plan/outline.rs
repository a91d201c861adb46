//! A schema cut down to what its values are, without what is in them.

use serde_json::{Map, Value, json};

use super::definitions::Definitions;
use crate::json_size;
use crate::keyword::{each_child, get, has_type, map_children};

/// What an outline keeps.
const KEPT: [&str; 5] = ["type", "enum", "const", "format", "contentEncoding"];

/// The schema with its type, its values if they are listed, and items of any kind.
pub(super) fn outline(schema: &Value) -> Value {
    let Value::Object(source) = schema else {
        return json!({});
    };
    let mut out = Map::new();
    for key in KEPT {
        if let Some(value) = get(source, key) {
            out.insert(key.to_owned(), value.clone());
        }
    }
    if has_type(source, "array") {
        out.insert("items".to_owned(), json!({}));
    }
    Value::Object(out)
}

/// The root with so many levels of schemas inside of its members; what is deeper is an outline.
pub(super) fn cut(root: &Map<String, Value>, levels: usize) -> Map<String, Value> {
    // The root and its members stand above the first level.
    map_children(root, &mut |member| within(member, levels))
}

fn within(schema: &Value, levels: usize) -> Value {
    let Value::Object(source) = schema else {
        return schema.clone();
    };
    if let Some(levels) = levels.checked_sub(1) {
        return Value::Object(map_children(source, &mut |child| within(child, levels)));
    }
    let mut out = outline(schema);
    if let (Value::Object(out), Some(text)) = (&mut out, get(source, "description")) {
        out.insert("description".to_owned(), text.clone());
    }
    out
}

/// The bytes of an outline with what it says of itself.
pub(super) fn size(source: &Map<String, Value>) -> usize {
    let kept = |key: &&String| KEPT.contains(&key.as_str()) || *key == "description";
    let members = source.iter().filter(|(key, _)| kept(key));
    let (mut count, mut bytes) = (0, 0);
    for (key, value) in members {
        count += 1;
        bytes += key.len() + 3 + json_size::value(value);
    }
    if has_type(source, "array") {
        count += 1;
        bytes += r#""items":{}"#.len();
    }
    bytes + json_size::framed(count)
}

/// How many levels of schemas there are inside of the members of a root.
pub(super) fn levels(root: &Map<String, Value>) -> usize {
    fn depth(schema: &Map<String, Value>) -> usize {
        let mut deepest = 0;
        each_child(schema, &mut |child| {
            deepest = deepest.max(1 + child.as_object().map_or(0, depth));
        });
        deepest
    }
    depth(root).saturating_sub(1)
}

impl Definitions<'_> {
    /// An object whose members are outlines with what they say of themselves: there is nothing left
    /// that it refers to.
    pub(super) fn flat(&self, root: &Map<String, Value>) -> Map<String, Value> {
        let mut out = Map::with_capacity(root.len());
        for (key, value) in root {
            match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    let members = properties.iter();
                    let members = members.map(|(name, member)| (name.clone(), self.member(member)));
                    out.insert(key.clone(), Value::Object(members.collect()));
                }
                ("type" | "title" | "description", value) => {
                    out.insert(key.clone(), value.clone());
                }
                _ => {}
            }
        }
        out
    }

    fn member(&self, schema: &Value) -> Value {
        let target = self.resolve(schema);
        let mut out = outline(target);
        let text = |schema: &Value| schema.get("description").cloned();
        if let (Value::Object(out), Some(text)) = (&mut out, text(schema).or_else(|| text(target)))
        {
            out.insert("description".to_owned(), text);
        }
        if let (Value::Object(out), Some(items)) = (&mut out, target.get("items"))
            && out.contains_key("items")
        {
            out.insert("items".to_owned(), outline(self.resolve(items)));
        }
        out
    }
}
