//! A tool's schema, compiled once, and values held against it.

use jsonschema::{Draft, PatternOptions, Validator};
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::schema::Schema;

use super::accept::Accept;
use super::problem::{self, MAX_PROBLEMS};
use super::tree::{Borrowed, Tree};

/// Values larger than this many bytes are checked up to their first problem only, because the
/// problems of a large value take many times its memory.
const MAX_LISTED: usize = 256 * 1024;

/// How many steps back the match of one `pattern` may take before the value counts as wrong. Only
/// patterns with look-around or back-references take any.
const MAX_BACKTRACKS: usize = 100_000;

/// A compiled schema (JSON Schema 2020-12; `format` is an annotation and not asserted).
pub(super) struct Check {
    /// Absent for a schema that does not compile.
    validator: Option<Validator<Borrowed>>,
    accept: Accept,
}

impl Check {
    /// Compiles a schema. One that does not compile is reported once and lets every value pass: the
    /// API is the judge then, and the tool stays usable.
    pub(super) fn new(schema: &Schema, tool: &str) -> Self {
        let schema = schema.to_value();
        let patterns = PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS);
        let compiled = jsonschema::options_for::<Borrowed>()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(false)
            .with_pattern_options(patterns)
            .build(&schema);
        let validator = compiled
            .inspect_err(|error| tracing::error!(tool, error = %error.masked(), "a tool's schema does not compile"))
            .ok();
        let accept = Accept::new(&schema);
        Self { validator, accept }
    }

    /// The problems of a call's arguments, at most ten lines; none when they fit.
    ///
    /// # Errors
    /// As [`Tree::of_arguments`].
    pub(super) fn arguments(
        &self,
        schema: &Schema,
        arguments: &Arguments<'_>,
    ) -> Result<Vec<String>> {
        let Some(validator) = &self.validator else {
            return Ok(Vec::new());
        };
        if self.accept.fits_all(arguments) {
            return Ok(Vec::new());
        }
        let value = Tree::of_arguments(arguments)?;
        if validator.is_valid(&value) {
            return Ok(Vec::new());
        }
        let errors: Vec<_> = if arguments.text().get().len() > MAX_LISTED {
            validator.validate(&value).err().into_iter().collect()
        } else {
            validator
                .iter_errors(&value)
                .take(MAX_PROBLEMS + 1)
                .collect()
        };
        Ok(problem::lines(&errors, schema))
    }

    /// Whether a text is JSON that fits, as far as that is told in one pass. `false` says nothing.
    pub(super) fn surely_fits(&self, answer: &str) -> bool {
        self.accept.fits(answer)
    }

    /// The first problem of an answer, which is JSON. None is found in one that nests too deep to be
    /// read: it is beyond what the schema could be held against.
    pub(super) fn first_problem(&self, answer: &str) -> Option<String> {
        let validator = self.validator.as_ref()?;
        if self.accept.fits(answer) {
            return None;
        }
        let value = serde_json::from_str::<Tree<'_>>(answer).ok()?;
        let error = validator.validate(&value).err()?;
        Some(problem::line(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn schema(value: Value) -> Schema {
        Schema::from_object(value.as_object().unwrap().clone())
    }

    #[test]
    fn formats_are_not_asserted() {
        let schema = schema(
            json!({"type": "object", "properties": {"at": {"type": "string", "format": "date"}}}),
        );
        let arguments = Arguments::parse(r#"{"at": "tomorrow"}"#).unwrap();
        assert!(
            Check::new(&schema, "t")
                .arguments(&schema, &arguments)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn shared_definitions_are_followed() {
        let schema = schema(json!({
            "type": "object", "properties": {"tree": {"$ref": "#/$defs/Tree"}},
            "$defs": {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "n": {"type": "integer"}}}},
        }));
        let arguments = Arguments::parse(r#"{"tree": {"left": {"left": {"n": "x"}}}}"#).unwrap();
        let problems = Check::new(&schema, "t")
            .arguments(&schema, &arguments)
            .unwrap();
        assert_eq!(problems, ["tree.left.left.n: must be an integer"]);
    }

    #[test]
    fn a_schema_that_does_not_compile_leaves_the_tool_usable() {
        let schema = schema(
            json!({"type": "object", "properties": {"a": {"$ref": "http://example.test/a.json"}}}),
        );
        let check = Check::new(&schema, "t");
        let arguments = Arguments::parse(r#"{"a": 1}"#).unwrap();
        assert!(check.arguments(&schema, &arguments).unwrap().is_empty());
        assert!(check.first_problem("null").is_none());
    }
}
