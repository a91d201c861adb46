//! What a call wants of its answer.

use serde_json::value::RawValue;

use super::request::is_json;
use super::{Arguments, Fields, HttpAnswer};
use crate::tool::{AnswerBinding, FieldsBinding, MAX_PAGES};
use crate::{Error, ErrorKind, Result};

/// What a call wants of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How many pages, at least one.
    pub pages: u32,
    /// Which fields; all where there are none.
    pub fields: Option<Fields>,
}

impl AnswerBinding {
    /// What these arguments want.
    ///
    /// # Errors
    /// `InvalidInput` that names the argument.
    pub fn wanted(&self, arguments: &Arguments<'_>) -> Result<Wanted> {
        let pages = self.pages.as_ref();
        let pages = pages.and_then(|pages| given(arguments, &pages.argument));
        let pages = pages.map_or(Ok(1), |raw| {
            // `2.0` is an integer too (JSON Schema 2020-12, 4.2.3).
            let number = raw.get().parse::<f64>().ok().filter(|n| n.fract() == 0.0);
            let number = number.map(|number| number as u32);
            number
                .filter(|number| (1..=MAX_PAGES).contains(number))
                .ok_or_else(|| Error::invalid(format!("must be 1 to {MAX_PAGES}")))
        });
        let in_argument = |name: &str, error: Error| error.with("argument", name);
        let pages = pages.map_err(|error| match &self.pages {
            Some(pages) => in_argument(&pages.argument, error),
            None => error,
        })?;
        let fields = match &self.fields {
            None => None,
            Some(FieldsBinding::Only(fields)) => Some(Fields::parse(fields)?),
            Some(FieldsBinding::Argument(name)) => given(arguments, name)
                .map(read)
                .transpose()
                .map_err(|error| in_argument(name, error))?,
        };
        Ok(Wanted { pages, fields })
    }
}

impl Wanted {
    /// Leaves of a successful JSON answer the fields that are wanted. One line for the model about
    /// those that it does not have. What is no JSON stays as it is, and so does, with a line about
    /// it, what filters would look at too often.
    pub fn pick(&self, answer: &mut HttpAnswer) -> Option<String> {
        let fields = self.fields.as_ref()?;
        let media_type = answer.content_type.as_deref().unwrap_or_default();
        if !(200..300).contains(&answer.status) || !is_json(media_type) {
            return None;
        }
        let picked = match fields.of(std::str::from_utf8(&answer.body).ok()?) {
            Ok(picked) => picked,
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return Some(format!("[all fields are given: {}]", error.message()));
            }
            Err(_) => return None,
        };
        answer.body = picked.json.into();
        if picked.absent.is_empty() {
            return None;
        }
        Some(format!("[the answer has no {}]", picked.absent.join(", ")))
    }
}

fn given<'a>(arguments: &'a Arguments<'_>, name: &str) -> Option<&'a RawValue> {
    arguments.get(name).filter(|raw| raw.get() != "null")
}

fn read(raw: &RawValue) -> Result<Fields> {
    let texts: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|error| Error::invalid("must be a list of texts").caused_by(error))?;
    Fields::parse(&texts)
}
