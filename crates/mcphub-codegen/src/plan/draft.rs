//! Schemas before they are made: a root, and the definitions that it takes, each in one form.

use mcphub_core::schema::Schema;
use mcphub_core::spec::{Operation, Severity};
use serde_json::{Map, Value, json};

use super::definitions::{Definitions, Form};
use super::omission::Omission;
use super::{Planning, measure};
use crate::json_size;

/// The bytes of `,"$defs":{}`.
pub(super) const DEFS: usize = 11;

/// A schema before it is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) root: Map<String, Value>,
    /// What the root refers to.
    pub(super) roots: Vec<usize>,
    /// The definitions, each in its form.
    pub(super) entries: Vec<(usize, Form)>,
    /// The bytes of all of it as compact JSON, or a few more.
    pub(super) size: usize,
}

impl Draft {
    pub(super) fn make(self, definitions: &mut Definitions<'_>) -> Schema {
        Schema::new(self.root, definitions.list(self.entries))
    }
}

impl Definitions<'_> {
    /// The bytes of a root with what follows it but the definitions, and what it refers to.
    pub(super) fn measure(
        &self,
        root: &Map<String, Value>,
        omission: Omission,
    ) -> (usize, Vec<usize>) {
        let mut roots = Vec::new();
        let size = measure::members(root, omission, &mut |name| roots.extend(self.index(name)));
        (size + if roots.is_empty() { 0 } else { DEFS }, roots)
    }

    /// The bytes of these entries of `$defs`.
    pub(super) fn entries_size(
        &mut self,
        entries: impl IntoIterator<Item = (usize, Form)>,
    ) -> usize {
        let entries = entries.into_iter();
        entries
            .map(|(index, form)| self.entry_size(form, index))
            .sum()
    }
}

impl Planning<'_> {
    /// An input schema with its definitions, made to fit the bound of one.
    pub(super) fn bounded(&mut self, mut root: Map<String, Value>, operation: &Operation) -> Draft {
        let max = self.options.max_input_schema;
        let (mut size, mut roots) = self.definitions.measure(&root, Omission::NOTHING);
        let losses = [
            (Form::Exact, None),
            (Form::Plain, Some("the descriptions of nested values")),
            (
                Form::Bare,
                Some("descriptions and examples of nested values"),
            ),
        ];
        let mut found = None;
        for (form, loss) in losses {
            let room = max.saturating_sub(size);
            let reached = self.definitions.reach(form, &roots, room);
            if size <= max && !reached.over {
                let entries = reached.found.into_iter().map(|(index, _)| (index, form));
                found = Some((entries.collect(), reached.size, loss));
                break;
            }
        }
        let (entries, bytes, lost) = found.unwrap_or_else(|| {
            if let Some((entries, bytes)) = self.shallow(&roots, size) {
                return (entries, bytes, Some("the schemas of deeply nested values"));
            }
            shrink(&mut root, max);
            (size, roots) = self.definitions.measure(&root, Omission::NOTHING);
            let (entries, bytes) = self.shallow(&roots, size).unwrap_or_else(|| {
                let open: Vec<_> = roots.iter().map(|root| (*root, Form::Open)).collect();
                let bytes = self.definitions.entries_size(open.iter().copied());
                (open, bytes)
            });
            (entries, bytes, Some("the schemas of large arguments"))
        });
        if let Some(lost) = lost {
            let message =
                format!("the input schema has more than {max} bytes; {lost} are left out of it");
            self.remark(
                Severity::Warning,
                "input-schema-simplified",
                operation,
                message,
            );
        }
        Draft {
            root,
            roots,
            entries,
            size: size + bytes,
        }
    }

    /// The definitions up to the distance that fits beside `size` bytes; those one step farther are
    /// outlines.
    pub(super) fn shallow(
        &mut self,
        roots: &[usize],
        size: usize,
    ) -> Option<(Vec<(usize, Form)>, usize)> {
        let max = self.options.max_input_schema;
        let room = max.checked_sub(size)?;
        let ladder = self.definitions.ladder(roots, max);
        let rung = ladder.highest(room)?;
        Some((ladder.entries(rung), ladder.size(rung)))
    }
}

/// Takes descriptions and examples out of the arguments, then the schemas of the largest, until
/// the rest has at most half of `max` bytes.
fn shrink(root: &mut Map<String, Value>, max: usize) {
    let Some(Value::Object(properties)) = root.get_mut("properties") else {
        return;
    };
    let mut sizes = Vec::with_capacity(properties.len());
    for (name, schema) in properties.iter_mut() {
        *schema = Omission::REDUNDANT.of(schema);
        sizes.push((json_size::value(schema), name.clone()));
    }
    let mut total: usize = sizes.iter().map(|(size, name)| size + name.len() + 4).sum();
    sizes.sort_by(|a, b| b.cmp(a));
    for (size, name) in sizes {
        if total <= max / 2 {
            break;
        }
        properties.insert(name, json!({}));
        total = total.saturating_sub(size);
    }
}
