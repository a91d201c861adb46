//! Schemas of JSON Schema before 2020-12, where a document says that it has such: `$schema` of a
//! schema, or `jsonSchemaDialect` of the document (OpenAPI 3.1.1, Schema Object).
//!
//! What older drafts say in other words is said in those of 2020-12: `items` that is an array with
//! `additionalItems`, `dependencies`, and `id` (in [`super::super::identifier`]). Boolean bounds and
//! `definitions` need nothing said: they are read so in every document.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::Walk;
use super::super::node::{Node, Object};
use super::super::place::Place;
use super::repair;

/// What a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Draft {
    /// Draft 4, 6 or 7: what stands beside `$ref` is ignored.
    Old,
    /// 2019-09.
    Recent,
    /// 2020-12, or OpenAPI's own.
    Current,
}

impl Draft {
    /// The draft with that URI; `None` for another dialect.
    pub(super) fn of(uri: &str) -> Option<Self> {
        let path = uri.split_once("://").map_or(uri, |(_, path)| path);
        let path = path.trim_end_matches(['#', '/']);
        Some(match path.strip_prefix("json-schema.org/")? {
            "draft-04/schema" | "draft-06/schema" | "draft-07/schema" => Self::Old,
            "draft/2019-09/schema" => Self::Recent,
            "draft/2020-12/schema" => Self::Current,
            _ => return None,
        })
    }
}

/// Where schemas are of another draft than 2020-12.
#[derive(Debug, Clone)]
pub(in super::super) struct Drafted {
    pub(super) draft: Draft,
    /// Where the schema stands that says so; empty for the whole document.
    root: Arc<str>,
}

impl Drafted {
    /// Whether a place is inside.
    fn holds(&self, pointer: &str) -> bool {
        let rest = pointer.strip_prefix(&*self.root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl<'d> Walk<'d> {
    /// Enters a schema that may say what it is written in; what held outside, to be restored.
    pub(super) fn enter_draft(&mut self, source: &'d Object<'d>, at: Place<'_>) -> Option<Drafted> {
        let outer = self.schemas.drafted.clone();
        let stated = source.get("$schema").and_then(Node::as_str);
        if let Some(draft) = stated
            .filter(|_| self.reference_siblings())
            .and_then(Draft::of)
        {
            self.schemas.drafted = Some(Drafted {
                draft,
                root: at.pointer().into(),
            });
        }
        outer
    }

    /// Takes the whole document's schemas for those of a draft.
    pub(in super::super) fn document_draft(&mut self, root: &'d Object<'d>) {
        let stated = root.get("jsonSchemaDialect").and_then(Node::as_str);
        self.schemas.drafted = stated.and_then(Draft::of).map(|draft| Drafted {
            draft,
            root: "".into(),
        });
    }

    /// What holds for a schema elsewhere that is referred to from here.
    pub(super) fn draft_at(&self, pointer: &str) -> Option<Drafted> {
        self.schemas
            .drafted
            .clone()
            .filter(|drafted| drafted.holds(pointer))
    }

    pub(super) fn draft(&self) -> Draft {
        self.schemas
            .drafted
            .as_ref()
            .map_or(Draft::Current, |drafted| drafted.draft)
    }

    /// `items` that is an array, a tuple until 2019-09, and `additionalItems` beside it.
    pub(super) fn tuple(
        &mut self,
        items: &'d [Node<'d>],
        source: &'d Object<'d>,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let additional = source.get("additionalItems");
        let meant = self.draft() != Draft::Current || additional.is_some();
        if !meant {
            self.remarks.warn("invalid-keyword", at, || {
                "`items` is one schema; an array of them is a tuple".to_owned()
            });
        }
        match items {
            [] => {}
            // Not a tuple of one: what is meant is a list.
            [one] if !meant => {
                let schema = self.schema(one, at.index(0));
                out.insert("items".to_owned(), schema);
                return;
            }
            items => {
                let schemas = self.schemas_of(items, at);
                out.insert("prefixItems".to_owned(), Value::Array(schemas));
            }
        }
        if let Some(additional @ (Node::Object(_) | Node::Bool(_))) = additional {
            // `items` stands beside it.
            let schema = self.schema(additional, at.beside("additionalItems"));
            out.insert("items".to_owned(), schema);
        }
    }

    /// `dependencies`, which 2019-09 took apart by what is needed: names or a schema.
    pub(super) fn dependencies(
        &mut self,
        members: &'d Object<'d>,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let (mut names, mut schemas) = (Map::new(), Map::new());
        for (name, needed) in members {
            match needed {
                Node::Array(_) => {
                    let needed = repair::names(needed).unwrap_or_default();
                    names.insert(name.to_owned(), needed);
                }
                needed => {
                    let schema = self.schema(needed, at.key(name));
                    schemas.insert(name.to_owned(), schema);
                }
            }
        }
        for (key, members) in [("dependentRequired", names), ("dependentSchemas", schemas)] {
            if !members.is_empty() && !out.contains_key(key) {
                out.insert(key.to_owned(), Value::Object(members));
            }
        }
    }
}
