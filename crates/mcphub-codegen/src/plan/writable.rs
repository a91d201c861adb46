//! Schemas of requests: what is only for answers is left out of them (`readOnly`, OpenAPI 3.0.4,
//! Schema Object; there it is also that `required` holds for answers alone then).
//!
//! What can have one value only stays: it tells alternatives apart.

use serde_json::{Map, Value};

use super::definitions::Definitions;
use crate::keyword::{Keyword, get};

/// How deep `allOf` is searched for members that are only for answers.
const MAX_DEPTH: usize = 8;

impl Definitions<'_> {
    /// The schema for requests; `None` where it is one already.
    pub(super) fn writable(&self, schema: &Value) -> Option<Value> {
        self.writable_part(schema, &[])
    }

    /// Whether a member is only for answers.
    pub(super) fn is_read_only(&self, property: &Value) -> bool {
        let says = |schema: &Value| {
            let said = schema.as_object().and_then(|it| get(it, "readOnly"));
            said == Some(&Value::Bool(true))
        };
        says(property) || says(self.resolve(property))
    }

    /// A schema within `allOf` of one whose parts say that these members are only for answers.
    fn writable_part(&self, schema: &Value, above: &[&str]) -> Option<Value> {
        let object = schema.as_object()?;
        let mut hidden = above.to_vec();
        self.hidden(object, &mut hidden, MAX_DEPTH);
        let mut out: Option<Map<String, Value>> = None;
        for (key, value) in object {
            let changed = match (key.as_str(), value) {
                ("required", Value::Array(names)) => {
                    let is_sent =
                        |name: &&Value| !name.as_str().is_some_and(|name| hidden.contains(&name));
                    let sent: Vec<_> = names.iter().filter(is_sent).cloned().collect();
                    (sent.len() < names.len()).then_some(Value::Array(sent))
                }
                ("properties", Value::Object(properties)) => self.writable_members(properties),
                ("allOf", Value::Array(parts)) => {
                    writable_list(parts, |part| self.writable_part(part, &hidden))
                }
                (key, value) => match (Keyword::of(key), value) {
                    (Some(Keyword::Schema), value) => self.writable(value),
                    (Some(Keyword::List), Value::Array(items)) => {
                        writable_list(items, |item| self.writable(item))
                    }
                    (Some(Keyword::Named | Keyword::Patterned), Value::Object(named)) => {
                        writable_named(named, |item| self.writable(item))
                    }
                    _ => None,
                },
            };
            if let Some(changed) = changed {
                let out = out.get_or_insert_with(|| object.clone());
                if changed == Value::Array(Vec::new()) {
                    out.shift_remove(key);
                } else {
                    out.insert(key.clone(), changed);
                }
            }
        }
        out.map(Value::Object)
    }

    fn writable_members(&self, properties: &Map<String, Value>) -> Option<Value> {
        let mut changed = writable_named(properties, |property| self.writable(property));
        for (name, property) in properties {
            if self.is_hidden(property) {
                let all = || Value::Object(properties.clone());
                if let Value::Object(left) = changed.get_or_insert_with(all) {
                    left.shift_remove(name);
                }
            }
        }
        changed
    }

    /// The members of an object that requests do not have, those of its parts too.
    fn hidden<'v>(&'v self, object: &'v Map<String, Value>, out: &mut Vec<&'v str>, depth: usize) {
        let properties = get(object, "properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if self.is_hidden(property) {
                out.push(name);
            }
        }
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        let parts = get(object, "allOf").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            if let Some(part) = self.resolve(part).as_object() {
                self.hidden(part, out, depth);
            }
        }
    }

    fn is_hidden(&self, property: &Value) -> bool {
        let has_choice = |schema: &Value| {
            let values = schema.get("enum").and_then(Value::as_array);
            schema.get("const").is_none() && values.is_none_or(|values| values.len() > 1)
        };
        self.is_read_only(property) && has_choice(property) && has_choice(self.resolve(property))
    }
}

/// The list with what there is in place of its items; `None` where nothing is.
fn writable_list(items: &[Value], of: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    let mut out: Option<Vec<Value>> = None;
    for (index, item) in items.iter().enumerate() {
        if let Some(changed) = of(item)
            && let Some(slot) = out.get_or_insert_with(|| items.to_vec()).get_mut(index)
        {
            *slot = changed;
        }
    }
    out.map(Value::Array)
}

fn writable_named(
    named: &Map<String, Value>,
    of: impl Fn(&Value) -> Option<Value>,
) -> Option<Value> {
    let mut out: Option<Map<String, Value>> = None;
    for (name, item) in named {
        if let Some(changed) = of(item) {
            out.get_or_insert_with(|| named.clone())
                .insert(name.clone(), changed);
        }
    }
    out.map(Value::Object)
}
