//! Paths Object and Path Item Object.

use std::collections::HashSet;

use indexmap::IndexMap;
use mcphub_core::spec::{Method, Operation, SecurityScheme};
use mcphub_core::{Error, ErrorKind, Result};

use super::node::{Node, Object};
use super::operation::Surroundings;
use super::path_item::{Members, PathItem};
use super::place::Place;
use super::remark::shown;
use super::{Skip, Walk};

/// Operations with other methods than those that have a field (3.2.0, Path Item Object).
const ADDITIONAL: &str = "additionalOperations";

impl<'d> Walk<'d> {
    /// The operations of the document, in its order.
    ///
    /// # Errors
    /// `TooLarge` over `max` operations.
    pub(super) fn paths(
        &mut self,
        root: &'d Object<'d>,
        schemes: &IndexMap<String, SecurityScheme>,
        security: &[Vec<String>],
        max: usize,
    ) -> Result<Vec<Operation>> {
        let mut operations = Vec::new();
        let mut count = 0;
        let at = Place::ROOT.key("paths");
        for (key, item) in self
            .object(root, "paths", Place::ROOT)
            .into_iter()
            .flatten()
        {
            if key.starts_with("x-") {
                continue;
            }
            let here = at.key(key);
            let Some(item) = self.path_item(item, here) else {
                continue;
            };
            let path = self.path_template(key, here);
            let members = item.members(here);
            let around = Surroundings {
                path: &path,
                schemes,
                security,
                item: members,
            };
            for found in self.operations(&members) {
                count += 1;
                if count > max {
                    return Err(Error::new(
                        ErrorKind::TooLarge,
                        format!("the document has more than {max} operations"),
                    ));
                }
                let there = found.place;
                let (additional_there, additional_here) =
                    (there.key(ADDITIONAL), here.key(ADDITIONAL));
                // Named by its place in this item, also when another item has it.
                let (holder, own) = if found.additional {
                    (additional_there, additional_here)
                } else {
                    (there, here)
                };
                let named = own.key(found.key);
                if self.is_hidden(found.value, holder.key(found.key), &members) {
                    self.remarks.info("hidden", named, || {
                        "`x-mcp` hides it: it becomes no tool".to_owned()
                    });
                    continue;
                }
                let operation = match found.method {
                    Ok(method) => {
                        self.shared = item.pointer.is_some();
                        self.operation(method, found.value, holder.key(found.key), &around)
                    }
                    Err(skip) => Err(skip),
                };
                match operation {
                    Ok(operation) => operations.push(Operation {
                        pointer: named.pointer(),
                        ..operation
                    }),
                    Err(skip) => self.skip(skip, named),
                }
                self.shared = false;
            }
        }
        Ok(operations)
    }

    /// The operations of a path item in document order.
    fn operations<'p>(&mut self, members: &Members<'p, 'd>) -> Vec<Found<'p, 'd>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for (item, place) in members.each() {
            for (key, value) in item {
                let fixed = Method::ALL.into_iter().find(|method| method.key() == key);
                if let Some(method) = fixed.filter(|method| seen.insert(*method)) {
                    found.push(Found {
                        method: Ok(method),
                        value,
                        key,
                        additional: false,
                        place,
                    });
                }
            }
        }
        // After the others: a method with a field of its own is not for this map.
        for (item, place) in members.each() {
            let at = place.key(ADDITIONAL);
            for (key, value) in self.object(item, ADDITIONAL, place).into_iter().flatten() {
                let method = self.additional_method(key, at.key(key));
                if method.as_ref().is_ok_and(|method| !seen.insert(*method)) {
                    continue;
                }
                found.push(Found {
                    method,
                    value,
                    key,
                    additional: true,
                    place,
                });
            }
        }
        found
    }

    /// The method that a key of `additionalOperations` names (3.2.0, Path Item Object).
    fn additional_method(&mut self, key: &str, at: Place<'_>) -> std::result::Result<Method, Skip> {
        let fixed = Method::ALL
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(key));
        if let Some(method) = fixed {
            self.remarks.warn("invalid-method", at, || {
                format!("{method} has a field of its own, `{}`", method.key())
            });
            return Ok(method);
        }
        Method::named(key).map_err(|error| Skip::new("invalid-method", error.message()))
    }

    /// The one error diagnostic of something that is skipped.
    fn skip(&mut self, skip: Skip, at: Place<'_>) {
        let Skip {
            code,
            message,
            pointer,
        } = skip;
        let cause = pointer.filter(|pointer| *pointer != at.pointer());
        let message = match cause {
            Some(pointer) => format!("skipped because of {}: {message}", shown(&pointer)),
            None => format!("skipped: {message}"),
        };
        self.remarks.error(code, at, message);
    }

    fn path_item(&mut self, item: &'d Node<'d>, at: Place<'_>) -> Option<PathItem<'d>> {
        let Node::Object(own) = item else {
            self.remarks.wrong_type(at, "a path item object", item);
            return None;
        };
        if !own.contains_key("$ref") {
            return Some(PathItem {
                own,
                referenced: None,
                pointer: None,
            });
        }
        match self.follow(item, at) {
            Ok(target) => Some(PathItem {
                own,
                referenced: target.object().filter(|_| target.shared()),
                pointer: target.pointer,
            }),
            Err(skip) => {
                // How many operations are lost is not known; the ones beside the reference stay.
                self.skip(skip, at);
                Some(PathItem {
                    own,
                    referenced: None,
                    pointer: None,
                })
            }
        }
    }

    /// The path template of a key. A fragment never reaches a server.
    fn path_template(&mut self, key: &str, at: Place<'_>) -> String {
        let (path, fragment) = key
            .split_once('#')
            .map_or((key, None), |(path, rest)| (path, Some(rest)));
        if fragment.is_some() {
            self.remarks.warn("invalid-path", at, || {
                "a path has no fragment; what follows `#` is not sent".to_owned()
            });
        }
        if path.starts_with('/') {
            return path.to_owned();
        }
        self.remarks.warn("invalid-path", at, || {
            "a path begins with `/`; it is read as if it did".to_owned()
        });
        format!("/{path}")
    }
}

/// One operation of a path item.
struct Found<'p, 'd> {
    method: std::result::Result<Method, Skip>,
    value: &'d Node<'d>,
    /// The key in the path item, or in its `additionalOperations`.
    key: &'d str,
    additional: bool,
    /// The place of the path item.
    place: Place<'p>,
}
