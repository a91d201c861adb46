//! `x-mcp` of answers: which fields stay, how pages follow one another, and
//! whether a long one has a rest.

use mcphub_core::call::Fields;
use mcphub_core::spec::{FieldsHint, NextPage, PageLocation, PagesHint};

use super::extension::KEY;
use super::node::{Node, Object};
use super::path_item::Members;
use super::place::Place;
use super::{Skip, Walk};

const OF_PAGES: [&str; 6] = ["by", "items", "at", "parameter", "in", "first"];

/// The longest way to a place in a page, in names, and the longest name in bytes.
const MAX_NAMES: usize = 8;
const MAX_NAME: usize = 128;

/// What is said of answers.
#[derive(Default)]
pub(super) struct AnswerHints {
    pub(super) fields: Option<FieldsHint>,
    pub(super) pages: Option<PagesHint>,
    pub(super) rest: Option<bool>,
}

impl<'d> Walk<'d> {
    /// What the nearest says of answers: the operation, its path item or the document.
    ///
    /// # Errors
    /// `expansion-limit`.
    pub(super) fn answer_hints(
        &mut self,
        operation: &'d Object<'d>,
        at: Place<'_>,
        item: &Members<'_, 'd>,
    ) -> Result<AnswerHints, Skip> {
        if !self.extended {
            return Ok(AnswerHints::default());
        }
        let root = self.document.as_object().map(|root| (root, Place::ROOT));
        let holders = [Some((operation, at)), item.with(KEY), root];
        let mut found = AnswerHints::default();
        for (holder, at) in holders.into_iter().flatten() {
            let Some(Node::Object(said)) = holder.get(KEY) else {
                continue;
            };
            let at = at.key(KEY);
            if let (None, Some(value)) = (&found.fields, said.get("fields")) {
                found.fields = self.fields_hint(value, at.key("fields"));
            }
            if let (None, Some(value)) = (&found.pages, said.get("pages")) {
                found.pages = self.pages_hint(value, at.key("pages"));
            }
            if found.rest.is_none() {
                found.rest = self.flag(said, "rest", at);
            }
        }
        // One list may be that of every operation.
        if let Some(FieldsHint::Only(fields)) = &found.fields {
            self.charge(fields.iter().map(|field| field.len() + 32).sum())?;
        }
        Ok(found)
    }

    fn fields_hint(&mut self, value: &'d Node<'d>, at: Place<'_>) -> Option<FieldsHint> {
        let texts = match value {
            Node::Bool(true) => return Some(FieldsHint::Argument),
            Node::Bool(false) => return Some(FieldsHint::All),
            Node::String(text) => vec![text.to_string()],
            Node::Array(items) if items.iter().all(Node::is_string) => {
                let texts = items.iter().filter_map(Node::as_str);
                texts.map(str::to_owned).collect()
            }
            other => {
                let expected = "a boolean, a field or a list of fields";
                self.remarks.wrong_type(at, expected, other);
                return None;
            }
        };
        if let Err(error) = Fields::parse(&texts) {
            self.remarks.warn("invalid-field", at, || {
                format!("{}; all fields stay", error.message())
            });
            return None;
        }
        Some(FieldsHint::Only(texts))
    }

    fn pages_hint(&mut self, value: &'d Node<'d>, at: Place<'_>) -> Option<PagesHint> {
        let said = match value {
            Node::Bool(true) => return Some(PagesHint::Found),
            Node::Bool(false) => return Some(PagesHint::One),
            Node::Object(said) => said,
            other => {
                self.remarks.wrong_type(at, "a boolean or an object", other);
                return None;
            }
        };
        self.known(said, &OF_PAGES, at);
        let by = self.text(said, "by", at);
        let parameter = self.text(said, "parameter", at);
        let parameter = parameter.map(|name| name.into_owned());
        let first = |otherwise| match said.get("first") {
            Some(Node::Number(number)) => number.to_string().parse().unwrap_or(otherwise),
            _ => otherwise,
        };
        let place = said.get("at").and_then(names);
        let location = match self.text(said, "in", at).as_deref() {
            None | Some("query") => Some(PageLocation::Query),
            Some("body") => Some(PageLocation::Body),
            Some(_) => None,
        };
        let next = match (by.as_deref(), place, parameter, location) {
            (Some("link"), .., Some(_)) => Some(NextPage::Link),
            (Some("url"), Some(at), _, Some(_)) => Some(NextPage::Url { at }),
            (Some("cursor"), Some(at), Some(parameter), Some(location)) => Some(NextPage::Cursor {
                at,
                parameter,
                location,
            }),
            (Some("page"), _, Some(parameter), Some(location)) => Some(NextPage::Page {
                parameter,
                location,
                first: first(1),
            }),
            (Some("offset"), _, Some(parameter), Some(location)) => Some(NextPage::Offset {
                parameter,
                location,
                first: first(0),
            }),
            _ => None,
        };
        let items = said.get("items").map(names);
        if let (Some(next), true) = (next, items != Some(None)) {
            let items = items.flatten();
            return Some(PagesHint::By { items, next });
        }
        self.remarks.warn("invalid-pages", at, || {
            "`by` is link; url, with `at`; cursor, with `at` and `parameter`; page or offset, with \
             `parameter`. `in` is query or body. `at` and `items` are names of members, with dots or \
             as a list"
                .to_owned()
        });
        None
    }
}

/// Names of members from the top: a list, or text with dots. No text is the top itself.
fn names(value: &Node<'_>) -> Option<Vec<String>> {
    let names: Vec<String> = match value {
        Node::String(text) if text.is_empty() => Vec::new(),
        Node::String(text) => text.split('.').map(str::to_owned).collect(),
        Node::Array(items) => {
            let names = items.iter().map(|item| item.as_str().map(str::to_owned));
            names.collect::<Option<_>>()?
        }
        _ => return None,
    };
    let fit = |name: &String| (1..=MAX_NAME).contains(&name.len());
    (names.len() <= MAX_NAMES && names.iter().all(fit)).then_some(names)
}
