//! References between the objects of a document (OpenAPI 3.0.4 and 3.1.1, Reference Object).
//!
//! Followed only where the specification has a Reference Object, so that `$ref` in example data
//! stays data. References between schemas are kept, see [`super::schema`].

use std::borrow::Cow;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::bundle::UNREAD;
use super::node::{Node, Object};
use super::place::Place;
use super::remark::shown;
use super::{Skip, Walk};

/// The longest chain of references.
const MAX_CHAIN: usize = 64;

/// What a reference leads to, or the object itself where there is none.
#[derive(Debug)]
pub(super) struct Target<'d> {
    /// The object.
    pub(super) value: &'d Node<'d>,
    /// Where it stands, if it was reached by reference.
    pub(super) pointer: Option<Arc<str>>,
    /// `description` beside the outermost reference, which wins (3.1.1, Reference Object).
    pub(super) description: Option<&'d str>,
}

impl<'d> Target<'d> {
    pub(super) fn shared(&self) -> bool {
        self.pointer.is_some()
    }

    /// Where it stands, given where the reference stands.
    pub(super) fn place<'p>(&'p self, at: Place<'p>) -> Place<'p> {
        self.pointer.as_deref().map_or(at, Place::Pointer)
    }

    pub(super) fn object(&self) -> Option<&'d Object<'d>> {
        self.value.as_object()
    }
}

impl<'d> Walk<'d> {
    /// Follows references until an object that is none.
    ///
    /// # Errors
    /// `dangling-reference`, `reference-loop`, `external-reference`.
    pub(super) fn follow(
        &mut self,
        value: &'d Node<'d>,
        at: Place<'_>,
    ) -> Result<Target<'d>, Skip> {
        let mut target = Target {
            value,
            pointer: None,
            description: None,
        };
        for _ in 0..MAX_CHAIN {
            let Some(reference) = target.value.get("$ref").and_then(Node::as_str) else {
                return Ok(target);
            };
            let place = target.place(at);
            let (value, pointer) = self
                .refer(reference, place)
                .map_err(|skip| skip.at(place))?;
            let description = target.value.get("description").and_then(Node::as_str);
            let description = description.filter(|_| self.reference_siblings());
            target = Target {
                value,
                pointer: Some(pointer),
                description: target.description.or(description),
            };
        }
        Err(Skip::new("reference-loop", "its references lead in a circle").at(at))
    }

    /// What a reference names that stands at a place, and where that stands.
    pub(super) fn refer(
        &mut self,
        reference: &'d str,
        at: Place<'_>,
    ) -> Result<(&'d Node<'d>, Arc<str>), Skip> {
        let identifiers = self.identifiers.as_ref();
        if let Some(identifiers) = identifiers.filter(|identifiers| !identifiers.is_one()) {
            let (value, pointer) = identifiers
                .resolve(reference, &at.pointer())
                .map_err(|skip| self.unread(reference, skip))?;
            return Ok((value, pointer.into()));
        }
        if let Some((value, pointer)) = self.referred.get(reference) {
            return Ok((value, pointer.clone()));
        }
        let found = match identifiers {
            Some(identifiers) => identifiers.resolve(reference, ""),
            None => local(reference)
                .and_then(|pointer| self.lookup(&pointer).ok_or_else(|| dangling(reference))),
        };
        let (value, pointer) = found.map_err(|skip| self.unread(reference, skip))?;
        let pointer: Arc<str> = pointer.into();
        self.referred.insert(reference, (value, pointer.clone()));
        Ok((value, pointer))
    }

    /// Says why a reference was not loaded, if that was tried.
    fn unread(&self, reference: &str, skip: Skip) -> Skip {
        match self.document.get(UNREAD).and_then(|why| why.get(reference)) {
            Some(why) => Skip {
                message: format!(
                    "{} cannot be read: {}",
                    shown(reference),
                    why.as_str().unwrap_or_default()
                ),
                ..skip
            },
            None => skip,
        }
    }

    /// The value at an RFC 6901 pointer, with and without percent-decoding.
    fn lookup(&self, pointer: &str) -> Option<(&'d Node<'d>, String)> {
        let decoded = percent_decode_str(pointer)
            .decode_utf8()
            .unwrap_or(Cow::Borrowed(pointer));
        if let Some(value) = self.document.pointer(&decoded) {
            return Some((value, decoded.into_owned()));
        }
        self.document
            .pointer(pointer)
            .map(|value| (value, pointer.to_owned()))
    }
}

/// The pointer of a reference into the same document.
pub(super) fn local(reference: &str) -> Result<Cow<'_, str>, Skip> {
    match reference.strip_prefix('#') {
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
            Ok(Cow::Borrowed(pointer))
        }
        Some(_) => Err(dangling(reference)),
        None => Err(external(reference)),
    }
}

pub(super) fn external(reference: &str) -> Skip {
    Skip::new(
        "external-reference",
        format!(
            "{} is in another document, which was not loaded; bundle the documents into one",
            shown(reference)
        ),
    )
}

pub(super) fn dangling(reference: &str) -> Skip {
    Skip::new(
        "dangling-reference",
        format!(
            "{} points to nothing; define it or mend the reference",
            shown(reference)
        ),
    )
}
