//! Objects whose members can stand for themselves.

use std::borrow::Cow;

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde_json::{Map, Value, json};

use super::definitions::{Definitions, Form};
use crate::keyword::{get, has_type, reference};

/// The most members that become arguments of their own.
const MAX_MEMBERS: usize = 256;

/// How deep `allOf` is merged.
const MAX_DEPTH: usize = 8;

/// Keywords that tie members together, so that they cannot be told apart.
const TYING: [&str; 15] = [
    "oneOf",
    "anyOf",
    "not",
    "if",
    "then",
    "else",
    "enum",
    "const",
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedProperties",
    "prefixItems",
    "contains",
];

/// The members of a plain object that can be sent.
#[derive(Debug)]
pub(super) struct Members<'v> {
    pub(super) properties: Vec<(&'v str, Cow<'v, Value>)>,
    pub(super) required: Vec<&'v str>,
}

/// The members of a plain object while they are put together.
#[derive(Debug, Default)]
struct Gathered<'v> {
    properties: IndexMap<&'v str, Cow<'v, Value>>,
    required: Vec<&'v str>,
}

impl<'a> Definitions<'a> {
    /// The members of an object schema, `allOf` merged, without those that are only for answers;
    /// `None` when it is more than its members, has none, or is larger than `max` bytes.
    pub(super) fn members<'v>(&mut self, schema: &'v Value, max: usize) -> Option<Members<'v>>
    where
        'a: 'v,
    {
        let mut gathered = Gathered::default();
        let mut room = max;
        self.gather(schema, &mut gathered, &mut room, MAX_DEPTH)?;
        let Gathered {
            mut properties,
            required,
        } = gathered;
        for name in &required {
            // Required and not described: it accepts anything.
            properties
                .entry(name)
                .or_insert_with(|| Cow::Owned(json!({})));
        }
        if !(1..=MAX_MEMBERS).contains(&properties.len()) {
            return None;
        }
        let properties = properties.into_iter();
        Some(Members {
            properties: properties
                .filter(|(_, property)| !self.is_read_only(property))
                .collect(),
            required,
        })
    }

    fn gather<'v>(
        &mut self,
        schema: &'v Value,
        out: &mut Gathered<'v>,
        room: &mut usize,
        depth: usize,
    ) -> Option<()>
    where
        'a: 'v,
    {
        let depth = depth.checked_sub(1)?;
        let object = schema.as_object()?;
        if !is_plain(object) {
            return None;
        }
        if let Some(name) = reference(object) {
            // What is shared is copied into each tool, so its size counts each time.
            let index = self.index(name)?;
            *room = room.checked_sub(self.size(Form::Exact, index)?)?;
            let target = self.source(name)?;
            self.gather(target, out, room, depth)?;
        }
        for part in get(object, "allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.gather(part, out, room, depth)?;
        }
        for (name, property) in get(object, "properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            match out.properties.entry(name) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Cow::Borrowed(property));
                }
                Entry::Occupied(mut other) if **other.get() != *property => {
                    let both = json!({"allOf": [other.get(), property]});
                    other.insert(Cow::Owned(both));
                }
                Entry::Occupied(_) => {}
            }
        }
        let required = get(object, "required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for name in required.filter_map(Value::as_str) {
            if !out.required.contains(&name) {
                out.required.push(name);
            }
            if out.required.len() > MAX_MEMBERS {
                return None;
            }
        }
        (out.properties.len() <= MAX_MEMBERS).then_some(())
    }
}

fn is_plain(schema: &Map<String, Value>) -> bool {
    let open = get(schema, "additionalProperties")
        .is_some_and(|additional| *additional != Value::Bool(false));
    let other_type = get(schema, "type").is_some() && !has_type(schema, "object");
    !open && !other_type && !schema.keys().any(|key| TYING.contains(&key.as_str()))
}
