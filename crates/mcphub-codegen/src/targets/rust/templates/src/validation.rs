//! Values are held against JSON Schema 2020-12.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::problems::{self, MAX_PROBLEMS};

/// Arguments larger than this many bytes are checked up to their first problem only, because the
/// problems of a large value take many times its memory.
const MAX_LISTED: usize = 256 * 1024;
/// How many steps back the match of one `pattern` may take before the value counts as wrong. Only
/// patterns with look-around or back-references take any.
const MAX_BACKTRACKS: usize = 100_000;

/// A schema, ready to hold values against. Formats are not asserted, and nothing is fetched.
#[derive(Debug)]
pub(crate) struct Check {
    /// Absent for a schema that does not compile: the API is the judge then.
    validator: Option<Validator>,
    /// The names of its properties.
    known: Vec<String>,
}

impl Check {
    pub(crate) fn new(schema: &Map<String, Value>) -> Self {
        let patterns = PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS);
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(false)
            .with_pattern_options(patterns)
            .build(&Value::Object(schema.clone()));
        let properties = schema.get("properties").and_then(Value::as_object);
        Self {
            validator: compiled.ok(),
            known: properties.map_or_else(Vec::new, |all| all.keys().cloned().collect()),
        }
    }

    /// What is wrong with a call's arguments, at most 10 lines; none when they fit.
    pub(crate) fn problems(&self, arguments: &Value) -> Vec<String> {
        let Some(validator) = &self.validator else {
            return Vec::new();
        };
        if validator.is_valid(arguments) {
            return Vec::new();
        }
        let most = if arguments.to_string().len() > MAX_LISTED {
            1
        } else {
            MAX_PROBLEMS + 1
        };
        let errors: Vec<_> = validator.iter_errors(arguments).take(most).collect();
        let known: Vec<_> = self.known.iter().map(String::as_str).collect();
        problems::lines(&errors, &known)
    }

    /// The first problem of an answer.
    pub(crate) fn first_problem(&self, value: &Value) -> Option<String> {
        let error = self.validator.as_ref()?.validate(value).err()?;
        Some(problems::line(&error))
    }
}
