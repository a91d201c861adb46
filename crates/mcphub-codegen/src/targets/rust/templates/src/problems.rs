//! What is wrong with a value, in words that a model can act on. No value of a call is ever
//! repeated: it may be a secret, or long.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::LocationSegment::{Index, Property};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

/// The most problems that one answer lists.
pub(crate) const MAX_PROBLEMS: usize = 10;
/// The longest text from a schema or a call that is repeated, in characters.
const MAX_SHOWN: usize = 200;

/// A line for each problem of a call's arguments: `ARGUMENT: what is expected`. `known` are the
/// names of the arguments.
pub(crate) fn lines(errors: &[ValidationError<'_>], known: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for error in errors {
        collect(error, Some(known), &mut lines);
    }
    if lines.len() > MAX_PROBLEMS {
        lines.truncate(MAX_PROBLEMS - 1);
        lines.push("and more".to_owned());
    }
    lines
}

/// One problem of a value that is no call's arguments.
pub(crate) fn line(error: &ValidationError<'_>) -> String {
    let mut lines = Vec::new();
    collect(error, None, &mut lines);
    let first = lines.into_iter().next();
    first.unwrap_or_else(|| "it does not fit".to_owned())
}

fn collect(error: &ValidationError<'_>, known: Option<&[&str]>, lines: &mut Vec<String>) {
    let path = path(error);
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            lines.push(format!("{}: is required", member(&path, name)));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_PROBLEMS + 1) {
                let shown = clip(name, 60);
                lines.push(match known.filter(|_| path.is_empty()) {
                    Some(known) => format!(
                        "{shown}: is not an argument of this tool{}",
                        instead(name, known)
                    ),
                    None => format!("{}: is not possible here", member(&path, &shown)),
                });
            }
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            match nearest(context, error) {
                Some(branch) => branch.iter().for_each(|error| collect(error, known, lines)),
                None => lines.push(of(&path, &alternatives(context))),
            }
        }
        kind => lines.push(of(&path, &expectation(kind, error))),
    }
}

fn of(path: &str, expected: &str) -> String {
    if path.is_empty() {
        expected.to_owned()
    } else {
        format!("{path}: {expected}")
    }
}

/// What to write in place of an unknown name.
fn instead(name: &str, known: &[&str]) -> String {
    let lower = clip(name, 128).to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&lower, &known.to_lowercase());
    let nearest = known.iter().map(|known| (distance(known), *known)).min();
    match nearest {
        None => "; it has none".to_owned(),
        Some((distance, known)) if distance <= (known.chars().count() / 3).max(1) => {
            format!("; did you mean {known}?")
        }
        Some(_) => {
            let names = clip(&known.join(", "), MAX_SHOWN);
            format!("; its arguments are {names}")
        }
    }
}

/// The branch of an `anyOf` or `oneOf` that was meant: the only one whose type the value has.
fn nearest<'a>(
    context: &'a [Vec<ValidationError<'static>>],
    parent: &ValidationError<'_>,
) -> Option<&'a [ValidationError<'static>]> {
    let of_type = |branch: &&Vec<ValidationError<'static>>| {
        !branch.iter().any(|error| {
            matches!(error.kind(), Kind::Type { .. })
                && error.instance_path() == parent.instance_path()
        })
    };
    let mut candidates = context.iter().filter(of_type);
    let first = candidates.next()?;
    (candidates.next().is_none() && !first.is_empty()).then_some(first)
}

/// What each branch expects, where that is short.
fn alternatives(context: &[Vec<ValidationError<'static>>]) -> String {
    let mut expected: Vec<String> = Vec::new();
    for error in context.iter().filter_map(|branch| branch.first()) {
        let text = expectation(error.kind(), error);
        if !expected.contains(&text) {
            expected.push(text);
        }
    }
    clip(&expected.join(", or "), MAX_SHOWN)
}

fn expectation(kind: &Kind, error: &ValidationError<'_>) -> String {
    match kind {
        Kind::Type { kind } => format!("must be {}", types(kind)),
        Kind::Enum { options } => format!("must be one of {}", choice(options)),
        Kind::Constant { expected_value } => {
            format!("must be {}", clip(&expected_value.to_string(), MAX_SHOWN))
        }
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {}", count(*limit, "character")),
        Kind::MaxLength { limit } => format!("must have at most {}", count(*limit, "character")),
        Kind::MinItems { limit } => format!("must have at least {}", count(*limit, "item")),
        Kind::MaxItems { limit } => format!("must have at most {}", count(*limit, "item")),
        Kind::MinProperties { limit } => format!("must have at least {}", count(*limit, "member")),
        Kind::MaxProperties { limit } => format!("must have at most {}", count(*limit, "member")),
        Kind::Pattern { pattern } => format!("must match the pattern {}", clip(pattern, MAX_SHOWN)),
        Kind::UniqueItems => "must not have the same item twice".to_owned(),
        Kind::Not { .. } => "must not be what the schema excludes".to_owned(),
        Kind::OneOfMultipleValid { .. } => {
            "must fit exactly one of the alternatives, and fits more".to_owned()
        }
        Kind::Required { property } => {
            format!("must have {}", property.as_str().unwrap_or_default())
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => alternatives(context),
        Kind::FalseSchema => "is not possible here".to_owned(),
        _ => clip(&error.masked_with("the value").to_string(), MAX_SHOWN),
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => with_article(*one).to_owned(),
        TypeKind::Multiple(set) => {
            let mut names: Vec<_> = set.iter().map(with_article).collect();
            names.sort_unstable();
            names.join(" or ")
        }
    }
}

fn with_article(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

fn choice(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<_> = options.iter().map(Value::to_string).collect();
    clip(&texts.join(", "), MAX_SHOWN)
}

/// `address.lines[0]` for `/address/lines/0`.
fn path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path().segments() {
        match segment {
            Property(name) => path = member(&path, &clip(&name, 60)),
            Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    clip(&path, MAX_SHOWN)
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The first characters of a text, with `…` where something is left out.
fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
