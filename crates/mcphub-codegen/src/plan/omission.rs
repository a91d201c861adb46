//! Keywords that a schema can do without, left out of it.

use serde_json::{Map, Value};

use crate::keyword::{each_child_mut, map_children_of};

/// Which keywords are left out, and how deep that begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Omission {
    keywords: &'static [&'static str],
    /// How many levels of schemas keep theirs.
    spared: usize,
}

impl Omission {
    pub(super) const NOTHING: Self = Self {
        keywords: &[],
        spared: 0,
    };

    /// What only speaks to people.
    pub(super) const TEXT: Self = Self {
        keywords: &["description", "title", "$comment"],
        spared: 0,
    };

    /// All that a schema can do without.
    pub(super) const REDUNDANT: Self = Self {
        keywords: &["description", "title", "$comment", "examples"],
        spared: 0,
    };

    /// The same, where the first levels of schemas keep all that they have.
    pub(super) const fn below(self, levels: usize) -> Self {
        Self {
            spared: levels,
            ..self
        }
    }

    /// What is left out of the schemas one level down.
    pub(super) fn inner(self) -> Self {
        self.below(self.spared.saturating_sub(1))
    }

    pub(super) fn omits(self, keyword: &str) -> bool {
        self.spared == 0 && self.keywords.contains(&keyword)
    }

    /// The schema without it.
    pub(super) fn of(self, schema: &Value) -> Value {
        match schema {
            Value::Object(object) => Value::Object(self.of_members(object)),
            other => other.clone(),
        }
    }

    /// Takes it out of the schema.
    pub(super) fn strip(self, object: &mut Map<String, Value>) {
        let inner = self.inner();
        object.retain(|key, _| !self.omits(key));
        each_child_mut(object, &mut |child| {
            if let Value::Object(child) = child {
                inner.strip(child);
            }
        });
    }

    fn of_members(self, object: &Map<String, Value>) -> Map<String, Value> {
        let inner = self.inner();
        map_children_of(object, |key| !self.omits(key), &mut |child| inner.of(child))
    }
}
