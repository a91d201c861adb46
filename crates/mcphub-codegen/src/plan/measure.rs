//! How large a schema is as JSON, and what it refers to, in one walk.
//!
//! Of a schema that loses some of its keywords the size is known without it being made.

use serde_json::{Map, Value};

use crate::keyword::{DEFS, Keyword};

/// The bytes of the schema as compact JSON, without the keywords in `dropped` at every level; the
/// names of the definitions it refers to are visited.
pub(super) fn schema<'v>(
    schema: &'v Value,
    dropped: &[&str],
    visit: &mut impl FnMut(&'v str),
) -> usize {
    match schema {
        Value::Object(object) => members(object, dropped, visit),
        other => data(other),
    }
}

pub(super) fn members<'v>(
    object: &'v Map<String, Value>,
    dropped: &[&str],
    visit: &mut impl FnMut(&'v str),
) -> usize {
    let (mut size, mut count) = (0, 0);
    for (key, value) in object {
        if dropped.contains(&key.as_str()) {
            continue;
        }
        count += 1;
        size += string(key) + 1;
        size += match (Keyword::of(key), value) {
            (Some(Keyword::Ref), Value::String(reference)) => {
                if let Some(name) = reference.strip_prefix(DEFS) {
                    visit(name);
                }
                string(reference)
            }
            (Some(Keyword::Schema), value) => schema(value, dropped, visit),
            (Some(Keyword::List), Value::Array(items)) => {
                let items_size = items.iter().map(|item| schema(item, dropped, visit));
                framed(items.len()) + items_size.sum::<usize>()
            }
            (Some(Keyword::Named | Keyword::Patterned), Value::Object(named)) => {
                let members = named
                    .iter()
                    .map(|(name, item)| string(name) + 1 + schema(item, dropped, visit));
                framed(named.len()) + members.sum::<usize>()
            }
            (_, value) => data(value),
        };
    }
    framed(count) + size
}

/// The brackets and commas around `count` items.
fn framed(count: usize) -> usize {
    2 + count.saturating_sub(1)
}

/// The bytes of any value as compact JSON.
pub(super) fn data(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(flag) => {
            if *flag {
                4
            } else {
                5
            }
        }
        Value::Number(number) => match number.as_u64() {
            Some(integer) => integer.checked_ilog10().unwrap_or_default() as usize + 1,
            None => number.to_string().len(),
        },
        Value::String(text) => string(text),
        Value::Array(items) => framed(items.len()) + items.iter().map(data).sum::<usize>(),
        Value::Object(members) => {
            framed(members.len())
                + members
                    .iter()
                    .map(|(key, value)| string(key) + 1 + data(value))
                    .sum::<usize>()
        }
    }
}

/// The bytes of a JSON string, quotes and escapes included.
fn string(text: &str) -> usize {
    // Few pieces of text have anything to escape, and all bytes of a piece are compared at once.
    const PIECE: usize = 32;
    let escapes = text.as_bytes().chunks(PIECE).map(|piece| {
        let plain = |plain, byte: &u8| plain & (*byte >= 0x20) & (*byte != b'"') & (*byte != b'\\');
        if piece.iter().fold(true, plain) {
            0
        } else {
            piece.iter().map(escape).sum::<usize>()
        }
    });
    text.len() + 2 + escapes.sum::<usize>()
}

/// The bytes that an escape adds to this one.
fn escape(byte: &u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::definitions::{REDUNDANT, without};
    use serde_json::{Value, json};

    fn schema() -> Value {
        json!({
            "type": ["object", "null"],
            "description": "a \"b\"\n\u{1}\u{7f}ü",
            "title": "An escape behind the first bytes that are looked at, here: \\",
            "properties": {"$ref": {"$ref": "#/$defs/A"}, "b": {"items": {"$ref": "#/$defs/B"}, "maximum": 1.5e300}},
            "allOf": [{"$ref": "#/$defs/C"}, true, {}],
            "examples": [{"$ref": "#/$defs/Data"}, -12, null],
            "enum": [0, 9, 10, 99, 100, 18_446_744_073_709_551_615_u64],
        })
    }

    #[test]
    fn sizes_are_exact_and_references_in_data_are_none() {
        let schema = schema();
        let mut names = Vec::new();
        let size = super::schema(&schema, &[], &mut |name| names.push(name));
        assert_eq!(size, schema.to_string().len());
        assert_eq!(names, ["A", "B", "C"]);
    }

    #[test]
    fn what_is_dropped_does_not_count() {
        let schema = json!({"properties": {"description": schema()}, "title": "t"});
        let size = super::schema(&schema, &REDUNDANT, &mut |_| {});
        assert_eq!(size, without(&schema, &REDUNDANT).to_string().len());
        assert!(size < super::schema(&schema, &[], &mut |_| {}));
    }
}
