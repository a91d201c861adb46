//! What a project says of its API, before it is made a literal of a language.

use mcphub_core::tool::ToolSet;
use mcphub_core::{Error, Result};
use serde::Serialize;
use url::Url;

/// The longest instructions in characters.
const MAX_INSTRUCTIONS: usize = 2_000;

/// The first absolute URL of those that the project may use by default.
pub(crate) fn base_url(tools: &ToolSet, own: Option<&Url>) -> Option<String> {
    let servers = tools
        .servers
        .iter()
        .filter_map(|server| Url::parse(server).ok());
    let mut urls = own.cloned().into_iter().chain(servers);
    urls.find(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .map(String::from)
}

/// The text on one line, cut at a number of characters.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(limit)
        .collect()
}

/// What the server tells a model about itself.
pub(crate) fn instructions(tools: &ToolSet) -> String {
    let mut text = format!("Tools of the HTTP API {}.", one_line(&tools.api.title, 200));
    if let Some(description) = &tools.api.description {
        text.push_str("\n\n");
        text.extend(description.trim().chars().take(MAX_INSTRUCTIONS));
    }
    text
}

/// `one tool`, `12 tools`.
pub(crate) fn tool_count(tools: &ToolSet) -> String {
    match tools.tools.len() {
        1 => "one tool".to_owned(),
        count => format!("{count} tools"),
    }
}

/// Text for Markdown, on one line, in which nothing is markup.
pub(crate) fn markdown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
    {
        if c.is_ascii_punctuation()
            && !matches!(
                c,
                '.' | ',' | ';' | ':' | '/' | '\'' | '(' | ')' | '-' | '?' | '%'
            )
        {
            out.push('\\');
        }
        if !c.is_control() {
            out.push(c);
        }
    }
    out
}

/// A file of JSON as people read it.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("JSON cannot be written").caused_by(error))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(
            markdown_text("# [x](y) `z`\n<b> | *é*"),
            r"\# \[x\](y) \`z\` \<b\> \| \*é\*"
        );
    }
}
