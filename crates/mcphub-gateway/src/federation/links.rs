//! URIs of resources in results, which have to be those that the endpoint lists.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::members::{Members, place, quoted, splice, string};

/// The most blocks of content whose URIs are looked at; those after them keep their own.
const MAX_BLOCKS: usize = 10_000;

/// A result with the URIs of resources replaced, where it has any: those of what was read, of links
/// and of embedded resources, in tools' results and in prompts (2026-07-28, Content). All else
/// stays byte for byte. What cannot be read stays as it is.
pub(crate) fn replaced(result: &str, link: impl Fn(&str) -> String) -> Option<String> {
    if !result.contains("\"uri\"") {
        return None;
    }
    let members = Members::read(result).ok()?;
    let mut found = Vec::new();
    for resource in items(members.get("contents")) {
        found.extend(uri_of(resource));
    }
    for block in items(members.get("content")) {
        found.extend(uri_of_block(block));
    }
    for message in items(members.get("messages")) {
        let message = Members::read(message.get()).ok();
        let content = message.and_then(|message| message.get("content"));
        match content {
            Some(content) if content.get().starts_with('[') => {
                found.extend(items(Some(content)).into_iter().filter_map(uri_of_block));
            }
            Some(content) => found.extend(uri_of_block(content)),
            None => {}
        }
    }
    let edit = |raw: &RawValue| -> Option<(Range<usize>, String)> {
        Some((place(result, raw)?, quoted(&link(&string(raw)?))))
    };
    let edits: Vec<_> = found.into_iter().filter_map(edit).collect();
    (!edits.is_empty()).then(|| splice(result, edits))
}

fn items(list: Option<&RawValue>) -> Vec<&RawValue> {
    let read = list.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
    let mut items = read.unwrap_or_default();
    items.truncate(MAX_BLOCKS);
    items
}

fn uri_of(resource: &RawValue) -> Option<&RawValue> {
    Members::read(resource.get()).ok()?.get("uri")
}

/// Of a `resource_link`, or of the resource in a block of type `resource`.
fn uri_of_block(block: &RawValue) -> Option<&RawValue> {
    let block = Members::read(block.get()).ok()?;
    match block.string("type").ok()??.as_ref() {
        "resource_link" => block.get("uri"),
        "resource" => uri_of(block.get("resource")?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_resources_are_replaced_and_nothing_else() {
        let result = r#"{"contents": [{"uri":"a:1","text":"\"uri\"","n":1.0}],
            "content":[{"type":"resource_link","uri":"a:2","name":"uri"},{"type":"text","text":"x","uri":"a:3"},
                {"type":"resource","resource":{"uri" : "a:4"}}, 7],
            "messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:5"}}},
                {"content":[{"type":"resource_link","uri":"a:\u0036"}]}],
            "structuredContent":{"uri":"a:7"}}"#;
        let mut expected = result.replace(r#""a:\u0036""#, r#""<a:6>""#);
        for own in ["a:1", "a:2", "a:4", "a:5"] {
            expected = expected.replace(&format!("\"{own}\""), &format!("\"<{own}>\""));
        }
        assert_eq!(replaced(result, |own| format!("<{own}>")), Some(expected));
    }

    #[test]
    fn what_has_no_uri_is_not_touched() {
        for result in [
            r#"{"content":[]}"#,
            r#"{"contents":{"uri":1}}"#,
            r#"{"contents":[{"uri":1}]}"#,
            r#"{"contents":[{"uri":"a","uri":"b"}]}"#,
            r#"["uri"]"#,
        ] {
            assert_eq!(replaced(result, str::to_owned), None, "{result}");
        }
    }
}
