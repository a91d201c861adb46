//! The keywords of JSON Schema 2020-12, and what stands under each.

use serde_json::{Map, Value};

/// What the value of a keyword is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    /// A reference to a schema.
    Ref,
    /// One schema.
    Schema,
    /// A non-empty array of schemas.
    List,
    /// Schemas by name.
    Named,
    /// Schemas by regular expression.
    Patterned,
    /// A type or an array of types.
    Type,
    /// A number.
    Number,
    /// A number above zero.
    Positive,
    /// An integer from zero.
    Count,
    /// `true` or `false`.
    Flag,
    /// A string.
    Text,
    /// A regular expression.
    Pattern,
    /// An array of distinct strings.
    Names,
    /// Arrays of distinct strings by name.
    NamesByName,
    /// An array of data.
    DataList,
    /// Any data.
    Data,
}

impl Keyword {
    /// The keyword of that name; `None` for what is unknown, or has no place in a schema that
    /// travels alone (`$id`, `$anchor`, `$defs` and their kin).
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "type" => Self::Type,
            "$ref" => Self::Ref,
            "properties" | "dependentSchemas" => Self::Named,
            "description" | "format" | "title" | "contentMediaType" | "contentEncoding"
            | "$comment" => Self::Text,
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "contentSchema"
            | "unevaluatedItems"
            | "unevaluatedProperties" => Self::Schema,
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => Self::List,
            "required" => Self::Names,
            "enum" | "examples" => Self::DataList,
            "default" | "const" => Self::Data,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => Self::Number,
            "multipleOf" => Self::Positive,
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" | "minContains" | "maxContains" => Self::Count,
            "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => Self::Flag,
            "pattern" => Self::Pattern,
            "patternProperties" => Self::Patterned,
            "dependentRequired" => Self::NamesByName,
            _ => return None,
        })
    }
}

/// A keyword of a schema. Most schemas have so few that looking at each is quicker than a hash.
pub(crate) fn get<'s>(schema: &'s Map<String, Value>, keyword: &str) -> Option<&'s Value> {
    const FEW: usize = 12;
    if schema.len() > FEW {
        return schema.get(keyword);
    }
    let mut members = schema.iter();
    members.find_map(|(key, value)| (key == keyword).then_some(value))
}

/// Where a `$ref` of a finished schema points.
pub(crate) const DEFS: &str = "#/$defs/";

/// The definition that a schema's own `$ref` names.
pub(crate) fn reference(schema: &Map<String, Value>) -> Option<&str> {
    get(schema, "$ref")?.as_str()?.strip_prefix(DEFS)
}

/// Whether `type` states this type, alone or among others.
pub(crate) fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match get(schema, "type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}

/// The schema with each of the schemas right inside of it replaced.
pub(crate) fn map_children(
    schema: &Map<String, Value>,
    replace: &mut impl FnMut(&Value) -> Value,
) -> Map<String, Value> {
    map_children_of(schema, |_| true, replace)
}

/// The same with some of its keywords only.
pub(crate) fn map_children_of(
    schema: &Map<String, Value>,
    keeps: impl Fn(&str) -> bool,
    replace: &mut impl FnMut(&Value) -> Value,
) -> Map<String, Value> {
    let kept = schema.iter().filter(|(key, _)| keeps(key));
    let members = kept.map(|(key, value)| {
        let value = match (Keyword::of(key), value) {
            (Some(Keyword::Schema), value) => replace(value),
            (Some(Keyword::List), Value::Array(items)) => items.iter().map(&mut *replace).collect(),
            (Some(Keyword::Named | Keyword::Patterned), Value::Object(named)) => {
                let named = named.iter();
                let named = named.map(|(name, item)| (name.clone(), replace(item)));
                Value::Object(named.collect())
            }
            (_, value) => value.clone(),
        };
        (key.clone(), value)
    });
    members.collect()
}

/// Visits each of the schemas right inside of a schema.
pub(crate) fn each_child<'v>(schema: &'v Map<String, Value>, visit: &mut impl FnMut(&'v Value)) {
    for (key, value) in schema {
        match (Keyword::of(key), value) {
            (Some(Keyword::Schema), value) => visit(value),
            (Some(Keyword::List), Value::Array(items)) => items.iter().for_each(&mut *visit),
            (Some(Keyword::Named | Keyword::Patterned), Value::Object(named)) => {
                named.values().for_each(&mut *visit);
            }
            _ => {}
        }
    }
}

/// The same, to change them.
pub(crate) fn each_child_mut(schema: &mut Map<String, Value>, visit: &mut impl FnMut(&mut Value)) {
    for (key, value) in schema {
        match (Keyword::of(key), value) {
            (Some(Keyword::Schema), value) => visit(value),
            (Some(Keyword::List), Value::Array(items)) => items.iter_mut().for_each(&mut *visit),
            (Some(Keyword::Named | Keyword::Patterned), Value::Object(named)) => {
                named.values_mut().for_each(&mut *visit);
            }
            _ => {}
        }
    }
}
