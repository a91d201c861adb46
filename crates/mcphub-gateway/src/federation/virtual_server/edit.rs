//! A tool's definition with changes. What is not changed stays byte for byte.

use std::borrow::Cow;

use indexmap::IndexMap;
use mcphub_core::virtual_server::ToolChange;
use serde_json::value::RawValue;

use crate::members::quoted;

/// The members of an object, however many there are.
type Object<'a> = IndexMap<Cow<'a, str>, &'a RawValue>;

/// The definition with another description and without the arguments that are set or hidden.
/// `None` for one that cannot be read.
pub(super) fn changed(definition: &str, change: &ToolChange) -> Option<String> {
    let mut members = object(definition)?;
    let description = change.description.as_deref().map(text);
    if let Some(description) = &description {
        members.insert("description".into(), description);
    }
    let schema = members.get("inputSchema").map(|raw| raw.get());
    let schema = without_arguments(schema?, change)?;
    if let Some(schema) = &schema {
        members.insert("inputSchema".into(), schema);
    }
    serde_json::to_string(&members).ok()
}

/// The schema without the arguments; the inner `None` where nothing changes.
fn without_arguments(schema: &str, change: &ToolChange) -> Option<Option<Box<RawValue>>> {
    if change.preset.is_empty() && change.hidden.is_empty() {
        return Some(None);
    }
    let gone = |name: &str| {
        change.preset.contains_key(name) || change.hidden.iter().any(|hidden| hidden == name)
    };
    let mut members = object(schema)?;
    let properties = match members.get("properties") {
        Some(raw) => {
            let mut properties = object(raw.get())?;
            properties.retain(|name, _| !gone(name));
            Some(raw_of(&properties)?)
        }
        None => None,
    };
    let required = match members.get("required") {
        Some(raw) => {
            let mut names: Vec<Cow<'_, str>> = serde_json::from_str(raw.get()).ok()?;
            names.retain(|name| !gone(name));
            Some(raw_of(&names)?)
        }
        None => None,
    };
    if let Some(properties) = &properties {
        members.insert("properties".into(), properties);
    }
    if let Some(required) = &required {
        members.insert("required".into(), required);
    }
    raw_of(&members).map(Some)
}

fn object(json: &str) -> Option<Object<'_>> {
    serde_json::from_str(json).ok()
}

fn raw_of(value: &impl serde::Serialize) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

fn text(text: &str) -> Box<RawValue> {
    RawValue::from_string(quoted(text)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEFINITION: &str = r#"{"name":"get\u0042ook","inputSchema":{"type":"object","properties":{"isbn":{"maximum":1.0e2},"lang":{},"debug":{}},"required":["isbn","lang"],"additionalProperties":false},"description":"old","_x":1.0}"#;

    #[test]
    fn only_what_is_asked_for_changes() {
        let mut change = ToolChange::default();
        assert_eq!(
            changed(DEFINITION, &change).as_deref().map(read),
            Some(read(DEFINITION))
        );
        change.description = Some("\"new\"".into());
        change.preset.insert("lang".into(), json!("en"));
        change.hidden = vec!["debug".into(), "unknown".into()];
        let expected = r#"{"name":"get\u0042ook","inputSchema":{"type":"object","properties":{"isbn":{"maximum":1.0e2}},"required":["isbn"],"additionalProperties":false},"description":"\"new\"","_x":1.0}"#;
        assert_eq!(changed(DEFINITION, &change).as_deref(), Some(expected));
    }

    fn read(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_cannot_be_read_is_not_changed() {
        let mut change = ToolChange::default();
        change.hidden = vec!["a".into()];
        for wrong in [
            "[]",
            r#"{"name":"a"}"#,
            r#"{"inputSchema":{"properties":[]}}"#,
            r#"{"inputSchema":{"required":"a"}}"#,
        ] {
            assert_eq!(changed(wrong, &change), None, "{wrong}");
        }
    }
}
