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

/// Where a `$ref` of a finished schema points.
pub(crate) const DEFS: &str = "#/$defs/";

/// The definition that a schema's own `$ref` names.
pub(crate) fn reference(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFS)
}

/// Whether `type` states this type, alone or among others.
pub(crate) fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}
