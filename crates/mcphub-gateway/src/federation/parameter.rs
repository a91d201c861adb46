//! Arguments that travel as headers too (2026-07-28, Streamable HTTP, Custom Headers).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::members::{Members, string};

/// What marks a property.
const MARK: &str = "x-mcp-header";

/// The most of one tool, and how deep they may be.
const MAX: usize = 64;
const MAX_DEPTH: usize = 16;

/// An argument of a tool that has to be repeated as a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderParameter {
    /// The name of the header.
    header: String,
    /// Where the argument is, by the names of properties.
    path: Vec<String>,
}

impl HeaderParameter {
    /// The name of the header.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// The text of the argument, not encoded. `None` where it is absent, null or no primitive.
    pub(crate) fn value(&self, arguments: &RawValue) -> Option<String> {
        let mut value = arguments;
        for name in &self.path {
            value = Members::read(value.get()).ok()?.get(name)?;
        }
        let text = value.get();
        match text.as_bytes().first()? {
            b'"' => string(value).map(Cow::into_owned),
            b't' | b'f' | b'-' | b'0'..=b'9' => Some(text.to_owned()),
            _ => None,
        }
    }
}

/// The marked properties of a tool, from its definition. A mark that is not as it has to be is none.
pub(super) fn marked(definition: &str) -> Vec<HeaderParameter> {
    if !definition.contains(MARK) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let tool = Members::read(definition).ok();
    if let Some(schema) = tool.and_then(|tool| tool.get("inputSchema")) {
        look(schema, &mut Vec::new(), &mut found);
    }
    found
}

fn look(schema: &RawValue, path: &mut Vec<String>, found: &mut Vec<HeaderParameter>) {
    let properties = Members::read(schema.get())
        .ok()
        .and_then(|schema| Members::read(schema.get("properties")?.get()).ok());
    let Some(properties) = properties.filter(|_| path.len() < MAX_DEPTH) else {
        return;
    };
    for (name, property) in properties.iter() {
        path.push(name.to_string());
        let mark = Members::read(property.get())
            .ok()
            .and_then(|property| Some(property.string(MARK).ok()??.into_owned()));
        let mark = mark.filter(|mark| is_token(mark) && found.len() < MAX);
        if let Some(mark) = mark {
            let header = format!("mcp-param-{}", mark.to_ascii_lowercase());
            if found.iter().all(|known| known.header != header) {
                found.push(HeaderParameter {
                    header,
                    path: path.clone(),
                });
            }
        }
        look(property, path, found);
        path.pop();
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_arguments_are_found_wherever_they_are() {
        let definition = r#"{"name":"t","inputSchema":{"properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "again":{"type":"string","x-mcp-header":"region"},
            "bad":{"type":"string","x-mcp-header":"a b"},
            "at":{"properties":{"n":{"type":"integer","x-mcp-header":"N"},"f":{"type":"boolean","x-mcp-header":"F"}}},
            "items":{"items":{"x-mcp-header":"Item"}}}}}"#;
        let found = marked(definition);
        let arguments = RawValue::from_string(
            r#"{"region":"\u00fc","again":"x","at":{"n":9007199254740993,"f":null}}"#.to_owned(),
        )
        .unwrap();
        let values: Vec<_> = found
            .iter()
            .map(|parameter| (parameter.header(), parameter.value(&arguments)))
            .collect();
        assert_eq!(
            values,
            [
                ("mcp-param-region", Some("ü".to_owned())),
                ("mcp-param-n", Some("9007199254740993".to_owned())),
                ("mcp-param-f", None),
            ]
        );
        assert!(
            marked(r#"{"name":"t","inputSchema":{"properties":[]},"x-mcp-header":1}"#).is_empty()
        );
    }
}
