//! A Path Item Object, with the one that it refers to.

use std::sync::Arc;

use super::node::Object;
use super::place::Place;

/// A path item, and the one it refers to.
pub(super) struct PathItem<'d> {
    pub(super) own: &'d Object<'d>,
    pub(super) referenced: Option<&'d Object<'d>>,
    /// Where the referenced one stands.
    pub(super) pointer: Option<Arc<str>>,
}

impl<'d> PathItem<'d> {
    /// Its members, where the item itself stands at a place.
    pub(super) fn members<'p>(&'p self, at: Place<'p>) -> Members<'p, 'd> {
        let there = self.pointer.as_deref().map_or(at, Place::Pointer);
        Members {
            own: (self.own, at),
            referenced: self.referenced.map(|item| (item, there)),
        }
    }
}

/// The members of a path item with their places; its own come before those of the one it refers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'p, 'd> {
    own: (&'d Object<'d>, Place<'p>),
    referenced: Option<(&'d Object<'d>, Place<'p>)>,
}

impl<'p, 'd> Members<'p, 'd> {
    /// The object that has the member, and where it stands.
    pub(super) fn with(&self, key: &str) -> Option<(&'d Object<'d>, Place<'p>)> {
        self.each().find(|(item, _)| item.contains_key(key))
    }

    /// Both objects, its own first.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'d Object<'d>, Place<'p>)> + use<'p, 'd> {
        [Some(self.own), self.referenced].into_iter().flatten()
    }
}
