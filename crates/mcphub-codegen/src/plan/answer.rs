//! What a tool does with answers, and the arguments that ask for it.

use mcphub_core::call::MAX_FIELDS;
use mcphub_core::spec::{FieldsHint, Operation};
use mcphub_core::tool::{AnswerBinding, FieldsBinding, MAX_PAGES, PagesBinding};
use serde_json::{Value, json};

use super::Planning;
use super::accept::is_json;
use super::argument::Home;
use super::pages::Found;

/// What is wanted of answers, before its arguments have names.
pub(super) struct Answers {
    pages: Option<Found>,
    fields: Option<Option<Vec<String>>>,
}

impl Planning<'_> {
    pub(super) fn answers_wanted(&self, operation: &Operation) -> Answers {
        let mut success = operation.responses.iter().filter(|r| r.is_success());
        let has_json = success.any(|response| {
            let mut content = response.content.iter();
            content.any(|(media_type, _)| is_json(media_type))
        });
        let fields = match &operation.hints.fields {
            Some(FieldsHint::Only(fields)) => Some(Some(fields.clone())),
            Some(FieldsHint::Argument) if has_json => Some(None),
            _ => None,
        };
        Answers {
            pages: self.pages(operation),
            fields,
        }
    }
}

impl Answers {
    /// The arguments that are asked for.
    pub(super) fn names(&self) -> impl Iterator<Item = (Home, &str)> {
        let pages = self.pages.as_ref().map(|_| (Home::Answer, "pages"));
        let fields = matches!(self.fields, Some(None)).then_some((Home::Answer, "fields"));
        pages.into_iter().chain(fields)
    }

    /// The binding, with the names that the arguments were given.
    pub(super) fn binding(
        self,
        mut names: impl Iterator<Item = String>,
        mut add: impl FnMut(&str, Value),
    ) -> AnswerBinding {
        let mut argument = |schema: Value| {
            let name = names.next()?;
            add(&name, schema);
            Some(name)
        };
        let pages = self.pages.and_then(|(items, next)| {
            let argument = argument(json!({
                "type": "integer", "minimum": 1, "maximum": MAX_PAGES, "default": 1,
                "description": "How many pages to read at once; their items are joined.",
            }))?;
            Some(PagesBinding {
                argument,
                items,
                next,
            })
        });
        let fields = self.fields.and_then(|only| match only {
            Some(fields) => Some(FieldsBinding::Only(fields)),
            None => argument(json!({
                "type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_FIELDS,
                "description": "The fields of the answer to give, such as `id` or `owner.name`; lists are gone through. All by default.",
            }))
            .map(FieldsBinding::Argument),
        });
        AnswerBinding { fields, pages }
    }
}
