//! Tools become documentation: a page for people, Markdown, an index for models, and OpenAPI.
//!
//! Everything is made of the tools alone, so that it says what a call really does. Text of the
//! document is data: it is escaped for the form that it stands in.

mod openapi;
mod schema;
mod view;
mod xml;

use mcphub_core::tool::ToolSet;
use mcphub_core::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use self::view::Page;

/// What documentation is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One page that needs nothing beside itself, with a search.
    Html,
    /// Markdown (CommonMark with tables).
    Markdown,
    /// `llms.txt`: an index of the tools for a model.
    Llms,
    /// OpenAPI 3.1 in JSON, or 3.2 where a tool needs what only that can say.
    OpenApiJson,
    /// The same in YAML.
    OpenApiYaml,
}

/// The documentation of a set of tools.
///
/// # Errors
/// `Internal` when it cannot be written, which no set of tools causes.
pub fn document(tools: &ToolSet, format: Format) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::internal("the documentation cannot be written").with("reason", error)
    };
    match format {
        Format::Html => page(tools, "docs.html", include_str!("templates/docs.html.j2")),
        Format::Markdown => page(tools, "docs.md", include_str!("templates/docs.md.j2")),
        Format::Llms => page(tools, "llms.txt", include_str!("templates/llms.txt.j2")),
        Format::OpenApiJson => {
            let mut text = serde_json::to_string_pretty(&openapi::openapi(tools))
                .map_err(|error| failed(&error))?;
            text.push('\n');
            Ok(text)
        }
        Format::OpenApiYaml => {
            serde_saphyr::to_string(&openapi::openapi(tools)).map_err(|error| failed(&error))
        }
    }
}

fn page(tools: &ToolSet, name: &str, template: &str) -> Result<String> {
    let failed = |error: minijinja::Error| {
        Error::internal("the documentation cannot be written").caused_by(error)
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.map_err(failed)?);
    environment.add_filter("line", one_line);
    environment.add_filter("brief", brief);
    environment.add_filter("cell", cell);
    environment.add_filter("md", markdown);
    environment
        .render_named_str(name, template, Serde(&Page::of(tools)))
        .map_err(failed)
}

/// Text on one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text on one line, cut at a number of characters.
fn brief(text: &str, limit: usize) -> String {
    let mut text = one_line(text);
    if let Some((end, _)) = text.char_indices().nth(limit) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    markdown(&one_line(text)).replace('|', "\\|")
}

/// Text that Markdown shows as it is: no HTML, no link, no image and no code comes of it.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '[' | ']' | '`' | '\\' | '*' | '_' | '~' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

/// JSON for people.
fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
