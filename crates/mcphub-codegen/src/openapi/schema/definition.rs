//! Shared schemas: what a `$ref` leads to becomes an entry of `$defs`, once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use mcphub_core::spec::Dialect;
use serde_json::{Map, Value, json};

use super::super::node::{Node, Object};
use super::super::place::Place;
use super::super::{Skip, Walk};
use super::cycle;
use super::draft::Drafted;
use super::pattern;
use crate::hash::{cut, hash8};
use crate::keyword::DEFS;

/// The longest name of a definition, in bytes.
const MAX_NAME: usize = 80;

/// What the pointers into other documents begin with, see [`bundle`](super::super::bundle).
const BUNDLED: &str = "/x-mcphub-documents/";

/// The longest regular expression that is kept, in bytes.
const MAX_PATTERN: usize = 4_096;

/// The definitions of one document as far as something refers to them.
#[derive(Debug)]
pub(in super::super) struct Schemas<'d> {
    entries: Vec<Entry<'d>>,
    by_reference: HashMap<&'d str, usize>,
    by_pointer: HashMap<(Arc<str>, usize), usize>,
    names: HashSet<Arc<str>>,
    /// Where the named schemas stand, with a `/` after it.
    place: &'static str,
    /// Those, and how many of their keys have the same legal form, if one is illegal.
    components: Option<&'d Object<'d>>,
    legal_forms: Option<HashMap<String, usize>>,
    regexes: HashMap<String, bool>,
    /// The dialects that were met and are not OpenAPI's own.
    pub(super) dialects: HashSet<&'d str>,
    /// Where dynamic references lead at this point of the walk; 0 outside of all schemas that
    /// have a URI of their own.
    pub(super) scope: usize,
    /// Where this point of the walk is in schemas of another draft than 2020-12.
    pub(super) drafted: Option<Drafted>,
    /// Whether a reference to nothing is an error of what is being read.
    pub(super) strict: bool,
    pub(super) broken: Option<Skip>,
}

#[derive(Debug)]
struct Entry<'d> {
    name: Arc<str>,
    pointer: Arc<str>,
    source: &'d Node<'d>,
    scope: usize,
    drafted: Option<Drafted>,
}

impl<'d> Schemas<'d> {
    pub(in super::super) fn new(document: &'d Node<'d>, dialect: Dialect) -> Self {
        let place = match dialect {
            Dialect::Swagger20 => "/definitions/",
            _ => "/components/schemas/",
        };
        Self {
            place,
            entries: Vec::new(),
            by_reference: HashMap::new(),
            by_pointer: HashMap::new(),
            names: HashSet::new(),
            components: document
                .pointer(place.trim_end_matches('/'))
                .and_then(Node::as_object),
            legal_forms: None,
            regexes: HashMap::new(),
            dialects: HashSet::new(),
            scope: 0,
            drafted: None,
            strict: false,
            broken: None,
        }
    }

    /// Whether a pattern is a regular expression to those who will check arguments with it.
    pub(super) fn is_regex(&mut self, pattern: &str) -> bool {
        if let Some(known) = self.regexes.get(pattern) {
            return *known;
        }
        let valid = pattern.len() <= MAX_PATTERN
            && (pattern::is_plain(pattern)
                || jsonschema::validator_for(&json!({"pattern": pattern})).is_ok());
        self.regexes.insert(pattern.to_owned(), valid);
        valid
    }

    /// Where the schema of this name stands, if there is one.
    pub(super) fn place_of(&self, name: &str) -> Option<String> {
        self.components?.get(name)?;
        let name = name.replace('~', "~0").replace('/', "~1");
        Some(format!("{}{name}", self.place))
    }

    /// The name of the schema that stands there, if it has one.
    pub(super) fn component(&self, pointer: &str) -> Option<String> {
        let key = pointer.strip_prefix(self.place)?;
        (!key.contains('/')).then(|| unescape(key))
    }

    fn add(&mut self, entry: Entry<'d>) -> usize {
        let index = self.entries.len();
        self.names.insert(entry.name.clone());
        self.by_pointer
            .insert((entry.pointer.clone(), entry.scope), index);
        self.entries.push(entry);
        index
    }

    /// A legal name that does not depend on which other definitions are used; `scope` tells those
    /// of one place apart.
    fn name(&mut self, pointer: &str, scope: impl FnOnce() -> String) -> String {
        let name = match pointer.strip_prefix(self.place) {
            Some(key) if !key.contains('/') => self.component_name(&unescape(key)),
            None if pointer.starts_with(BUNDLED) => self.bundled_name(pointer),
            Some(inner) => self.inner_name(inner, pointer),
            None => self.inner_name(pointer, pointer),
        };
        if self.names.contains(name.as_str()) {
            format!("{name}_{}", hash8(&format!("{pointer}{}", scope())))
        } else {
            name
        }
    }

    fn component_name(&mut self, key: &str) -> String {
        if is_legal(key) {
            return key.to_owned();
        }
        let components = self.components;
        let forms = self.legal_forms.get_or_insert_with(|| {
            let mut forms = HashMap::new();
            for key in components.into_iter().flat_map(Object::keys) {
                *forms.entry(legal(key)).or_default() += 1;
            }
            forms
        });
        let form = legal(key);
        if forms.get(&form).is_some_and(|count| *count > 1) {
            format!("{form}_{}", hash8(key))
        } else {
            form
        }
    }

    /// A schema of another document is called as there, or by its file.
    fn bundled_name(&self, pointer: &str) -> String {
        let mut parts = pointer[BUNDLED.len()..].split('/').map(unescape);
        let document = parts.next().unwrap_or_default();
        let last = parts.next_back().unwrap_or_else(|| {
            let file = document.rsplit('/').next().unwrap_or_default();
            file.split_once('.')
                .map_or(file, |(stem, _)| stem)
                .to_owned()
        });
        let name = legal(&last);
        let taken = self
            .components
            .is_some_and(|components| components.contains_key(&name));
        if taken {
            format!("{name}_{}", hash8(pointer))
        } else {
            name
        }
    }

    fn inner_name(&self, inner: &str, pointer: &str) -> String {
        let parts: Vec<_> = inner
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| legal(&unescape(part)))
            .collect();
        let name = cut(&parts.join("."), MAX_NAME);
        let name = if name.is_empty() {
            "document".to_owned()
        } else {
            name
        };
        let taken = self
            .components
            .is_some_and(|components| components.contains_key(&name));
        if taken {
            format!("{name}_{}", hash8(pointer))
        } else {
            name
        }
    }
}

impl<'d> Walk<'d> {
    /// Writes a reference of the document as one to a definition.
    pub(super) fn reference(
        &mut self,
        reference: &'d str,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let known = self.schemas.by_reference.get(reference).copied();
        let index = known.map_or_else(|| self.resolve(reference, at), Ok);
        if let Some(reference) = self.definition_of(index, at) {
            out.insert("$ref".to_owned(), reference);
        }
    }

    /// The reference to a definition; `None` when what was referred to is not there.
    pub(super) fn definition_of(
        &mut self,
        index: Result<usize, Skip>,
        at: Place<'_>,
    ) -> Option<Value> {
        match index {
            Ok(index) => Some(self.defs(index)),
            Err(skip) if self.schemas.strict => {
                self.schemas.broken.get_or_insert(skip.at(at));
                None
            }
            Err(skip) => {
                self.remarks.warn(skip.code, at, || {
                    format!("{}; until then it accepts any value", skip.message)
                });
                None
            }
        }
    }

    /// The definition of what stands at a place, reached from here.
    pub(super) fn entry(&mut self, pointer: Arc<str>, source: &'d Node<'d>) -> usize {
        let scope = match &mut self.identifiers {
            Some(identifiers) => identifiers.enter(self.schemas.scope, &pointer),
            None => 0,
        };
        let key = (pointer, scope);
        if let Some(known) = self.schemas.by_pointer.get(&key) {
            return *known;
        }
        let (pointer, scope) = key;
        let identifiers = self.identifiers.as_ref();
        let describe = || identifiers.map_or_else(String::new, |all| all.describe(scope));
        let name = self.schemas.name(&pointer, describe).into();
        let drafted = self.draft_at(&pointer);
        self.schemas.add(Entry {
            name,
            pointer,
            source,
            scope,
            drafted,
        })
    }

    /// A reference to a schema that stands at this place and has no name of its own.
    pub(super) fn reference_to_place(&mut self, schema: &'d Node<'d>, at: Place<'_>) -> Value {
        let index = self.entry(at.pointer().into(), schema);
        json!({"$ref": self.defs(index)})
    }

    fn defs(&self, index: usize) -> Value {
        let name = &self.schemas.entries[index].name;
        let mut text = String::with_capacity(DEFS.len() + name.len());
        text.push_str(DEFS);
        text.push_str(name);
        Value::String(text)
    }

    fn resolve(&mut self, reference: &'d str, at: Place<'_>) -> Result<usize, Skip> {
        let (source, pointer) = self.refer(reference, at)?;
        let index = self.entry(pointer, source);
        // With identifiers, what a reference means depends on where it stands.
        if self.identifiers.is_none() {
            self.schemas.by_reference.insert(reference, index);
        }
        Ok(index)
    }

    /// The definitions that were referred to, with those that they refer to.
    pub(in super::super) fn definitions(&mut self) -> IndexMap<Arc<str>, Arc<Value>> {
        let mut schemas = Vec::new();
        // Each may add more.
        while let Some(entry) = self.schemas.entries.get(schemas.len()) {
            let (pointer, source) = (entry.pointer.clone(), entry.source);
            self.schemas.scope = entry.scope;
            self.schemas.drafted = entry.drafted.clone();
            schemas.push(self.schema(source, Place::Pointer(&pointer)));
        }
        let names: Vec<_> = self
            .schemas
            .entries
            .iter()
            .map(|entry| entry.name.clone())
            .collect();
        for index in cycle::break_cycles(&names, &mut schemas) {
            let Entry { name, pointer, .. } = &self.schemas.entries[index];
            self.remarks.warn("reference-loop", Place::Pointer(pointer), || {
                format!("`{name}` stands for itself through references alone; there it accepts any value")
            });
        }
        names
            .into_iter()
            .zip(schemas.into_iter().map(Arc::new))
            .collect()
    }
}

fn is_legal(key: &str) -> bool {
    (1..=MAX_NAME).contains(&key.len())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A legal form of a key; several keys may share one.
fn legal(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for character in key.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-') {
            out.push(character);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    let trimmed = out.trim_matches('_');
    if trimmed.is_empty() {
        format!("schema_{}", hash8(key))
    } else {
        cut(trimmed, MAX_NAME)
    }
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}
