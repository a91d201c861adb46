use mcphub_core::call::Arguments;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner};
use serde_json::json;

use super::*;
use crate::openapi::OpenApiParser;
use crate::plan::ToolPlanner;

fn tools(document: &str) -> ToolSet {
    let document = Document {
        source: "/test.yaml".to_owned(),
        bytes: document.to_owned().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    ToolPlanner::new()
        .plan(&parsed, &PlanOptions::default())
        .unwrap()
        .tools
}

/// The XML that a tool makes of example arguments.
fn written(tool: &mcphub_core::tool::Tool) -> Option<Vec<u8>> {
    tool.binding.body.as_ref()?.xml.as_ref()?;
    let arguments = json!({"id": 1, "title": "t", "columns": ["a", "b"], "notes": ["n"],
        "inner": [{"id": 2, "columns": ["c"], "inner": [{"notes": ["m"]}]}]});
    let text = arguments.to_string();
    let arguments = Arguments::parse(&text).unwrap();
    let base = url::Url::parse("http://api.test").unwrap();
    let request = tool.binding.request(&base, &arguments).unwrap();
    Some(request.body.unwrap().bytes.to_vec())
}

const BUNDLED: [&str; 4] = [
    include_str!("../../../../examples/specs/bookshop.yaml"),
    include_str!("../../../../examples/specs/parameters.yaml"),
    include_str!("../../../../examples/specs/bodies.yaml"),
    include_str!("../../../../examples/specs/collections.yaml"),
];

#[test]
fn the_openapi_document_makes_the_same_tools() {
    for source in BUNDLED {
        let ours = tools(source);
        let is_swagger = source.starts_with("swagger");
        for format in [Format::OpenApiJson, Format::OpenApiYaml] {
            let theirs = tools(&document(&ours, format).unwrap());
            assert_eq!(ours.servers, theirs.servers);
            assert_eq!(ours.tools.len(), theirs.tools.len());
            for (our, their) in ours.tools.iter().zip(&theirs.tools) {
                assert_eq!(our.name, their.name);
                assert_eq!(our.title, their.title);
                let (mut a, mut b) = (our.binding.clone(), their.binding.clone());
                // What is accepted is not written again.
                b.accept.clone_from(&a.accept);
                if is_swagger {
                    // Delimiters that OpenAPI 3 does not have.
                    a.parameters.clear();
                    b.parameters.clear();
                    a.body = None;
                    b.body = None;
                }
                // The same shape may be told in other types; what it makes is the same.
                assert_eq!(written(our), written(their), "{}", our.name);
                for binding in [&mut a, &mut b] {
                    binding.body.iter_mut().for_each(|body| body.xml = None);
                }
                assert_eq!(a, b, "{}", our.name);
                let names = |tool: &mcphub_core::tool::Tool| -> Vec<(String, bool)> {
                    let arguments = tool.input.properties();
                    arguments
                        .map(|(name, _)| (name.to_owned(), tool.input.requires(name)))
                        .collect()
                };
                assert_eq!(names(our), names(their), "{}", our.name);
            }
        }
    }
}

#[test]
fn simplified_forms_of_one_definition_stay_apart() {
    let model = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"$ref": "#/components/schemas/M"}, "n": {"type": "integer"}}});
    let source = json!({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/a": {"post": {
        "requestBody": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/M"}}}}},
        "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/M"}}}}}},
    }}}, "components": {"schemas": {"M": model}}});
    let made = openapi::openapi(&tools(&source.to_string()));
    let schemas = &made["components"]["schemas"];
    assert_eq!(schemas["M"]["required"], json!(["a"]));
    assert_eq!(
        schemas["M"]["properties"]["a"]["$ref"],
        "#/components/schemas/M"
    );
    assert!(schemas["M_2"].get("required").is_none(), "the lenient one");
    let items = &made["paths"]["/a"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        ["items"];
    assert_eq!(items["$ref"], "#/components/schemas/M_2");
}

#[test]
fn text_of_a_document_is_data_in_every_form() {
    let hostile = "<script>alert(1)</script> [x](javascript:1) | `code` \"'&";
    let source = json!({"openapi": "3.0.3", "info": {"title": hostile, "version": "1", "description": hostile},
        "paths": {"/a/{<b>}": {"get": {"summary": hostile, "description": hostile, "tags": [hostile],
            "parameters": [{"name": "<i>", "in": "query", "description": hostile,
                "schema": {"type": "string", "enum": [hostile], "default": "</code></pre><script>"}}]}}}});
    let tools = tools(&source.to_string());
    let html = document(&tools, Format::Html).unwrap();
    assert_eq!(html.matches("<script").count(), 1, "its own");
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"),
        "{html}"
    );
    let markdown = document(&tools, Format::Markdown).unwrap();
    let outside_code = markdown.lines().filter(|line| !line.starts_with("    "));
    for line in outside_code {
        assert!(!line.contains("<script"), "{line}");
        assert!(!line.contains("[x]("), "{line}");
    }
    let row = markdown
        .lines()
        .filter(|line| line.starts_with("| "))
        .nth(1);
    assert_eq!(row.unwrap().replace("\\|", "").matches('|').count(), 4);
    let llms = document(&tools, Format::Llms).unwrap();
    assert!(llms.starts_with("# &lt;script&gt;") && !llms.contains("<script"));
}

#[test]
fn every_tool_and_argument_is_on_the_page() {
    for source in BUNDLED {
        let tools = tools(source);
        for format in [Format::Html, Format::Markdown, Format::Llms] {
            let text = document(&tools, format).unwrap().replace('\\', "");
            for tool in &tools.tools {
                assert!(text.contains(tool.name.as_str()), "{}", tool.name);
                for (name, _) in tool.input.properties() {
                    assert!(text.contains(name), "{} {name} {format:?}", tool.name);
                }
            }
        }
    }
}

#[test]
fn types_and_bounds_are_said_in_words() {
    let source = json!({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/a": {"get": {"parameters": [
        {"name": "list", "in": "query", "schema": {"type": "array", "maxItems": 3, "items": {"$ref": "#/components/schemas/Long"}}},
        {"name": "number", "in": "query", "schema": {"type": ["integer", "null"], "minimum": 1, "default": 7}},
    ]}}}, "components": {"schemas": {"Long": {"type": "string", "description": "x".repeat(3000)}}}});
    let markdown = document(&tools(&source.to_string()), Format::Markdown).unwrap();
    assert!(
        markdown.contains("| list | array of string | (items, at most 3) |"),
        "{markdown}"
    );
    assert!(markdown.contains("| number | integer or null | (default 7; at least 1) |"));
}
