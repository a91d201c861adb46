//! Action Object (Overlay 1.1.0), and Reusable Action Object (1.2.0).

use std::collections::BTreeSet;

use mcphub_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::merge::merge;
use super::{invalid, member};

/// The longest JSONPath in bytes, and the most `..` in one: each walks all that is below.
const MAX_PATH: usize = 1_024;
const MAX_DESCENTS: usize = 2;

/// The most places that one action changes.
const MAX_TARGETS: usize = 100_000;

/// One change to a document, wherever it is to be made.
pub(super) struct Action<'a> {
    target: &'a str,
    path: JsonPath,
    change: Change<'a>,
}

enum Change<'a> {
    Remove,
    Update(&'a Value),
    Copy(JsonPath),
    Nothing,
}

impl<'a> Action<'a> {
    /// Reads an action of an overlay.
    ///
    /// # Errors
    /// `InvalidDocument` or `TooLarge` for what cannot be carried out.
    pub(super) fn read(action: &'a Value, overlay: &'a Value) -> Result<Self> {
        let Value::Object(action) = action else {
            return Err(invalid("an action is an object"));
        };
        let fields = fields(action, overlay)?;
        let target = member(action, "target").and_then(Value::as_str);
        let target = target.ok_or_else(|| invalid("an action has a `target`, a JSONPath"))?;
        let removes = matches!(member(fields, "remove"), Some(Value::Bool(true)));
        let change = match (fields.get("update"), member(fields, "copy")) {
            _ if removes => Change::Remove,
            (Some(_), Some(_)) => {
                return Err(invalid("an action has `update` or `copy`, not both"));
            }
            (Some(update), None) => Change::Update(update),
            (None, Some(Value::String(copy))) => Change::Copy(path(copy)?),
            (None, Some(_)) => return Err(invalid("`copy` is a JSONPath")),
            (None, None) => Change::Nothing,
        };
        Ok(Self {
            target,
            path: path(target)?,
            change,
        })
    }

    pub(super) fn target(&self) -> &str {
        self.target
    }

    /// Changes the document, which may grow by `room` bytes; how many places were selected.
    ///
    /// # Errors
    /// `InvalidDocument` when something selected cannot be changed like this; `TooLarge`.
    pub(super) fn apply(&self, document: &mut Value, room: &mut usize) -> Result<usize> {
        let places = self.places(document)?;
        let update = match &self.change {
            Change::Nothing => return Ok(places.len()),
            Change::Remove => {
                // From the end, so that no index changes before its turn.
                for place in places.iter().rev() {
                    remove(document, place)?;
                }
                return Ok(places.len());
            }
            Change::Update(update) => (*update).clone(),
            Change::Copy(path) => match path.query(document).exactly_one() {
                Ok(value) => value.clone(),
                Err(_) => return Err(invalid("`copy` selects exactly one place")),
            },
        };
        let bytes = update.to_string().len().saturating_mul(places.len());
        *room = room.checked_sub(bytes).ok_or_else(|| {
            Error::new(
                ErrorKind::TooLarge,
                "the overlay makes the document larger than a document may be",
            )
        })?;
        for place in &places {
            if let Some(target) = document.pointer_mut(&place.pointer()) {
                merge(target, &update, &place.pointer())?;
            }
        }
        Ok(places.len())
    }

    fn places(&self, document: &Value) -> Result<BTreeSet<Place>> {
        let found = self.path.query_located(document);
        if found.len() > MAX_TARGETS {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("an action changes at most {MAX_TARGETS} places"),
            ));
        }
        let pointers = found.locations().map(|path| path.to_json_pointer());
        Ok(pointers.map(|pointer| Place::of(&pointer)).collect())
    }
}

/// The fields of an action; those of a reusable one, if it refers to it.
fn fields<'a>(
    action: &'a Map<String, Value>,
    overlay: &'a Value,
) -> Result<&'a Map<String, Value>> {
    let Some(reference) = member(action, "$ref") else {
        return Ok(action);
    };
    reference
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
        .filter(|pointer| pointer.starts_with("/components/actions/"))
        .and_then(|pointer| overlay.pointer(pointer)?.get("fields")?.as_object())
        .ok_or_else(|| invalid("`$ref` leads to an action in `components.actions` with `fields`"))
}

fn path(text: &str) -> Result<JsonPath> {
    if text.len() > MAX_PATH || text.matches("..").count() > MAX_DESCENTS {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a JSONPath has at most {MAX_PATH} bytes and {MAX_DESCENTS} `..`"),
        ));
    }
    JsonPath::parse(text)
        .map_err(|error| invalid(format!("this is no JSONPath: {error}")).with("path", text))
}

/// A place in the document. What comes later in an array is greater, and what is inside is greater
/// than what it is in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Vec<Step>);

/// One step of a pointer. An index of an array and a key of digits look alike and sort alike.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Number(usize, String),
    Name(String),
}

impl Place {
    fn of(pointer: &str) -> Self {
        let steps = pointer.split('/').skip(1).map(|step| match step.parse() {
            Ok(number) => Step::Number(number, step.to_owned()),
            Err(_) => Step::Name(step.to_owned()),
        });
        Self(steps.collect())
    }

    fn pointer(&self) -> String {
        let steps = self.0.iter().map(|step| match step {
            Step::Number(_, text) | Step::Name(text) => format!("/{text}"),
        });
        steps.collect()
    }
}

fn remove(document: &mut Value, place: &Place) -> Result<()> {
    let pointer = place.pointer();
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return Err(invalid("the document itself cannot be removed"));
    };
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.shift_remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Some(index) = key.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
    Ok(())
}
