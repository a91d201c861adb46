//! `x-mcp`: what a document, or an overlay over it, says about its tools. `docs/openapi.md` has
//! all of it.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;
use mcphub_core::spec::{ArgumentHints, ToolHints};

use super::answer_hint::AnswerHints;
use super::node::{Node, Object};
use super::path_item::Members;
use super::place::Place;
use super::remark::shown;
use super::schema::is_small;
use super::{Skip, Walk};

pub(super) const KEY: &str = "x-mcp";

/// What `x-mcp` may say of an operation and of an argument.
const OF_TOOL: [&str; 10] = [
    "hidden",
    "name",
    "title",
    "description",
    "tags",
    "group",
    "annotations",
    "fields",
    "pages",
    "rest",
];
const OF_ARGUMENT: [&str; 4] = ["hidden", "name", "description", "value"];

/// How deep `allOf` and references of a body are followed in search of its members.
const MAX_DEPTH: usize = 16;

/// What the members of a body say, while they are collected.
#[derive(Default)]
struct MemberHints {
    hints: IndexMap<String, ArgumentHints>,
    /// The shared schemas that were read already: they may lead back to themselves.
    seen: HashSet<Arc<str>>,
}

impl<'d> Walk<'d> {
    /// Whether an operation is to be no tool: the nearest says so, itself, its path item or the
    /// document.
    pub(super) fn is_hidden(
        &mut self,
        operation: &'d Node<'d>,
        at: Place<'_>,
        item: &Members<'_, 'd>,
    ) -> bool {
        if !self.extended {
            return false;
        }
        let own = operation.as_object().map(|object| (object, at));
        let root = self.document.as_object().map(|root| (root, Place::ROOT));
        let holders = [own, item.with(KEY), root];
        let mut hides = holders.into_iter().flatten();
        hides
            .find_map(|(object, at)| self.hides(object, at))
            .unwrap_or_default()
    }

    fn hides(&mut self, object: &'d Object<'d>, at: Place<'_>) -> Option<bool> {
        match object.get(KEY)? {
            Node::Bool(shown) => Some(!shown),
            Node::Object(members) => self.flag(members, "hidden", at.key(KEY)),
            other => {
                self.remarks
                    .wrong_type(at.key(KEY), "a boolean or an object", other);
                None
            }
        }
    }

    /// What an operation says of its tool.
    ///
    /// # Errors
    /// `expansion-limit`.
    pub(super) fn tool_hints(
        &mut self,
        operation: &'d Object<'d>,
        at: Place<'_>,
        item: &Members<'_, 'd>,
    ) -> Result<ToolHints, Skip> {
        let AnswerHints {
            fields,
            pages,
            rest,
        } = self.answer_hints(operation, at, item)?;
        let Some(Node::Object(said)) = operation.get(KEY) else {
            return Ok(ToolHints {
                fields,
                pages,
                rest,
                ..ToolHints::default()
            });
        };
        let at = at.key(KEY);
        self.known(said, &OF_TOOL, at);
        let hints_at = at.key("annotations");
        let annotations = self.object(said, "annotations", at);
        let mut flag = |name| self.flag(annotations?, name, hints_at);
        let (read_only, destructive) = (flag("readOnlyHint"), flag("destructiveHint"));
        let (idempotent, open_world) = (flag("idempotentHint"), flag("openWorldHint"));
        let hints = ToolHints {
            name: self.said(said, "name", at),
            title: self.said(said, "title", at),
            description: self.said(said, "description", at),
            read_only,
            destructive,
            idempotent,
            open_world,
            fields,
            pages,
            rest,
        };
        if self.shared {
            let texts = [&hints.name, &hints.title, &hints.description];
            self.charge(texts.into_iter().flatten().map(String::len).sum())?;
        }
        Ok(hints)
    }

    /// The object that has the tags of an operation's tool, and its place.
    pub(super) fn tags_of<'p>(
        &self,
        operation: &'d Object<'d>,
        at: Place<'p>,
        extension: Place<'p>,
    ) -> (&'d Object<'d>, Place<'p>) {
        match operation.get(KEY).and_then(Node::as_object) {
            Some(said) if said.contains_key("tags") => (said, extension),
            _ => (operation, at),
        }
    }

    /// The group that the nearest says: an operation or its path item.
    ///
    /// # Errors
    /// `expansion-limit`.
    pub(super) fn group_hint(
        &mut self,
        operation: &'d Object<'d>,
        at: Place<'_>,
        item: &Members<'_, 'd>,
    ) -> Result<Option<String>, Skip> {
        if !self.extended {
            return Ok(None);
        }
        let holders = [Some((operation, at)), item.with(KEY)];
        for (holder, at) in holders.into_iter().flatten() {
            let Some(Node::Object(said)) = holder.get(KEY) else {
                continue;
            };
            if let Some(group) = self.said(said, "group", at.key(KEY)) {
                self.charge(group.len())?;
                return Ok(Some(group));
            }
        }
        Ok(None)
    }

    /// What a parameter, or a member of a body, says of its argument.
    pub(super) fn argument_hints(
        &mut self,
        object: &'d Object<'d>,
        at: Place<'_>,
    ) -> ArgumentHints {
        let at = at.key(KEY);
        match object.get(KEY) {
            Some(Node::Object(said)) => {
                self.known(said, &OF_ARGUMENT, at);
                ArgumentHints {
                    name: self.said(said, "name", at),
                    description: self.said(said, "description", at),
                    hidden: self.flag(said, "hidden", at).unwrap_or_default(),
                    value: self.preset(said, at),
                }
            }
            Some(Node::Bool(shown)) => ArgumentHints {
                hidden: !shown,
                ..ArgumentHints::default()
            },
            Some(other) => {
                self.remarks.wrong_type(at, "a boolean or an object", other);
                ArgumentHints::default()
            }
            None => ArgumentHints::default(),
        }
    }

    /// A call cannot do without what is hidden here.
    pub(super) fn needs_value(&mut self, at: Place<'_>) {
        self.remarks.warn("required-argument", at.key(KEY), || {
            "a required argument is hidden only with a `value` that is sent instead".to_owned()
        });
    }

    /// What the members of a body say, by name.
    ///
    /// # Errors
    /// `expansion-limit`.
    pub(super) fn member_hints(
        &mut self,
        schema: Option<&'d Node<'d>>,
        at: Place<'_>,
    ) -> Result<IndexMap<String, ArgumentHints>, Skip> {
        let mut found = MemberHints::default();
        if let (true, Some(schema)) = (self.extended, schema) {
            self.collect_hints(schema, at, MAX_DEPTH, &mut found);
        }
        // Many operations may have the one body.
        self.charge(found.hints.len() * 256)?;
        Ok(found.hints)
    }

    fn collect_hints(
        &mut self,
        schema: &'d Node<'d>,
        at: Place<'_>,
        depth: usize,
        found: &mut MemberHints,
    ) {
        let (Some(depth), Ok(target)) = (depth.checked_sub(1), self.follow(schema, at)) else {
            return;
        };
        if let Some(pointer) = &target.pointer
            && !found.seen.insert(pointer.clone())
        {
            return;
        }
        let at = target.place(at);
        let Some(object) = target.object() else {
            return;
        };
        let all_at = at.key("allOf");
        let all = object.get("allOf").and_then(Node::as_array);
        for (index, part) in all.into_iter().flatten().enumerate() {
            self.collect_hints(part, all_at.index(index), depth, found);
        }
        let properties_at = at.key("properties");
        let properties = object.get("properties").and_then(Node::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let Some(property) = property.as_object().filter(|p| p.contains_key(KEY)) else {
                continue;
            };
            let said = self.argument_hints(property, properties_at.key(name));
            found.hints.insert(name.to_owned(), said);
        }
    }

    fn preset(&mut self, said: &'d Object<'d>, at: Place<'_>) -> Option<serde_json::Value> {
        let value = said.get("value")?;
        if is_small(value) {
            return Some(value.to_value());
        }
        self.remarks.warn("too-large", at.key("value"), || {
            "a value that every call sends has at most 48 parts and 2,048 bytes; it is left out"
                .to_owned()
        });
        None
    }

    /// Text that says something.
    fn said(&mut self, said: &'d Object<'d>, key: &str, at: Place<'_>) -> Option<String> {
        let text = self.text(said, key, at)?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn known(&mut self, said: &'d Object<'d>, known: &[&str], at: Place<'_>) {
        for key in said.keys().filter(|key| !known.contains(key)) {
            self.remarks.warn("unknown-hint", at.key(key), || {
                format!("{} means nothing here; {} do", shown(key), known.join(", "))
            });
        }
    }
}
