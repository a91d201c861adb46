//! What parts of a document call themselves: `$self` of the document (3.2.0, OpenAPI Object), and
//! `$id`, `$anchor` and `$dynamicAnchor` of schemas (JSON Schema 2020-12, Core, 8.2), and
//! `$recursiveAnchor` (2019-09, Core, 8.2.4.2), which is a dynamic anchor without a name.
//!
//! Few documents have any of these. Without them nothing in here runs, and a reference is the
//! pointer after its `#`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use percent_encoding::percent_decode_str;
use url::Url;

use super::contains;
use super::node::{Node, Object};
use super::place::Place;
use super::reference::{dangling, external};
use super::{Skip, bundle};

/// The most bytes of pointers that are kept: each can be as long as the document.
const MAX_POINTERS: usize = 16 << 20;

/// The most combinations of dynamic anchors that are told apart. A document grows by as much.
const MAX_SCOPES: usize = 32;

/// The document's base URI where neither `$self` nor its source is a URL.
const NAMELESS: &str = "document:///";

/// What the URI of draft 4 has, where `$id` is called `id`.
const DRAFT_4: &str = "json-schema.org/draft-04/schema";

/// What says in 2019-09 that references to a whole resource are dynamic.
const RECURSIVE: &str = "$recursiveAnchor";

/// What an object calls itself by.
const NAMING: [&str; 5] = ["$id", "id", "$anchor", "$dynamicAnchor", RECURSIVE];

/// The identifiers of one document.
#[derive(Debug)]
pub(super) struct Identifiers<'d> {
    /// The first is the document itself.
    resources: Vec<Resource<'d>>,
    by_uri: HashMap<String, usize>,
    by_pointer: HashMap<String, usize>,
    scopes: Vec<Scope<'d>>,
    room: usize,
}

/// Which resource each dynamic anchor leads to: the outermost of those that were entered.
type Scope<'d> = BTreeMap<&'d str, usize>;

/// A part of the document with a URI of its own.
#[derive(Debug)]
struct Resource<'d> {
    uri: Url,
    pointer: String,
    value: &'d Node<'d>,
    anchors: BTreeMap<&'d str, Anchor<'d>>,
}

#[derive(Debug)]
struct Anchor<'d> {
    pointer: String,
    value: &'d Node<'d>,
    dynamic: bool,
}

/// What a reference leads to, and where it stands.
pub(super) type Found<'d> = (&'d Node<'d>, String);

impl<'d> Identifiers<'d> {
    /// The identifiers of a document; `None` when its text has none.
    pub(super) fn read(document: &'d Node<'d>, text: &[u8], source: &str) -> Option<Self> {
        let marks = [
            "$id",
            "$anchor",
            "$dynamicAnchor",
            RECURSIVE,
            "$self",
            DRAFT_4,
        ];
        if !marks.iter().any(|mark| contains(text, mark)) {
            return None;
        }
        let retrieved = bundle::address(source).or_else(|| {
            let nameless = Url::parse(NAMELESS).ok()?;
            Some(nameless.join(source).unwrap_or(nameless))
        })?;
        let own = document.get("$self").and_then(Node::as_str);
        let uri = own.and_then(|own| retrieved.join(own).ok());
        let mut identifiers = Self {
            resources: Vec::new(),
            by_uri: HashMap::new(),
            by_pointer: HashMap::new(),
            scopes: vec![Scope::new()],
            room: MAX_POINTERS,
        };
        identifiers.add(uri.unwrap_or_else(|| retrieved.clone()), document, "");
        identifiers.collect(document, Place::ROOT, 0, false);
        identifiers.collect_bundled(document, &retrieved);
        if let Some(first) = identifiers.scope_within(&Scope::new(), 0) {
            identifiers.scopes = vec![first];
        }
        Some(identifiers)
    }

    /// Whether no part of the document has a URI of its own, so that references mean the same
    /// wherever they stand.
    pub(super) fn is_one(&self) -> bool {
        self.resources.len() == 1
    }

    /// What a reference leads to that stands at a place.
    ///
    /// # Errors
    /// `dangling-reference`, `external-reference`.
    pub(super) fn resolve(&self, reference: &str, from: &str) -> Result<Found<'d>, Skip> {
        let (resource, fragment) = self.split(reference, from)?;
        self.part(resource, &fragment)
            .or_else(|| {
                // Many mean the document by `#/…` even where a schema has a URI of its own.
                let document = self.resources.first()?;
                self.part(document, &fragment)
                    .filter(|_| reference.starts_with("#/"))
            })
            .ok_or_else(|| dangling(reference))
    }

    /// What a dynamic reference leads to (JSON Schema 2020-12, Core, 8.2.3.2).
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(super) fn resolve_dynamic(
        &self,
        reference: &str,
        from: &str,
        scope: usize,
    ) -> Result<Found<'d>, Skip> {
        let (resource, name) = self.split(reference, from)?;
        let dynamic = resource.anchors.get(&*name).is_some_and(|a| a.dynamic);
        let outermost = self.scopes.get(scope).and_then(|scope| scope.get(&*name));
        if let (true, Some(outermost)) = (dynamic, outermost)
            && let Some(found) = self
                .resources
                .get(*outermost)
                .and_then(|resource| self.part(resource, &name))
        {
            return Ok(found);
        }
        self.resolve(reference, from)
    }

    /// The scope of what stands at a place, entered from another scope.
    pub(super) fn enter(&mut self, scope: usize, pointer: &str) -> usize {
        let resource = self.enclosing(pointer);
        let Some(within) = self
            .scopes
            .get(scope)
            .and_then(|scope| self.scope_within(scope, resource))
        else {
            return scope;
        };
        if let Some(known) = self.scopes.iter().position(|scope| *scope == within) {
            return known;
        }
        if self.scopes.len() == MAX_SCOPES {
            return scope;
        }
        self.scopes.push(within);
        self.scopes.len() - 1
    }

    /// A scope as text, the same for the same document.
    pub(super) fn describe(&self, scope: usize) -> String {
        let scope = self.scopes.get(scope).into_iter().flatten();
        let parts = scope.filter_map(|(name, resource)| {
            let resource = self.resources.get(*resource)?;
            Some(format!("{name}={}", resource.pointer))
        });
        parts.collect::<Vec<_>>().join(",")
    }

    /// The scope with the dynamic anchors of a resource that it does not have; `None` when it has
    /// them all.
    fn scope_within(&self, scope: &Scope<'d>, resource: usize) -> Option<Scope<'d>> {
        let anchors = &self.resources.get(resource)?.anchors;
        let new: Vec<_> = anchors
            .iter()
            .filter(|(name, anchor)| anchor.dynamic && !scope.contains_key(*name))
            .map(|(name, _)| (*name, resource))
            .collect();
        if new.is_empty() {
            return None;
        }
        Some(scope.clone().into_iter().chain(new).collect())
    }

    /// The resource that a reference names, and the fragment in it.
    fn split<'r>(
        &self,
        reference: &'r str,
        from: &str,
    ) -> Result<(&Resource<'d>, Cow<'r, str>), Skip> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = self.resources.get(self.enclosing(from));
        let resource = if uri.is_empty() {
            base
        } else {
            base.and_then(|base| base.uri.join(uri).ok())
                .and_then(|uri| self.by_uri.get(uri.as_str()))
                .and_then(|index| self.resources.get(*index))
        };
        let fragment = percent_decode_str(fragment)
            .decode_utf8()
            .unwrap_or(Cow::Borrowed(fragment));
        Ok((resource.ok_or_else(|| external(reference))?, fragment))
    }

    /// What a fragment names in a resource: a pointer or an anchor.
    fn part(&self, resource: &Resource<'d>, fragment: &str) -> Option<Found<'d>> {
        if fragment.is_empty() || fragment.starts_with('/') {
            let value = resource.value.pointer(fragment)?;
            return Some((value, format!("{}{fragment}", resource.pointer)));
        }
        let anchor = resource.anchors.get(fragment)?;
        Some((anchor.value, anchor.pointer.clone()))
    }

    /// The resource that a place belongs to.
    fn enclosing(&self, pointer: &str) -> usize {
        if self.is_one() {
            return 0;
        }
        let mut pointer = pointer;
        loop {
            if let Some(resource) = self.by_pointer.get(pointer) {
                return *resource;
            }
            match pointer.rsplit_once('/') {
                Some((above, _)) => pointer = above,
                None => return 0,
            }
        }
    }

    /// Adds a resource; of two with one URI the first counts.
    fn add(&mut self, mut uri: Url, value: &'d Node<'d>, pointer: &str) -> usize {
        uri.set_fragment(None);
        let index = self.resources.len();
        self.by_uri.entry(uri.to_string()).or_insert(index);
        self.by_pointer.insert(pointer.to_owned(), index);
        self.resources.push(Resource {
            uri,
            pointer: pointer.to_owned(),
            value,
            anchors: BTreeMap::new(),
        });
        index
    }

    /// Collects from the documents that were bundled with the first, each by its own address.
    fn collect_bundled(&mut self, document: &'d Node<'d>, base: &Url) {
        let documents = document.get(bundle::DOCUMENTS).and_then(Node::as_object);
        for (name, document) in documents.into_iter().flatten() {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            let pointer = format!("/{}/{escaped}", bundle::DOCUMENTS);
            if let (true, Ok(uri)) = (self.take(&pointer), base.join(name)) {
                let resource = self.add(uri, document, &pointer);
                // A relative reference means it too, from the document's own URI.
                let own = self.resources.first().map(|first| first.uri.join(name));
                if let Some(Ok(own)) = own {
                    self.by_uri.entry(own.to_string()).or_insert(resource);
                }
                self.collect(document, Place::Pointer(&pointer), resource, false);
            }
        }
    }

    /// Collects what a value and all below it call themselves. A map by name has no keywords.
    fn collect(&mut self, value: &'d Node<'d>, at: Place<'_>, resource: usize, by_name: bool) {
        match value {
            Node::Object(members) => {
                let resource = if by_name {
                    resource
                } else {
                    self.identify(members, value, at, resource)
                };
                for (key, member) in members {
                    if by_name || !is_data(key) {
                        self.collect(member, at.key(key), resource, !by_name && is_map(key));
                    }
                }
            }
            Node::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(item, at.index(index), resource, false);
                }
            }
            _ => {}
        }
    }

    /// What one object calls itself; the resource that it belongs to.
    fn identify(
        &mut self,
        members: &'d Object<'d>,
        value: &'d Node<'d>,
        at: Place<'_>,
        mut resource: usize,
    ) -> usize {
        if !members.iter().any(|(key, _)| NAMING.contains(&key)) {
            return resource;
        }
        let pointer = &at.pointer();
        let text = |key: &str| members.get(key).and_then(Node::as_str);
        let draft_4 = || text("$schema").is_some_and(|uri| uri.contains(DRAFT_4));
        let plain = text("id").filter(|_| draft_4());
        let id = text("$id").or(plain).unwrap_or_default();
        // Before 2019-09 an `$id` of a fragment alone was an anchor.
        let old = id.strip_prefix('#').filter(|name| !name.is_empty());
        let names = [
            (text("$anchor").or(old), false),
            (text("$dynamicAnchor"), true),
        ];
        if !id.is_empty() && !id.starts_with('#') && self.take(pointer) {
            let base = self.resources.get(resource).map(|base| &base.uri);
            if let Some(uri) = base.and_then(|base| base.join(id).ok()) {
                resource = self.add(uri, value, pointer);
            }
        }
        let is_whole = |resource: &Resource<'_>| resource.pointer == *pointer;
        let recursive = matches!(members.get(RECURSIVE), Some(Node::Bool(true)))
            && self.resources.get(resource).is_some_and(is_whole);
        let recursive = (recursive.then_some(""), true);
        for (name, dynamic) in names.into_iter().chain([recursive]) {
            let Some(name) = name.filter(|_| self.take(pointer)) else {
                continue;
            };
            if let Some(resource) = self.resources.get_mut(resource) {
                resource.anchors.entry(name).or_insert_with(|| Anchor {
                    pointer: pointer.to_owned(),
                    value,
                    dynamic,
                });
            }
        }
        resource
    }

    /// Makes room for a pointer, while there is some.
    fn take(&mut self, pointer: &str) -> bool {
        let rest = self.room.checked_sub(2 * pointer.len() + 256);
        self.room = rest.unwrap_or_default();
        rest.is_some()
    }
}

/// Keywords whose values are data: what looks like an identifier in them is none.
fn is_data(key: &str) -> bool {
    matches!(key, "example" | "examples" | "default" | "enum" | "const") || key.starts_with("x-")
}

/// Fields that hold a map by name.
fn is_map(key: &str) -> bool {
    matches!(
        key,
        "properties"
            | "patternProperties"
            | "dependentSchemas"
            | "$defs"
            | "definitions"
            | "schemas"
            | "responses"
            | "parameters"
            | "headers"
            | "requestBodies"
            | "pathItems"
            | "mediaTypes"
            | "content"
            | "callbacks"
            | "paths"
            | "webhooks"
    )
}
