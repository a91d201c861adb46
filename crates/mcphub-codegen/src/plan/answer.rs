//! What a tool does with answers, and the arguments that ask for it.

use mcphub_core::call::MAX_FIELDS;
use mcphub_core::spec::{FieldsHint, Operation};
use mcphub_core::tool::{AnswerBinding, FieldsBinding, MAX_PAGES, PagesBinding, ToolAnnotations};
use serde_json::{Value, json};

use super::Planning;
use super::accept::is_json;
use super::argument::Home;
use super::pages::Found;

/// What is wanted of answers, before its arguments have names.
pub(super) struct Answers {
    pages: Option<Found>,
    fields: Option<Option<Vec<String>>>,
    rest: bool,
}

impl Planning<'_> {
    pub(super) fn answers_wanted(&self, operation: &Operation) -> Answers {
        let success = operation.responses.iter().filter(|r| r.is_success());
        let kinds = success.flat_map(|response| response.content.iter());
        let mut kinds = kinds.map(|(media_type, _)| media_type.as_str());
        let has_json = kinds.clone().any(is_json);
        let annotations = ToolAnnotations::from(operation.method).with(&operation.hints);
        let fields = match &operation.hints.fields {
            Some(FieldsHint::Only(fields)) => Some(Some(fields.clone())),
            Some(FieldsHint::Argument) if has_json => Some(None),
            _ => None,
        };
        Answers {
            pages: self.pages(operation),
            // A request that changes something is not made again for the rest of its answer, and
            // what is left of an answer is no piece of it.
            rest: annotations.is_repeatable()
                && !matches!(fields, Some(Some(_)))
                && operation.hints.rest.unwrap_or_else(|| kinds.any(is_file)),
            fields,
        }
    }
}

impl Answers {
    /// The arguments that are asked for.
    pub(super) fn names(&self) -> impl Iterator<Item = (Home, &str)> {
        let pages = self.pages.as_ref().map(|_| (Home::Answer, "pages"));
        let fields = matches!(self.fields, Some(None)).then_some((Home::Answer, "fields"));
        let rest = self.rest.then_some((Home::Answer, "rest"));
        pages.into_iter().chain(fields).chain(rest)
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
        let rest = self.rest.then(|| {
            argument(json!({
                "type": "string", "maxLength": 256, "default": "0",
                "description": "Where a long answer goes on, as the piece before says; 0 is its beginning.",
            }))
        });
        AnswerBinding {
            fields,
            pages,
            rest: rest.flatten(),
        }
    }
}

/// Whether answers of a kind are files and streams rather than data: those may be of any size.
fn is_file(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let (family, name) = essence.split_once('/').unwrap_or((&essence, ""));
    match family {
        "video" | "audio" | "font" | "model" => true,
        "text" => matches!(name, "csv" | "tab-separated-values" | "event-stream"),
        "application" => {
            matches!(
                name,
                "octet-stream"
                    | "pdf"
                    | "x-tar"
                    | "gzip"
                    | "x-gzip"
                    | "x-7z-compressed"
                    | "json-seq"
            ) || name.ends_with("zip")
                || name.ends_with("ndjson")
                || name.ends_with("jsonl")
                || name.ends_with("jsonlines")
        }
        _ => false,
    }
}
