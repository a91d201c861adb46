//! How two sets of tools differ, for whoever judges a change of a server.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Tool, ToolAnnotations, ToolName, ToolSet};
use crate::schema::Schema;

/// The most characters of a text that a detail repeats.
const MAX_SHOWN: usize = 120;

/// The most details of one tool.
const MAX_DETAILS: usize = 50;

/// How deep schemas are compared; what is deeper counts as breaking where it differs.
const MAX_DEPTH: usize = 32;

/// What says nothing about which values fit.
const ANNOTATIONS: [&str; 9] = [
    "$comment",
    "default",
    "deprecated",
    "description",
    "example",
    "examples",
    "format",
    "title",
    "readOnly",
];

/// What became of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolDifference {
    /// Its name.
    pub name: ToolName,
    /// The gravest thing that happened to it.
    pub change: Change,
    /// All that happened to it, a line each, at most 50.
    pub details: Vec<String>,
}

/// What a change of a tool asks of whoever calls it, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// It says otherwise what it does. A model reads that, so somebody should.
    Described,
    /// It is new.
    Added,
    /// Each call that was possible is possible, and its answer is as it was told.
    Compatible,
    /// A call that was possible may be refused, its answer may be another, or it promises less.
    Breaking,
    /// It is gone.
    Removed,
}

impl Change {
    /// `described`, `added`, `compatible`, `breaking` or `removed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Described => "described",
            Self::Added => "added",
            Self::Compatible => "compatible",
            Self::Breaking => "breaking",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ToolSet {
    /// 64 hex digits that are the same for the same definitions as clients see them, in whatever
    /// order.
    pub fn definitions_digest(&self) -> String {
        let mut definitions: Vec<String> = self.tools.iter().map(definition).collect();
        definitions.sort_unstable();
        let mut hash = Sha256::new();
        for definition in &definitions {
            hash.update(definition);
            hash.update([0]);
        }
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// What became of the tools of this set in another one, by name. Empty where all are the same.
    pub fn differences(&self, after: &Self) -> Vec<ToolDifference> {
        let by_name = |set: &Self| -> BTreeMap<ToolName, usize> {
            let names = set.tools.iter().map(|tool| tool.name.clone());
            names.zip(0..).collect()
        };
        let (old, new) = (by_name(self), by_name(after));
        let mut all = Vec::new();
        for (name, at) in &old {
            let before = self.tools.get(*at);
            let now = new.get(name).and_then(|at| after.tools.get(*at));
            match (before, now) {
                (Some(before), Some(now)) => all.extend(before.difference(now)),
                _ => all.push(ToolDifference::whole(name, Change::Removed)),
            }
        }
        let added = new.keys().filter(|name| !old.contains_key(*name));
        all.extend(added.map(|name| ToolDifference::whole(name, Change::Added)));
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

impl ToolDifference {
    fn whole(name: &ToolName, change: Change) -> Self {
        Self {
            name: name.clone(),
            change,
            details: Vec::new(),
        }
    }
}

impl Tool {
    /// What became of this tool; `None` where clients see the same, and the same is called.
    pub fn difference(&self, after: &Self) -> Option<ToolDifference> {
        let mut found = Found::default();
        if self.description != after.description {
            let (old, new) = (shown(&self.description), shown(&after.description));
            found.note(Change::Described, format!("description: {old} → {new}"));
        }
        if self.title != after.title {
            let text = |title: &Option<String>| shown(title.as_deref().unwrap_or_default());
            let (old, new) = (text(&self.title), text(&after.title));
            found.note(Change::Described, format!("title: {old} → {new}"));
        }
        found.hints(self.annotations, after.annotations);
        found.binding(self, after);
        found.schemas(Side::Input, &self.input, &after.input);
        match (&self.output, &after.output) {
            (Some(before), Some(after)) => found.schemas(Side::Output, before, after),
            (Some(_), None) => {
                found.note(Change::Breaking, "answer: has no schema any more".into())
            }
            (None, Some(_)) => found.note(Change::Compatible, "answer: has a schema now".into()),
            (None, None) => {}
        }
        Some(ToolDifference {
            name: self.name.clone(),
            change: found.gravest?,
            details: found.details,
        })
    }
}

/// The definition with its members in one order.
fn definition(tool: &Tool) -> String {
    let mut value = json!({
        "name": tool.name, "title": tool.title, "description": tool.description,
        "input": tool.input.to_value(), "output": tool.output.as_ref().map(Schema::to_value),
        "annotations": tool.annotations,
    });
    value.sort_all_objects();
    value.to_string()
}

/// Whose values a schema is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Those of the caller: fewer may not fit.
    Input,
    /// Those of the server: no others may come.
    Output,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "argument",
            Self::Output => "answer",
        }
    }

    /// What it means that more values fit, or fewer.
    fn change(self, more: bool) -> Change {
        if (self == Self::Input) == more {
            Change::Compatible
        } else {
            Change::Breaking
        }
    }
}

#[derive(Default)]
struct Found {
    gravest: Option<Change>,
    details: Vec<String>,
}

impl Found {
    fn note(&mut self, change: Change, detail: String) {
        self.gravest = self.gravest.max(Some(change));
        if self.details.len() < MAX_DETAILS {
            self.details.push(detail);
        }
    }

    /// A hint is a promise: one that is not made any more is as bad as an argument that is refused.
    fn hints(&mut self, before: ToolAnnotations, after: ToolAnnotations) {
        for (hint, before, after, good) in [
            (
                "readOnlyHint",
                before.read_only_hint,
                after.read_only_hint,
                true,
            ),
            (
                "destructiveHint",
                before.destructive_hint,
                after.destructive_hint,
                false,
            ),
            (
                "idempotentHint",
                before.idempotent_hint,
                after.idempotent_hint,
                true,
            ),
            (
                "openWorldHint",
                before.open_world_hint,
                after.open_world_hint,
                false,
            ),
        ] {
            if before != after {
                let change = if after == good {
                    Change::Compatible
                } else {
                    Change::Breaking
                };
                self.note(change, format!("{hint}: {before} → {after}"));
            }
        }
    }

    /// Which request a call becomes.
    fn binding(&mut self, before: &Tool, after: &Tool) {
        let request = |tool: &Tool| format!("{} {}", tool.binding.method, tool.binding.path);
        let (old, new) = (request(before), request(after));
        if old != new {
            let same_method = before.binding.method == after.binding.method;
            let change = if same_method {
                Change::Compatible
            } else {
                Change::Breaking
            };
            self.note(
                change,
                format!("request: {} → {}", shown(&old), shown(&new)),
            );
        }
    }

    fn schemas(&mut self, side: Side, before: &Schema, after: &Schema) {
        self.objects(side, "", before.root(), after.root(), 0);
        for old in before.definitions() {
            let known = after.definitions().iter().find(|new| new.name == old.name);
            if let Some(new) = known {
                self.values(side, &old.name, &old.schema, &new.schema, 0);
            }
        }
    }

    fn values(&mut self, side: Side, at: &str, before: &Value, after: &Value, depth: usize) {
        match (before, after) {
            (before, after) if before == after => {}
            (Value::Object(before), Value::Object(after)) if depth < MAX_DEPTH => {
                self.objects(side, at, before, after, depth + 1);
            }
            // `true` is any value and `false` none.
            (_, Value::Bool(true)) | (Value::Bool(false), _) => {
                self.tell(side, side.change(true), at, "takes more than before");
            }
            (Value::Bool(true), _) | (_, Value::Bool(false)) => {
                self.tell(side, side.change(false), at, "takes less than before");
            }
            _ => self.tell(side, Change::Breaking, at, "is another"),
        }
    }

    fn objects(
        &mut self,
        side: Side,
        at: &str,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        depth: usize,
    ) {
        let nothing = Value::Null;
        let names = before
            .keys()
            .chain(after.keys().filter(|name| !before.contains_key(*name)));
        for keyword in names {
            let old = before.get(keyword).unwrap_or(&nothing);
            let new = after.get(keyword).unwrap_or(&nothing);
            if old == new {
                continue;
            }
            match keyword.as_str() {
                "properties" => self.properties(side, at, (before, after), (old, new), depth),
                "required" => self.required(side, at, (before, after), old, new),
                "items" | "additionalProperties" => {
                    let any = Value::Bool(true);
                    let or_any = |schema: &Value| match schema {
                        Value::Null => any.clone(),
                        schema => schema.clone(),
                    };
                    let place = join(at, if keyword == "items" { "[]" } else { "*" });
                    self.values(side, &place, &or_any(old), &or_any(new), depth);
                }
                annotation if ANNOTATIONS.contains(&annotation) => {
                    let (old, new) = (shown(&text(old)), shown(&text(new)));
                    self.tell(
                        side,
                        Change::Described,
                        at,
                        &format!("{annotation}: {old} → {new}"),
                    );
                }
                _ => {
                    let change = match takes_more(keyword, old, new) {
                        Some(more) => side.change(more),
                        None => Change::Breaking,
                    };
                    let (old, new) = (shown(&text(old)), shown(&text(new)));
                    self.tell(side, change, at, &format!("{keyword}: {old} → {new}"));
                }
            }
        }
    }

    fn properties(
        &mut self,
        side: Side,
        at: &str,
        (before, after): (&Map<String, Value>, &Map<String, Value>),
        (old, new): (&Value, &Value),
        depth: usize,
    ) {
        let none = Map::new();
        let (old, new) = (
            old.as_object().unwrap_or(&none),
            new.as_object().unwrap_or(&none),
        );
        for (name, schema) in old {
            let place = join(at, name);
            match new.get(name) {
                Some(now) => self.values(side, &place, schema, now, depth),
                None => self.tell(side, Change::Breaking, &place, "is gone"),
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            let place = join(at, name);
            if requires(after, name) && !requires(before, name) && side == Side::Input {
                self.tell(side, Change::Breaking, &place, "is new and required");
            } else {
                self.tell(side, Change::Compatible, &place, "is new");
            }
        }
    }

    fn required(
        &mut self,
        side: Side,
        at: &str,
        (before, after): (&Map<String, Value>, &Map<String, Value>),
        old: &Value,
        new: &Value,
    ) {
        let names = |list: &Value| -> Vec<String> {
            let names = list.as_array().into_iter().flatten();
            names
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        };
        let has = |schema: &Map<String, Value>, name: &str| {
            schema
                .get("properties")
                .is_some_and(|it| it.get(name).is_some())
        };
        let (old, new) = (names(old), names(new));
        // Properties that came or went are told as that.
        let stays = |name: &&String| has(before, name) && has(after, name);
        for name in new.iter().filter(|name| !old.contains(name)).filter(stays) {
            self.tell(side, side.change(false), &join(at, name), "is required now");
        }
        for name in old.iter().filter(|name| !new.contains(name)).filter(stays) {
            self.tell(
                side,
                side.change(true),
                &join(at, name),
                "is not required any more",
            );
        }
    }

    fn tell(&mut self, side: Side, change: Change, at: &str, what: &str) {
        let place = if at.is_empty() {
            side.name().to_owned()
        } else {
            format!("{} {}", side.name(), shown(at))
        };
        self.note(change, format!("{place}: {what}"));
    }
}

/// Whether a keyword's new value takes all that its old one took; `None` where nobody knows.
fn takes_more(keyword: &str, old: &Value, new: &Value) -> Option<bool> {
    let all_of = |some: &Value, others: &Value| -> Option<bool> {
        let list = |value: &Value| match value {
            Value::Array(list) => Some(list.clone()),
            Value::String(_) => Some(vec![value.clone()]),
            _ => None,
        };
        let (some, others) = (list(some)?, list(others)?);
        Some(some.iter().all(|value| others.contains(value)))
    };
    match keyword {
        "type" | "enum" => match (old, new) {
            (Value::Null, _) => Some(false),
            (_, Value::Null) => Some(true),
            _ if all_of(old, new)? => Some(true),
            _ if all_of(new, old)? => Some(false),
            _ => None,
        },
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            compared(old, new, Ordering::Less)
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            compared(old, new, Ordering::Greater)
        }
        "pattern" | "const" | "multipleOf" | "uniqueItems" | "not" => match (old, new) {
            (Value::Null, _) => Some(false),
            (_, Value::Null) => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a limit became looser: it is gone, or the new one lies on this side of the old one.
fn compared(old: &Value, new: &Value, looser: Ordering) -> Option<bool> {
    match (old, new) {
        (Value::Null, _) => Some(false),
        (_, Value::Null) => Some(true),
        _ => Some(new.as_f64()?.partial_cmp(&old.as_f64()?)? == looser),
    }
}

fn requires(schema: &Map<String, Value>, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|it| it == name))
}

fn join(at: &str, name: &str) -> String {
    match (at.is_empty(), name) {
        (true, _) => name.to_owned(),
        (false, "[]") => format!("{at}[]"),
        (false, _) => format!("{at}.{name}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The beginning of a text, in one line, quoted where it is not short.
fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None if line.is_empty() => "none".to_owned(),
        None => line,
    }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
