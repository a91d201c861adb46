//! How pages follow one another, and which fields of answers stay.

use super::*;
use mcphub_core::spec::{NextPage, PageLocation};
use mcphub_core::tool::{AnswerBinding, FieldsBinding};

/// The binding of `GET /a` with these query parameters and this answer.
fn answers(parameters: Value, schema: Value, x_mcp: Value) -> (AnswerBinding, Vec<String>) {
    let mut operation = answer(schema);
    operation["parameters"] = parameters;
    operation["x-mcp"] = x_mcp;
    let schemas = json!({
        "Page": {"type": "object", "properties": {"next": {"type": "string", "format": "uri"}}},
        "Meta": {"type": "object", "properties": {"continue": {"type": "string"}}},
    });
    let plan = plan(json!({"/a": {"get": operation}}), schemas);
    let tool = &plan.tools.tools[0];
    let names = arguments(tool).into_iter().map(str::to_owned).collect();
    (tool.binding.answer.clone(), names)
}

fn query(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind}})
}

fn list() -> Value {
    json!({"type": "array", "items": {}})
}

fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

#[test]
fn the_patterns_of_the_field_are_recognised() {
    let cursor = |at: &[&str], parameter: &str| NextPage::Cursor {
        at: at.iter().map(|name| (*name).to_owned()).collect(),
        parameter: parameter.to_owned(),
        location: PageLocation::Query,
    };
    let url = |at: &[&str]| NextPage::Url {
        at: at.iter().map(|name| (*name).to_owned()).collect(),
    };
    let number = |parameter: &str, first| NextPage::Page {
        parameter: parameter.to_owned(),
        location: PageLocation::Query,
        first,
    };
    let offset = |parameter: &str, first| NextPage::Offset {
        parameter: parameter.to_owned(),
        location: PageLocation::Query,
        first,
    };
    let uri = json!({"type": "string", "format": "uri"});
    let zero_based =
        json!({"name": "page", "in": "query", "schema": {"type": "integer", "default": 0}});
    for (parameters, schema, items, next) in [
        (
            json!([query("cursor", "string")]),
            object(json!({"data": list(), "next_cursor": text()})),
            "data",
            cursor(&["next_cursor"], "cursor"),
        ),
        (
            json!([query("pageToken", "string")]),
            object(json!({"files": list(), "nextPageToken": text()})),
            "files",
            cursor(&["nextPageToken"], "pageToken"),
        ),
        (
            json!([query("page[cursor]", "string")]),
            object(
                json!({"data": list(), "errors": list(), "meta": object(json!({"next": {"type": ["string", "null"]}}))}),
            ),
            "data",
            cursor(&["meta", "next"], "page[cursor]"),
        ),
        (
            json!([query("continue", "string")]),
            object(json!({"items": list(), "metadata": {"$ref": "#/components/schemas/Meta"}})),
            "items",
            cursor(&["metadata", "continue"], "continue"),
        ),
        (
            json!([query("after", "string")]),
            object(
                json!({"data": list(), "paging": object(json!({"cursors": object(json!({"after": text()}))}))}),
            ),
            "data",
            cursor(&["paging", "cursors", "after"], "after"),
        ),
        (
            json!([query("offset", "string")]),
            object(json!({"data": list(), "next_page": object(json!({"offset": text()}))})),
            "data",
            cursor(&["next_page", "offset"], "offset"),
        ),
        (
            json!([query("page", "string")]),
            object(json!({"data": list(), "next_page": {"type": ["string", "null"]}})),
            "data",
            cursor(&["next_page"], "page"),
        ),
        // Without the switch there is no marker.
        (
            json!([
                query("marker", "string"),
                query("usemarker", "boolean"),
                query("offset", "integer")
            ]),
            object(json!({"entries": list(), "next_marker": text()})),
            "entries",
            offset("offset", 0),
        ),
        // A point in time: what comes after the newest page is newer still.
        (
            json!([query("after", "integer"), query("before", "integer")]),
            object(
                json!({"items": list(), "next": uri, "cursors": object(json!({"after": text()}))}),
            ),
            "items",
            url(&["next"]),
        ),
        (
            json!([query("after", "integer")]),
            object(json!({"items": list(), "next": {"type": "integer"}})),
            "items",
            cursor(&["next"], "after"),
        ),
        (
            json!([]),
            object(json!({"items": list(), "next": uri})),
            "items",
            url(&["next"]),
        ),
        (
            json!([]),
            json!({"allOf": [object(json!({"value": list()})), {"$ref": "#/components/schemas/Page"}]}),
            "value",
            url(&["next"]),
        ),
        (
            json!([query("page", "integer")]),
            object(
                json!({"droplets": list(), "links": object(json!({"pages": object(json!({"next": uri}))}))}),
            ),
            "droplets",
            url(&["links", "pages", "next"]),
        ),
        (
            json!([]),
            object(json!({"value": list(), "@odata.nextLink": text()})),
            "value",
            url(&["@odata.nextLink"]),
        ),
        (
            json!([query("page", "integer")]),
            list(),
            "",
            number("page", 1),
        ),
        (
            json!([zero_based]),
            object(json!({"data": object(json!({"rows": list()}))})),
            "data.rows",
            number("page", 0),
        ),
        (
            json!([query("offset", "integer")]),
            object(json!({"books": list(), "total": {"type": "integer"}})),
            "books",
            offset("offset", 0),
        ),
        (
            json!([query("startIndex", "integer")]),
            object(json!({"Resources": list(), "schemas": list()})),
            "Resources",
            offset("startIndex", 1),
        ),
    ] {
        let (binding, names) = answers(parameters, schema.clone(), json!({}));
        let pages = binding.pages.unwrap_or_else(|| panic!("{schema}"));
        assert_eq!(
            (pages.items.join("."), pages.next),
            (items.to_owned(), next)
        );
        assert_eq!(names.last().unwrap(), "pages");
    }
}

#[test]
fn what_shows_no_pages_has_none() {
    let page = || json!([query("page", "integer")]);
    for (parameters, schema) in [
        (json!([]), list()),
        (json!([query("limit", "integer")]), list()),
        (json!([query("page", "string")]), list()),
        (page(), object(json!({"name": text()}))),
        (page(), object(json!({"one": list(), "other": list()}))),
        (
            json!([query("cursor", "string")]),
            object(json!({"data": list()})),
        ),
        (
            json!([]),
            object(json!({"data": list(), "next_cursor": text()})),
        ),
        (json!([]), object(json!({"data": list(), "next": text()}))),
    ] {
        let (binding, names) = answers(parameters, schema.clone(), json!({}));
        assert_eq!(
            (binding.pages, names.contains(&"pages".to_owned())),
            (None, false),
            "{schema}"
        );
    }
    let tool = tool(json!({"parameters": [query("page", "integer")],
        "responses": {"200": {"content": {"application/json": {"schema": list()}}}}}));
    assert_eq!(
        tool.binding.answer,
        AnswerBinding::default(),
        "a POST is not repeated"
    );
}

/// `POST /a` with these members of its JSON body and this answer.
fn posted(members: Value, schema: Value, x_mcp: Value) -> Option<(String, NextPage)> {
    let mut operation = answer(schema);
    operation["requestBody"] =
        json!({"content": {"application/json": {"schema": object(members)}}});
    operation["x-mcp"] = x_mcp;
    let plan = plan(json!({"/a": {"post": operation}}), json!({}));
    let pages = plan.tools.tools[0].binding.answer.pages.clone()?;
    Some((pages.items.join("."), pages.next))
}

#[test]
fn a_cursor_may_be_in_the_body() {
    let listed = || object(json!({"results": list(), "next_cursor": text()}));
    let members = || json!({"start_cursor": text(), "page_size": {"type": "integer"}});
    let next = NextPage::Cursor {
        at: vec!["next_cursor".to_owned()],
        parameter: "start_cursor".to_owned(),
        location: PageLocation::Body,
    };
    let found = posted(members(), listed(), json!({}));
    assert_eq!(found, Some(("results".to_owned(), next)));

    // The page number of what may change something is left alone, unless it is said to be one.
    let numbered = || json!({"page": {"type": "integer"}});
    for (members, schema, said) in [
        (numbered(), listed(), json!({})),
        (json!({"cursor": {"type": "integer"}}), listed(), json!({})),
        (members(), object(json!({"results": list()})), json!({})),
        (members(), object(json!({"next_cursor": text()})), json!({})),
        (members(), listed(), json!({"pages": false})),
        (
            members(),
            listed(),
            json!({"pages": {"by": "page", "parameter": "page", "in": "header"}}),
        ),
    ] {
        let found = posted(members.clone(), schema, said.clone());
        let expected = said["pages"].is_object();
        assert_eq!(found.is_some(), expected, "{members} {said}");
    }
    let said = json!({"pages": {"by": "page", "parameter": "page", "in": "body"}});
    let next = NextPage::Page {
        parameter: "page".to_owned(),
        location: PageLocation::Body,
        first: 1,
    };
    let found = posted(numbered(), listed(), said);
    assert_eq!(found, Some(("results".to_owned(), next)));
}

#[test]
fn the_link_header_counts_where_it_is_described() {
    let link = json!({"responses": {"200": {"headers": {"link": {"schema": text()}},
        "content": {"application/json": {"schema": list()}}}}, "parameters": [query("page", "integer")]});
    let plan = plan(json!({"/a": {"get": link}}), json!({}));
    let pages = plan.tools.tools[0].binding.answer.pages.as_ref().unwrap();
    assert_eq!(pages.next, NextPage::Link);
}

#[test]
fn the_extension_says_how_pages_follow_and_which_fields_stay() {
    let by = json!({"by": "cursor", "at": ["a.b", "c"], "parameter": "x", "items": "o.list"});
    let (binding, _) = answers(
        json!([query("x", "string")]),
        json!({}),
        json!({"pages": by}),
    );
    let pages = binding.pages.unwrap();
    assert_eq!(pages.items, ["o", "list"]);
    let at = vec!["a.b".to_owned(), "c".to_owned()];
    assert_eq!(
        pages.next,
        NextPage::Cursor {
            at,
            parameter: "x".to_owned(),
            location: PageLocation::Query,
        }
    );

    let (binding, names) = answers(
        json!([query("page", "integer")]),
        list(),
        json!({"pages": false}),
    );
    assert!(binding.is_plain() && names == ["page"]);

    let (binding, _) = answers(
        json!([]),
        list(),
        json!({"fields": ["id", "$.owner['name']"]}),
    );
    let only = vec!["id".to_owned(), "$.owner['name']".to_owned()];
    assert_eq!(binding.fields, Some(FieldsBinding::Only(only)));

    // Whoever had the name first keeps it.
    let own = json!([
        query("fields", "string"),
        query("pages", "string"),
        query("page", "integer")
    ]);
    let (binding, names) = answers(own, list(), json!({"fields": true}));
    assert_eq!(
        names,
        ["fields", "pages", "page", "pages_answer", "fields_answer"]
    );
    let arguments: Vec<_> = binding.arguments().collect();
    assert_eq!(arguments, ["pages_answer", "fields_answer"]);
}

#[test]
fn files_and_what_the_extension_names_have_a_rest() {
    let operation = |media_type: &str, said: Value| json!({"responses": {"200": {"content": {media_type: {}}}}, "x-mcp": said});
    for (method, media_type, said, expected) in [
        ("get", "text/csv; charset=utf-8", json!({}), true),
        ("get", "application/octet-stream", json!({}), true),
        ("get", "application/vnd.rar+zip", json!({}), true),
        ("get", "Application/X-NDJSON", json!({}), true),
        ("get", "application/json", json!({}), false),
        ("get", "text/html", json!({}), false),
        ("get", "text/csv", json!({"rest": false}), false),
        ("get", "application/json", json!({"rest": true}), true),
        (
            "get",
            "application/json",
            json!({"rest": true, "fields": "id"}),
            false,
        ),
        // It would be asked twice.
        ("post", "text/csv", json!({"rest": true}), false),
    ] {
        let plan = plan(
            json!({"/a": {method: operation(media_type, said.clone())}}),
            json!({}),
        );
        let tool = &plan.tools.tools[0];
        let shown = format!("{method} {media_type} {said}");
        let rest = expected.then_some("rest");
        assert_eq!(tool.binding.answer.rest.as_deref(), rest, "{shown}");
        let mut names = tool.input.properties().map(|(name, _)| name);
        assert_eq!(names.any(|name| name == "rest"), expected, "{shown}");
    }
}
