//! What every call sends, held against the schemas of the arguments that there are not.

use indexmap::IndexMap;
use mcphub_core::spec::{Operation, Severity};
use serde_json::{Map, Value, json};

use super::Planning;
use super::definitions::Form;
use super::draft::Draft;
use super::omission::Omission;

/// The most remarks on the presets of one operation.
const MAX_REMARKS: usize = 8;

impl Planning<'_> {
    /// Remarks on presets that their schemas do not accept. They are sent all the same: documents
    /// are often wrong, and whoever sets a value knows the API.
    pub(super) fn check_presets(
        &mut self,
        presets: &IndexMap<String, Value>,
        schemas: Map<String, Value>,
        operation: &Operation,
    ) {
        if presets.is_empty() {
            return;
        }
        let root = Map::from_iter([("properties".to_owned(), Value::Object(schemas))]);
        let (size, roots) = self.definitions.measure(&root, Omission::NOTHING);
        let room = self.options.max_input_schema.saturating_sub(size);
        let reached = self.definitions.reach(Form::Exact, &roots, room);
        let entries = if reached.over {
            self.shallow(&roots, size).map(|(entries, _)| entries)
        } else {
            let entries = reached.found.into_iter();
            Some(entries.map(|(index, _)| (index, Form::Exact)).collect())
        };
        let Some(entries) = entries else { return };
        let draft = Draft {
            root,
            entries,
            ..Draft::default()
        };
        let schema = draft.make(&mut self.definitions).to_value();
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(false)
            .build(&schema);
        let Ok(validator) = validator else { return };
        let sent = json!(presets);
        for error in validator.iter_errors(&sent).take(MAX_REMARKS) {
            let place = error
                .instance_path()
                .as_str()
                .trim_start_matches('/')
                .to_owned();
            self.remark(
                Severity::Warning,
                "preset-mismatch",
                operation,
                format!("what every call sends as `{place}` does not fit its schema: {error}"),
            );
        }
    }
}
