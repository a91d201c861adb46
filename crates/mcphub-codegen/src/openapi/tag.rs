//! Tag Object.

use std::collections::{HashMap, HashSet};

use super::Walk;
use super::node::{Node, Object};
use super::place::Place;
use super::remark::shown;

/// How many tags above its own an operation gets for each of them.
const MAX_ANCESTORS: usize = 8;

impl<'d> Walk<'d> {
    /// The tag above each tag (3.2.0, Tag Object, `parent`).
    pub(super) fn tag_parents(&mut self, root: &'d Object<'d>) -> HashMap<&'d str, &'d str> {
        let at = Place::ROOT.key("tags");
        let tags = self.array(root, "tags", Place::ROOT);
        let text = |tag: &'d Node<'d>, key: &str| tag.get(key).and_then(Node::as_str);
        let names: HashSet<_> = tags.iter().filter_map(|tag| text(tag, "name")).collect();
        let mut parents = HashMap::new();
        for (index, tag) in tags.iter().enumerate() {
            let (Some(name), Some(parent)) = (text(tag, "name"), text(tag, "parent")) else {
                continue;
            };
            if names.contains(parent) {
                parents.insert(name, parent);
                continue;
            }
            self.remarks
                .warn("unknown-tag", at.index(index).key("parent"), || {
                    format!("{} is not among the document's tags", shown(parent))
                });
        }
        parents
    }

    /// The tags of an operation, and after them those that they belong to.
    pub(super) fn tags(&mut self, object: &'d Object<'d>, at: Place<'_>) -> Vec<String> {
        let mut tags: Vec<&str> = Vec::new();
        for (index, tag) in self.array(object, "tags", at).iter().enumerate() {
            match tag {
                Node::String(tag) => tags.push(tag),
                other => self
                    .remarks
                    .wrong_type(at.key("tags").index(index), "a string", other),
            }
        }
        for own in 0..tags.len() {
            let mut tag = tags[own];
            for _ in 0..MAX_ANCESTORS {
                let Some(parent) = self.parents.get(tag).copied() else {
                    break;
                };
                if tags.contains(&parent) || self.charge(parent.len()).is_err() {
                    break;
                }
                tags.push(parent);
                tag = parent;
            }
        }
        tags.into_iter().map(str::to_owned).collect()
    }
}
