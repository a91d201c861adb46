//! Finding tools: an endpoint with three tools in place of thousands.
//!
//! What is found is what the endpoint lists to whoever asks, read from its finished pages when it is
//! searched for the first time.

mod index;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use self::index::{Index, IndexBuilder};
use super::kind::Kind;
use super::pages::PagesBuilder;
use super::view::View;
use crate::members::{Members, place, string};

/// The tool that finds tools.
pub(crate) const FIND_TOOLS: &str = "find_tools";
/// The tool that says how one is called.
pub(crate) const DESCRIBE_TOOL: &str = "describe_tool";
/// The tool that calls one.
pub(crate) const CALL_TOOL: &str = "call_tool";

/// The definitions of the three tools, as `tools/list` has them.
pub(super) const DEFINITIONS: &str = concat!(
    r#"{"name":"find_tools","title":"Find tools","description":"Finds tools of this endpoint by words, the best first. Ask in a few words for what is to be done, such as `create invoice`; then look at one with describe_tool, or call it with call_tool.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What the tool does, in a few words"},"limit":{"type":"integer","minimum":1,"maximum":50,"default":10,"description":"How many tools at most"}},"required":["query"],"additionalProperties":false},"annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}},"#,
    r#"{"name":"describe_tool","title":"Describe a tool","description":"The whole definition of a tool that find_tools named: its description and the JSON Schema of its arguments.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"The name of the tool"}},"required":["name"],"additionalProperties":false},"annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}},"#,
    r#"{"name":"call_tool","title":"Call a tool","description":"Calls a tool that find_tools named, and gives its result as it is. describe_tool says which arguments it takes.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"The name of the tool"},"arguments":{"type":"object","description":"The arguments of the tool"}},"required":["name"],"additionalProperties":false},"annotations":{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false,"openWorldHint":true}}"#,
);

/// What is told to a model before an endpoint's own instructions.
pub(super) const INSTRUCTIONS: &str = "The tools of this endpoint are not listed: find them with find_tools, see how one is called with \
     describe_tool, and call it with call_tool.";

/// What the places of a word count.
const NAME: f32 = 4.0;
const TITLE: f32 = 2.0;
const DESCRIPTION: f32 = 1.0;
const ARGUMENT: f32 = 0.5;
const ABOUT_ARGUMENT: f32 = 0.25;

/// The most characters of a description that count: what a tool does is said first.
const MAX_DESCRIPTION: usize = 2_000;

/// The most characters of a description that are shown of a tool that was found.
const MAX_SHOWN: usize = 200;

/// The most arguments that are shown of a tool that was found.
const MAX_ARGUMENTS: usize = 20;

/// The tools of an endpoint, to be found.
#[derive(Debug)]
pub struct Search {
    /// The lists that they are in, whole.
    pages: Vec<Bytes>,
    found: OnceCell<Arc<Tools>>,
}

/// The tools with their index.
#[derive(Debug)]
pub struct Tools {
    pages: Vec<Bytes>,
    /// Where each tool's definition is: the page and the place in it.
    places: Vec<(usize, Range<usize>)>,
    names: HashMap<Box<str>, usize>,
    index: Index,
}

/// A tool that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoundTool {
    /// Its name at this endpoint.
    pub name: String,
    /// The beginning of its description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its arguments, those that it needs first; others end with `?`. At most 20.
    pub arguments: Vec<String>,
}

impl Search {
    pub(super) fn new(pages: Vec<Bytes>) -> Self {
        Self {
            pages,
            found: OnceCell::new(),
        }
    }

    /// The tools, read and indexed by the first who asks, where that keeps nobody from running.
    pub async fn tools(&self) -> Arc<Tools> {
        let read = async {
            let pages = self.pages.clone();
            let tools = tokio::task::spawn_blocking(|| Arc::new(Tools::read(pages)));
            // Only a panic or the end of the runtime gives none.
            tools.await.unwrap_or_else(|error| {
                tracing::error!(%error, "the tools of an endpoint cannot be indexed");
                Arc::new(Tools::read(Vec::new()))
            })
        };
        Arc::clone(self.found.get_or_init(async || read.await).await)
    }
}

impl View {
    /// The same endpoint with tools that are found rather than listed. Made once.
    pub fn searching(&self) -> &Arc<Self> {
        // What is made does not refer to this view, so that both end when nobody uses them.
        self.searching.get_or_init(|| {
            let mut three = PagesBuilder::new(Kind::Tools, self.page_size);
            three.push(DEFINITIONS);
            let [tools, prompts, resources, templates] = &self.lists;
            let lists = [
                three.finish(),
                prompts.clone(),
                resources.clone(),
                templates.clone(),
            ];
            let instructions = format!("{INSTRUCTIONS}\n\n{}", self.instructions());
            let routes = Arc::clone(&self.routes);
            let about = self.about().clone();
            let mut view = Self::of(routes, lists, about, instructions, self.page_size);
            view.permissions.clone_from(&self.permissions);
            view.search = Some(Search::new(tools.texts()));
            Arc::new(view)
        })
    }
}

impl Tools {
    /// The result of `tools/list` at an endpoint whose tools are found.
    pub fn three() -> String {
        format!(r#"{{"{}":[{DEFINITIONS}]}}"#, Kind::Tools.member())
    }

    /// Reads results of `tools/list`. What cannot be read is left out.
    pub fn read(pages: Vec<Bytes>) -> Self {
        let mut places = Vec::new();
        let mut names = HashMap::new();
        let mut index = IndexBuilder::default();
        for (page, bytes) in pages.iter().enumerate() {
            let Ok(text) = str::from_utf8(bytes) else {
                continue;
            };
            for definition in definitions(text) {
                let (Some(tool), Some(at)) =
                    (Definition::read(definition.get()), place(text, definition))
                else {
                    continue;
                };
                index.add(tool.parts());
                names.insert(tool.name.as_ref().into(), places.len());
                places.push((page, at));
            }
        }
        Self {
            index: index.finish(),
            pages,
            places,
            names,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Those that fit best, at most `limit`, and how many fit.
    pub fn find(&self, query: &str, limit: usize) -> (Vec<FoundTool>, usize) {
        let (numbers, all) = self.index.find(query, limit);
        let found = numbers.into_iter().filter_map(|number| {
            let definition = self.definition(number as usize)?;
            Definition::read(definition).map(|tool| tool.found())
        });
        (found.collect(), all)
    }

    /// The definition of a tool, as `tools/list` has it.
    pub fn describe(&self, name: &str) -> Option<&str> {
        self.definition(*self.names.get(name)?)
    }

    fn definition(&self, number: usize) -> Option<&str> {
        let (page, at) = self.places.get(number)?;
        str::from_utf8(self.pages.get(*page)?.get(at.clone())?).ok()
    }
}

/// The definitions in a result of `tools/list`.
fn definitions(page: &str) -> Vec<&RawValue> {
    let members = Members::read(page).unwrap_or_default();
    let list = members.get(Kind::Tools.member()).map(RawValue::get);
    serde_json::from_str(list.unwrap_or("[]")).unwrap_or_default()
}

/// What is read of a definition.
struct Definition<'a> {
    name: Cow<'a, str>,
    title: Cow<'a, str>,
    description: Cow<'a, str>,
    arguments: Vec<Argument<'a>>,
}

struct Argument<'a> {
    name: String,
    about: Cow<'a, str>,
    required: bool,
}

/// The part of an input schema that is read; what is no such schema has no arguments.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Input<'a> {
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    required: Vec<String>,
}

impl<'a> Definition<'a> {
    fn read(definition: &'a str) -> Option<Self> {
        let members = Members::read(definition).ok()?;
        let text = |name: &str| members.string(name).ok().flatten().unwrap_or_default();
        let input = members.get("inputSchema").map(RawValue::get);
        let input: Input<'a> = serde_json::from_str(input.unwrap_or("{}")).unwrap_or_default();
        let properties = input.properties.map(RawValue::get).unwrap_or("{}");
        let properties = serde_json::from_str::<IndexMap<String, &'a RawValue>>(properties);
        let argument = |(name, schema): (String, &'a RawValue)| Argument {
            required: input.required.iter().any(|required| **required == *name),
            about: description_of(schema),
            name,
        };
        let properties = properties.unwrap_or_default();
        Some(Self {
            name: members.string("name").ok()??,
            title: text("title"),
            description: text("description"),
            arguments: properties.into_iter().map(argument).collect(),
        })
    }

    /// Its texts with what they count.
    fn parts(&self) -> impl Iterator<Item = (f32, &str)> {
        let texts = [
            (NAME, &*self.name),
            (TITLE, &*self.title),
            (DESCRIPTION, beginning(&self.description, MAX_DESCRIPTION)),
        ];
        let arguments = self
            .arguments
            .iter()
            .flat_map(|it| [(ARGUMENT, &*it.name), (ABOUT_ARGUMENT, &*it.about)]);
        texts.into_iter().chain(arguments)
    }

    fn found(&self) -> FoundTool {
        let described = self.description.split_whitespace().collect::<Vec<_>>();
        let described = described.join(" ");
        let shown = beginning(&described, MAX_SHOWN);
        let (needed, others): (Vec<_>, Vec<_>) = self
            .arguments
            .iter()
            .partition(|argument| argument.required);
        let needed = needed.into_iter().map(|it| it.name.clone());
        let others = others.into_iter().map(|it| format!("{}?", it.name));
        FoundTool {
            name: self.name.to_string(),
            description: if shown.len() < described.len() {
                format!("{shown}…")
            } else {
                described
            },
            arguments: needed.chain(others).take(MAX_ARGUMENTS).collect(),
        }
    }
}

fn description_of(schema: &RawValue) -> Cow<'_, str> {
    let members = Members::read(schema.get()).ok();
    let described = members.and_then(|members| members.get("description"));
    described.and_then(string).unwrap_or_default()
}

fn beginning(text: &str, characters: usize) -> &str {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Tools {
        let page = |text: &str| Bytes::from(text.to_owned());
        Tools::read(vec![
            page(
                r#"{"tools":[{"name":"shop_getBook","description":"One  book\nby its ISBN","inputSchema":{"type":"object","properties":{"lang":{"description":"Language of the \u0061nswer"},"isbn":{}},"required":["isbn"]}},{"name":"x","inputSchema":{"properties":[]}}],"nextCursor":"d-1"}"#,
            ),
            page(r#"{"tools":[{"name":"shop_orders","title":"Orders","inputSchema":true}]}"#),
            page("nonsense"),
        ])
    }

    #[test]
    fn a_tool_is_found_with_what_a_model_has_to_know_at_first() {
        let (found, all) = tools().find("answer language of a book", 10);
        let expected = FoundTool {
            name: "shop_getBook".into(),
            description: "One book by its ISBN".into(),
            arguments: vec!["isbn".into(), "lang?".into()],
        };
        assert_eq!((found, all), (vec![expected], 1));
        assert_eq!(tools().find("orders", 10).0[0].name, "shop_orders");
    }

    #[test]
    fn a_description_is_the_text_of_the_list() {
        let tools = tools();
        assert_eq!(tools.len(), 3);
        let definition = tools.describe("shop_orders").unwrap();
        assert_eq!(
            definition,
            r#"{"name":"shop_orders","title":"Orders","inputSchema":true}"#
        );
        assert_eq!(tools.describe("orders"), None);
    }

    #[test]
    fn long_descriptions_are_shown_by_their_beginning() {
        let long = format!(
            r#"{{"tools":[{{"name":"a","description":"{}"}}]}}"#,
            "ä ".repeat(900)
        );
        let (found, _) = Tools::read(vec![long.into()]).find("a", 1);
        assert_eq!(found[0].description.chars().count(), MAX_SHOWN + 1);
        assert!(found[0].description.ends_with('…'));
    }

    #[test]
    fn the_three_tools_are_json() {
        let list: Vec<serde_json::Value> =
            serde_json::from_str(&format!("[{DEFINITIONS}]")).unwrap();
        let names: Vec<_> = list.iter().map(|tool| tool["name"].as_str()).collect();
        let expected = [FIND_TOOLS, DESCRIBE_TOOL, CALL_TOOL].map(Some);
        assert_eq!(names, expected);
    }
}
