//! What an endpoint tells a model about itself.

use mcphub_core::tool::ApiInfo;

use super::snapshot::Member;

/// Told to whoever may use nothing of an endpoint.
pub(super) const NOTHING_ALLOWED: &str = "Nothing here may be used with the key that was shown.";

/// The longest title that is told, in characters.
const MAX_TITLE: usize = 100;

/// The longest description that is told, in characters.
const MAX_DESCRIPTION: usize = 1_000;

/// The most servers that are named.
const MAX_SERVERS: usize = 50;

/// Of an endpoint with all servers, by the [`line`] of each.
pub(super) fn all<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut lines = lines.into_iter();
    let named: String = lines.by_ref().take(MAX_SERVERS).collect();
    if named.is_empty() {
        return "No server is registered yet.".to_owned();
    }
    let mut text =
        "Tools of these servers; a tool's name begins with its server's name and `_`:".to_owned();
    text.push_str(&named);
    let more = lines.count();
    if more > 0 {
        text.push_str(&format!("\n- and {more} more"));
    }
    text
}

/// Of one server among others.
pub(super) fn line(member: &Member<'_>) -> String {
    format!("\n- {}_: {}", member.server, title(member.api))
}

/// Of an endpoint with one server: its own, where it has any.
pub(super) fn one(member: &Member<'_>) -> String {
    if let Some(own) = &member.listing.about.instructions {
        return own.clone();
    }
    let mut text = format!("Tools of {}.", title(member.api));
    if let Some(description) = member
        .api
        .description
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    {
        text.push_str("\n\n");
        text.push_str(&clip(description.trim(), MAX_DESCRIPTION));
    }
    text
}

fn title(api: &ApiInfo) -> String {
    let whole = format!("{} {}", api.title, api.version);
    let line: Vec<&str> = whole.split_whitespace().collect();
    clip(&line.join(" "), MAX_TITLE)
}

fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
