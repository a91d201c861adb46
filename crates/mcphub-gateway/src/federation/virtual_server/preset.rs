//! Arguments of a tool that are not the caller's.

use indexmap::IndexMap;
use mcphub_core::virtual_server::ToolChange;
use serde_json::value::RawValue;

use crate::members::quoted;

/// The arguments that each call of a tool has, and those that none has.
#[derive(Debug)]
pub struct Preset {
    /// Members with their values, as JSON text without braces; may be empty.
    set: String,
    names: Vec<Box<str>>,
}

impl Preset {
    /// What a change of a tool says; `None` where it says nothing of arguments.
    pub(in crate::federation) fn of(change: &ToolChange) -> Option<Self> {
        let names = change.preset.keys().chain(&change.hidden);
        let names: Vec<Box<str>> = names.map(|name| name.as_str().into()).collect();
        let member =
            |(name, value): (&String, &serde_json::Value)| format!("{}:{value}", quoted(name));
        let set: Vec<_> = change.preset.iter().map(member).collect();
        (!names.is_empty()).then(|| Self {
            set: set.join(","),
            names,
        })
    }

    /// The arguments of a call with those that are set. What the caller gave stays byte for byte.
    ///
    /// # Errors
    /// The name of an argument that is not the caller's, or an empty one when they cannot be read.
    pub(crate) fn apply(&self, arguments: Option<&RawValue>) -> Result<Box<RawValue>, &str> {
        let text = arguments.map_or("{}", RawValue::get);
        let text = if text == "null" { "{}" } else { text };
        let given: IndexMap<String, &RawValue> = serde_json::from_str(text).map_err(|_| "")?;
        if let Some(name) = self.names.iter().find(|name| given.contains_key(&***name)) {
            return Err(name);
        }
        let inner = text.trim().strip_prefix('{').ok_or("")?;
        let comma = if given.is_empty() || self.set.is_empty() {
            ""
        } else {
            ","
        };
        let whole = ["{", &self.set, comma, inner].concat();
        RawValue::from_string(whole).map_err(|_| "")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(preset: &Preset, arguments: &str) -> Result<String, String> {
        let raw = RawValue::from_string(arguments.to_owned()).unwrap();
        let applied = preset.apply(Some(&raw));
        applied
            .map(|raw| raw.get().to_owned())
            .map_err(str::to_owned)
    }

    #[test]
    fn arguments_are_set_beside_those_of_the_caller() {
        let mut change = ToolChange::default();
        assert!(Preset::of(&change).is_none());
        change.hidden = vec!["debug".into()];
        change.preset.insert("a\"b".into(), json!([1]));
        change.preset.insert("c".into(), json!({}));
        let preset = Preset::of(&change).unwrap();
        let set = r#"{"a\"b":[1],"c":{}"#;
        for (given, whole) in [
            ("{}", format!("{set}}}")),
            ("null", format!("{set}}}")),
            (r#"{ "x": 1.0e2 }"#, format!(r#"{set}, "x": 1.0e2 }}"#)),
        ] {
            assert_eq!(apply(&preset, given), Ok(whole), "{given}");
        }
        for (given, name) in [
            (r#"{"debug":1}"#, "debug"),
            (r#"{"x":1,"\u0063":1}"#, "c"),
            ("[]", ""),
        ] {
            assert_eq!(apply(&preset, given), Err(name.to_owned()), "{given}");
        }
    }

    #[test]
    fn hidden_arguments_alone_leave_the_others_as_they_are() {
        let mut change = ToolChange::default();
        change.hidden = vec!["debug".into()];
        let preset = Preset::of(&change).unwrap();
        assert_eq!(apply(&preset, r#"{"x":1}"#).as_deref(), Ok(r#"{"x":1}"#));
        assert_eq!(apply(&preset, "{}").as_deref(), Ok("{}"));
    }
}
