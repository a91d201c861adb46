//! Schemas without references: what they refer to stands in its place.

use std::collections::HashMap;

use mcphub_core::spec::{Diagnostic, Severity};
use mcphub_core::tool::Profile;
use serde_json::{Map, Value, json};

use super::budget::{Planned, named};
use super::definitions::{Definitions, Form};
use super::draft::Draft;
use super::omission::Omission;
use super::outline::outline;
use super::{Planning, plain};
use crate::keyword::{map_children, reference};

/// How many references deep a schema is followed.
const MAX_DEPTH: usize = 8;

/// How many schemas deep a schema is written out, each two levels of JSON: readers take 128.
const MAX_LEVELS: usize = 48;

impl Planning<'_> {
    /// Gives all input schemas the form that the profile asks for.
    pub(super) fn reshape_inputs(&mut self, planned: &mut [Planned]) {
        let profile = self.options.choices.profile;
        if profile == Profile::Standard {
            return;
        }
        let mut cut = vec![false; planned.len()];
        for (planned, cut) in planned.iter_mut().zip(&mut cut) {
            let draft = std::mem::take(&mut planned.input);
            let max = self.options.max_input_schema;
            (planned.input, *cut) = self.inlined(draft, max, profile);
        }
        if let Some(names) = named(planned, &cut) {
            self.diagnostics.push(Diagnostic {
                severity: Severity::Info,
                code: "profile-simplified".to_owned(),
                pointer: String::new(),
                message: format!(
                    "the profile {} has no references; of what contains itself, nests deep or takes much room \
                     only the type is left in {names}",
                    profile.as_str()
                ),
            });
        }
    }

    /// The same for output schemas.
    pub(super) fn reshape_outputs(&mut self) {
        let profile = self.options.choices.profile;
        if profile == Profile::Standard {
            return;
        }
        for mut output in std::mem::take(&mut self.outputs) {
            let max = self.options.max_output_schema;
            (output.draft, _) = self.inlined(output.draft, max, profile);
            self.outputs.push(output);
        }
    }

    /// The schema as deep as it fits, at most [`MAX_DEPTH`] references, and whether that left
    /// anything out.
    fn inlined(&mut self, draft: Draft, max: usize, profile: Profile) -> (Draft, bool) {
        let forms: HashMap<usize, Form> = draft.entries.iter().copied().collect();
        let mut best = None;
        for depth in 0..=MAX_DEPTH {
            let mut inliner = Inliner {
                definitions: &mut self.definitions,
                forms: &forms,
                within: Vec::new(),
                level: 0,
                room: max,
                cut: false,
                over: false,
            };
            let mut root = inliner.members(&draft.root, depth);
            let (cut, over) = (inliner.cut, inliner.over);
            if profile == Profile::Plain {
                root = plain::root(&root);
            }
            let (size, _) = self.definitions.measure(&root, Omission::NOTHING);
            if best.is_some() && (over || size > max) {
                break;
            }
            let draft = Draft {
                root,
                size,
                ..Draft::default()
            };
            best = Some((draft, cut));
            if !cut {
                break;
            }
        }
        best.unwrap_or_default()
    }
}

/// One walk through a schema.
struct Inliner<'i, 'a> {
    definitions: &'i mut Definitions<'a>,
    forms: &'i HashMap<usize, Form>,
    /// The definitions that are being followed.
    within: Vec<usize>,
    /// How many schemas stand around this one.
    level: usize,
    /// Bytes that may still be added.
    room: usize,
    /// Whether something was left out.
    cut: bool,
    /// Whether that was for want of room.
    over: bool,
}

impl Inliner<'_, '_> {
    fn schema(&mut self, schema: &Value, depth: usize) -> Value {
        let Value::Object(object) = schema else {
            return schema.clone();
        };
        if self.level == MAX_LEVELS {
            self.cut = true;
            return outline(self.definitions.resolve(schema));
        }
        self.level += 1;
        let index = reference(object).and_then(|name| self.definitions.index(name));
        let followed = match index {
            Some(index) => self.target(index, object, depth),
            None => Value::Object(self.members(object, depth)),
        };
        self.level -= 1;
        followed
    }

    fn members(&mut self, object: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        map_children(object, &mut |child| self.schema(child, depth))
    }

    /// What a reference leads to, with what stands beside the reference.
    fn target(&mut self, index: usize, referring: &Map<String, Value>, depth: usize) -> Value {
        let form = self.forms.get(&index).copied().unwrap_or(Form::Outline);
        let Some(target) = self.definitions.get(form, index).cloned() else {
            return json!({});
        };
        let size = self.definitions.size(form, index).unwrap_or_default();
        let room = self.room.checked_sub(size);
        self.over |= room.is_none();
        self.cut |= form == Form::Outline;
        let followed = match (depth.checked_sub(1), room) {
            (Some(depth), Some(room)) if !self.within.contains(&index) => {
                self.room = room;
                self.within.push(index);
                let followed = self.schema(&target, depth);
                self.within.pop();
                followed
            }
            _ => {
                self.cut = true;
                outline(self.definitions.resolve(&target))
            }
        };
        beside(followed, referring)
    }
}

/// A schema with the keywords that stand beside the reference to it.
fn beside(target: Value, referring: &Map<String, Value>) -> Value {
    let describes = |key: &str| {
        matches!(
            key,
            "description"
                | "title"
                | "default"
                | "examples"
                | "deprecated"
                | "readOnly"
                | "writeOnly"
        )
    };
    let others = referring.iter().filter(|(key, _)| *key != "$ref");
    let mut others = others
        .map(|(key, value)| (key.clone(), value.clone()))
        .peekable();
    if others.peek().is_none() {
        return target;
    }
    let mut others: Map<String, Value> = others.collect();
    match target {
        Value::Object(mut target) if others.keys().all(|key| describes(key)) => {
            target.extend(others);
            Value::Object(target)
        }
        target => {
            match others.get_mut("allOf") {
                Some(Value::Array(all)) => all.push(target),
                _ => {
                    others.insert("allOf".to_owned(), json!([target]));
                }
            }
            Value::Object(others)
        }
    }
}
