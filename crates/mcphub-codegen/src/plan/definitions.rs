//! The definitions that tools share, in the forms that tools need, each made once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use mcphub_core::schema::Definition;
use serde_json::{Map, Value};

use super::ladder::Ladder;
use super::omission::Omission;
use super::outline::outline;
use super::{lenient, measure};
use crate::keyword::reference;

/// What a definition is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As the document has it, without what is only for answers: input.
    Exact,
    /// Without descriptions: input that is too large.
    Plain,
    /// Without descriptions and examples: input that is still too large.
    Bare,
    /// Only what its values are: input that nests too deep to fit.
    Outline,
    /// Accepts everything: input where nothing else helps.
    Open,
    /// Describes without refusing: output.
    Lenient,
    /// The same without descriptions: output that is too large.
    Silent,
}

/// How many forms there are.
const FORMS: usize = 7;

/// The definitions of one API.
pub(super) struct Definitions<'a> {
    source: &'a IndexMap<Arc<str>, Arc<Value>>,
    extents: [Vec<Option<Extent>>; FORMS],
    made: [Vec<Option<Arc<Value>>>; FORMS],
    /// The last walk that visited each definition.
    visited: Vec<u32>,
    walk: u32,
    /// By what the schema refers to.
    pub(super) ladders: HashMap<Vec<usize>, Arc<Ladder>>,
}

/// How far a definition reaches in one form.
struct Extent {
    size: usize,
    refers: Arc<[usize]>,
}

/// What a walk from a schema through its definitions found.
pub(super) struct Reached {
    /// With the number of references from the schema to each, nearest first.
    pub(super) found: Vec<(usize, usize)>,
    /// The bytes of all of them below `$defs`.
    pub(super) size: usize,
    /// Whether the walk ended early because the size went over its limit.
    pub(super) over: bool,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(source: &'a IndexMap<Arc<str>, Arc<Value>>) -> Self {
        let count = source.len();
        Self {
            source,
            extents: std::array::from_fn(|_| std::iter::repeat_with(|| None).take(count).collect()),
            made: std::array::from_fn(|_| vec![None; count]),
            visited: vec![0; source.len()],
            walk: 0,
            ladders: HashMap::new(),
        }
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.source.get_index_of(name)
    }

    /// The definition as the document has it.
    pub(super) fn source(&self, name: &str) -> Option<&'a Value> {
        self.source.get(name).map(AsRef::as_ref)
    }

    /// Follows a schema's own `$ref` until a schema that has none, or other keywords beside it.
    pub(super) fn resolve<'v>(&self, schema: &'v Value) -> &'v Value
    where
        'a: 'v,
    {
        const MAX_CHAIN: usize = 32;
        let mut schema = schema;
        for _ in 0..MAX_CHAIN {
            let next = schema
                .as_object()
                .and_then(reference)
                .and_then(|name| self.source(name));
            match next {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// A definition in one form.
    pub(super) fn get(&mut self, form: Form, index: usize) -> Option<&Arc<Value>> {
        if self.made[form as usize].get(index)?.is_none() {
            let (_, source) = self.source.get_index(index)?;
            let made = match form {
                Form::Exact => match self.writable(source) {
                    Some(writable) => Arc::new(writable),
                    None => source.clone(),
                },
                Form::Plain => Arc::new(Omission::TEXT.of(self.get(Form::Exact, index)?)),
                Form::Bare => Arc::new(Omission::REDUNDANT.of(self.get(Form::Exact, index)?)),
                Form::Outline => Arc::new(outline(self.get(Form::Exact, index)?)),
                Form::Open => Arc::new(Value::Object(Map::new())),
                Form::Lenient => Arc::new(lenient::lenient(source)),
                Form::Silent => Arc::new(Omission::TEXT.of(&lenient::lenient(source))),
            };
            self.made[form as usize][index] = Some(made);
        }
        self.made[form as usize].get(index)?.as_ref()
    }

    /// The bytes of a definition in one form.
    pub(super) fn size(&mut self, form: Form, index: usize) -> Option<usize> {
        self.extent(form, index).map(|extent| extent.size)
    }

    /// Form after form turns out too large for a large API, so one is measured before it is made.
    fn extent(&mut self, form: Form, index: usize) -> Option<&Extent> {
        if self.extents[form as usize].get(index)?.is_none() {
            let (whole, omission) = match form {
                Form::Plain => (Form::Exact, Omission::TEXT),
                Form::Bare => (Form::Exact, Omission::REDUNDANT),
                Form::Silent => (Form::Lenient, Omission::TEXT),
                Form::Exact | Form::Outline | Form::Open | Form::Lenient => {
                    (form, Omission::NOTHING)
                }
            };
            let schema = self.get(whole, index)?.clone();
            let mut refers = Vec::new();
            let size = measure::schema(&schema, omission, &mut |name| {
                refers.extend(self.source.get_index_of(name))
            });
            self.extents[form as usize][index] = Some(Extent {
                size,
                refers: refers.into(),
            });
        }
        self.extents[form as usize].get(index)?.as_ref()
    }

    /// Walks from `roots` through what they refer to, nearest first, until more than `max` bytes.
    pub(super) fn reach(&mut self, form: Form, roots: &[usize], max: usize) -> Reached {
        self.walk += 1;
        let walk = self.walk;
        let mut reached = Reached {
            found: Vec::new(),
            size: 0,
            over: false,
        };
        let mut queue: VecDeque<(usize, usize)> = VecDeque::new();
        for root in roots {
            if std::mem::replace(&mut self.visited[*root], walk) != walk {
                queue.push_back((*root, 0));
            }
        }
        while let Some((index, distance)) = queue.pop_front() {
            let Some(extent) = self.extent(form, index) else {
                continue;
            };
            let refers = extent.refers.clone();
            reached.size += self.entry_size(form, index);
            reached.found.push((index, distance));
            if reached.size > max {
                reached.over = true;
                return reached;
            }
            for target in refers.iter() {
                if std::mem::replace(&mut self.visited[*target], walk) != walk {
                    queue.push_back((*target, distance + 1));
                }
            }
        }
        reached
    }

    /// The bytes of one entry of `$defs`, with its comma.
    pub(super) fn entry_size(&mut self, form: Form, index: usize) -> usize {
        let name = self
            .source
            .get_index(index)
            .map_or(0, |(name, _)| name.len());
        self.size(form, index).unwrap_or_default() + name + 4
    }

    /// The entries of `$defs` in the order of the document.
    pub(super) fn list(&mut self, mut entries: Vec<(usize, Form)>) -> Vec<Definition> {
        entries.sort_unstable_by_key(|(index, _)| *index);
        let mut out = Vec::with_capacity(entries.len());
        for (index, form) in entries {
            let name = self.source.get_index(index).map(|(name, _)| name.clone());
            let schema = self.get(form, index).cloned();
            if let (Some(name), Some(schema)) = (name, schema) {
                out.push(Definition { name, schema });
            }
        }
        out
    }
}
