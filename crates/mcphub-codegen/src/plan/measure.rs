//! How large a schema is as JSON, and what it refers to, in one walk.
//!
//! Of a schema that loses some of its keywords the size is known without it being made.

use serde_json::{Map, Value};

use super::omission::Omission;
use super::outline;
use crate::json_size::{framed, string, value as data};
use crate::keyword::{DEFS, Keyword};

/// The bytes of the schema as compact JSON, without what is omitted; the names of the definitions
/// it refers to are visited.
pub(super) fn schema<'v, V: FnMut(&'v str)>(
    schema: &'v Value,
    omission: Omission,
    visit: &mut V,
) -> usize {
    match schema {
        Value::Object(object) => members(object, omission, visit),
        other => data(other),
    }
}

pub(super) fn members<'v, V: FnMut(&'v str)>(
    object: &'v Map<String, Value>,
    omission: Omission,
    visit: &mut V,
) -> usize {
    let inner = omission.inner();
    let keeps = |key: &str| !omission.omits(key);
    walk(
        object,
        keeps,
        |child, visit| schema(child, inner, visit),
        visit,
    )
}

/// The bytes of what [`outline::cut`](super::outline::cut) makes.
pub(super) fn cut(root: &Map<String, Value>, levels: usize) -> usize {
    let within = |child, visit: &mut _| within(child, levels, visit);
    walk(root, |_| true, within, &mut |_: &str| {})
}

fn within<'v, V: FnMut(&'v str)>(schema: &'v Value, levels: usize, visit: &mut V) -> usize {
    let Value::Object(object) = schema else {
        return data(schema);
    };
    match levels.checked_sub(1) {
        Some(levels) => {
            let within = |child, visit: &mut V| within(child, levels, visit);
            walk(object, |_| true, within, visit)
        }
        None => outline::size(object),
    }
}

/// The bytes of an object whose keywords are kept or not, and whose schemas are measured so.
fn walk<'v, V: FnMut(&'v str)>(
    object: &'v Map<String, Value>,
    keeps: impl Fn(&str) -> bool,
    child: impl Fn(&'v Value, &mut V) -> usize,
    visit: &mut V,
) -> usize {
    let (mut size, mut count) = (0, 0);
    for (key, value) in object {
        if !keeps(key) {
            continue;
        }
        count += 1;
        let keyword = Keyword::of(key);
        // No keyword has anything to escape.
        size += 1 + if keyword.is_some() {
            key.len() + 2
        } else {
            string(key)
        };
        size += match (keyword, value) {
            (Some(Keyword::Ref), Value::String(reference)) => {
                if let Some(name) = reference.strip_prefix(DEFS) {
                    visit(name);
                }
                string(reference)
            }
            (Some(Keyword::Schema), value) => child(value, visit),
            (Some(Keyword::List), Value::Array(items)) => {
                let items_size = items.iter().map(|item| child(item, visit));
                framed(items.len()) + items_size.sum::<usize>()
            }
            (Some(Keyword::Named | Keyword::Patterned), Value::Object(named)) => {
                let members = named
                    .iter()
                    .map(|(name, item)| string(name) + 1 + child(item, visit));
                framed(named.len()) + members.sum::<usize>()
            }
            (_, value) => data(value),
        };
    }
    framed(count) + size
}

#[cfg(test)]
mod tests {
    use crate::plan::omission::Omission;
    use crate::plan::outline;
    use serde_json::{Value, json};

    fn schema() -> Value {
        json!({
            "type": ["object", "null"],
            "description": "a \"b\"\n\u{1}\u{7f}ü",
            "title": "An escape behind the first bytes that are looked at, here: \\",
            "properties": {"$ref": {"$ref": "#/$defs/A"}, "b": {"description": "within", "items": {"$ref": "#/$defs/B"}, "maximum": 1.5e300}},
            "allOf": [{"$ref": "#/$defs/C"}, true, {}],
            "examples": [{"$ref": "#/$defs/Data"}, -12, null],
            "enum": [0, 9, 10, 99, 100, 18_446_744_073_709_551_615_u64],
        })
    }

    #[test]
    fn sizes_are_exact_and_references_in_data_are_none() {
        let schema = schema();
        let mut names = Vec::new();
        let size = super::schema(&schema, Omission::NOTHING, &mut |name| names.push(name));
        assert_eq!(size, schema.to_string().len());
        assert_eq!(names, ["A", "B", "C"]);
    }

    #[test]
    fn what_is_dropped_does_not_count() {
        let schema = json!({"properties": {"description": schema()}, "title": "t"});
        let whole = super::schema(&schema, Omission::NOTHING, &mut |_| {});
        let mut before = 0;
        for omission in [Omission::REDUNDANT, Omission::REDUNDANT.below(1)] {
            let size = super::schema(&schema, omission, &mut |_| {});
            assert_eq!(size, omission.of(&schema).to_string().len());
            let mut stripped = schema.clone();
            omission.strip(stripped.as_object_mut().unwrap());
            assert_eq!(stripped, omission.of(&schema));
            assert!(before < size && size < whole, "less and less is omitted");
            before = size;
        }
    }

    #[test]
    fn what_is_cut_has_the_size_of_what_is_made() {
        let inner = json!({"type": "array", "items": schema(), "description": "of \"these\"", "format": "a"});
        let root = json!({"type": "object", "properties": {"a": inner, "b": schema(), "c": true, "d": {"const": 1}}});
        let root = root.as_object().unwrap();
        let mut before = 0;
        for levels in 0..=outline::levels(root) {
            let made = Value::Object(outline::cut(root, levels)).to_string().len();
            assert_eq!(super::cut(root, levels), made, "{levels}");
            assert!(before < made, "each level adds to it");
            before = made;
        }
    }
}
