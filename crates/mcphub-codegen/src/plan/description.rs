//! What a tool says of itself.

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
    shortened(&parts.join("\n\n"), max)
}

pub(super) fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max || text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    if max == 0 {
        kept
    } else {
        format!("{}…", kept.trim_end())
    }
}

/// The text up to the end of its first sentence or line.
pub(super) fn first_sentence(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    line.split_once(". ")
        .map_or(line, |(first, _)| line.get(..=first.len()).unwrap_or(line))
}
