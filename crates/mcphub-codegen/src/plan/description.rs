//! What a tool says of itself.

use std::borrow::Cow;

use mcphub_core::spec::Operation;

/// Summary and description, at most `max` characters; `METHOD path` where there is neither.
pub(super) fn description(operation: &Operation, max: usize) -> String {
    let mut parts: Vec<&str> = Vec::new();
    // First, so that it is never cut.
    if operation.deprecated {
        parts.push("Deprecated.");
    }
    let hint = operation.hints.description.as_deref();
    let summary = operation.summary.as_deref().filter(|_| hint.is_none());
    let summary = summary.map_or("", str::trim);
    let description = hint.or(operation.description.as_deref());
    let description = description.map_or("", str::trim);
    if !summary.is_empty() && !description.starts_with(summary.trim_end_matches('.')) {
        parts.push(summary);
    }
    parts.extend([description].into_iter().filter(|text| !text.is_empty()));
    let route;
    if summary.is_empty() && description.is_empty() {
        route = format!("{} {}", operation.method.as_str(), operation.path);
        parts.push(&route);
    }
    shortened(&parts.join("\n\n"), max).into_owned()
}

/// The text, or its beginning and an ellipsis where it has more than `max` characters.
pub(super) fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max || text.chars().nth(max).is_none() {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    Cow::Owned(if max == 0 {
        kept
    } else {
        format!("{}…", kept.trim_end())
    })
}

/// The text up to the end of its first sentence or line.
pub(super) fn first_sentence(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    // A search for ". " would be prepared anew for each of many short texts.
    let end = line.as_bytes().windows(2).position(|pair| pair == b". ");
    end.and_then(|end| line.get(..=end)).unwrap_or(line)
}
