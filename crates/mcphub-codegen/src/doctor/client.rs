//! What single clients, or the models behind them, refuse of what MCP allows.
//!
//! As they were in 2026, from what their users report. What all clients take is what the planner
//! makes by default: objects at the top without combinators, names up to 64 characters, `items` of
//! every array.

use mcphub_core::schema::Schema;
use mcphub_core::tool::Tool;
use serde_json::{Map, Value};

use crate::keyword::each_child;

/// The longest name that leaves a server's name room among Cursor's 60 characters for both.
const NAME_FOR_CURSOR: usize = 50;

/// The longest description that OpenAI's function calling takes, in characters.
const DESCRIPTION_FOR_OPENAI: usize = 1_024;

/// A code, what to do, and whether it is about a tool.
pub(super) type Check = (&'static str, &'static str, fn(&Tool) -> bool);

/// What to look for.
pub(super) const CHECKS: [Check; 4] = [
    (
        "refused-by-gemini",
        "Gemini refuses schemas with `$ref` and `$defs`; serve it with --profile inlined",
        has_references,
    ),
    (
        "refused-by-cursor",
        "Cursor refuses a whole list in which one schema has `anyOf`, `oneOf` or `allOf`; serve it with --profile plain",
        has_combinators,
    ),
    (
        "long-for-cursor",
        "Cursor leaves out tools whose name has more than 60 characters together with the server's; shorten it with `x-mcp`",
        |tool| tool.name.as_str().len() > NAME_FOR_CURSOR,
    ),
    (
        "refused-by-openai",
        "OpenAI's function calling refuses descriptions of more than 1,024 characters, unless a client cuts them; shorten them",
        |tool| {
            tool.description
                .chars()
                .nth(DESCRIPTION_FOR_OPENAI)
                .is_some()
        },
    ),
];

fn has_references(tool: &Tool) -> bool {
    !tool.input.definitions().is_empty()
}

fn has_combinators(tool: &Tool) -> bool {
    fn within(schema: &Map<String, Value>) -> bool {
        let combines = |key: &str| schema.contains_key(key);
        let mut found = combines("anyOf") || combines("oneOf") || combines("allOf");
        each_child(schema, &mut |child| {
            found = found || child.as_object().is_some_and(within);
        });
        found
    }
    let in_definitions = |schema: &Schema| {
        let definitions = schema.definitions().iter();
        let mut objects = definitions.filter_map(|definition| definition.schema.as_object());
        objects.any(within)
    };
    within(tool.input.root()) || in_definitions(&tool.input)
}
