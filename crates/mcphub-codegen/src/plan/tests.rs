//! One reduced API for each rule of the planner.

use mcphub_core::spec::{Document, Location, Parsed, Severity, SpecParser};
use mcphub_core::tool::{BodyFormat, BodySource, OutputShape, Plan, PlanOptions, Planner, Tool};
use serde_json::{Value, json};

use super::ToolPlanner;
use crate::openapi::OpenApiParser;

fn parse(paths: Value, schemas: Value) -> Parsed {
    let document = json!({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths,
        "components": {"schemas": schemas}});
    let document = Document {
        source: "t.json".to_owned(),
        bytes: document.to_string().into(),
    };
    OpenApiParser::default().parse(&document).unwrap()
}

fn plan(paths: Value, schemas: Value) -> Plan {
    ToolPlanner::new()
        .plan(&parse(paths, schemas), &PlanOptions::default())
        .unwrap()
}

/// The tool of `POST /a/{id}` with this operation.
fn tool(operation: Value) -> Tool {
    tool_with(operation, json!({}))
}

fn tool_with(operation: Value, schemas: Value) -> Tool {
    let plan = plan(
        json!({"/a/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "post": operation,
        }}),
        schemas,
    );
    assert!(
        plan.diagnostics
            .iter()
            .all(|d| d.severity != Severity::Error),
        "{:?}",
        plan.diagnostics
    );
    plan.tools.tools.into_iter().next().unwrap()
}

fn body(media_type: &str, schema: Value) -> Value {
    json!({"required": true, "content": {media_type: {"schema": schema}}})
}

fn answer(schema: Value) -> Value {
    json!({"responses": {"200": {"content": {"application/json": {"schema": schema}}}}})
}

fn arguments(tool: &Tool) -> Vec<&str> {
    tool.input.properties().map(|(name, _)| name).collect()
}

fn required(tool: &Tool) -> Vec<&str> {
    arguments(tool)
        .into_iter()
        .filter(|name| tool.input.requires(name))
        .collect()
}

mod names {
    use super::*;

    fn names(paths: Value) -> Vec<String> {
        plan(paths, json!({}))
            .tools
            .tools
            .iter()
            .map(|tool| tool.name.to_string())
            .collect()
    }

    #[test]
    fn come_from_the_operation_id_or_from_method_and_path() {
        let found = names(json!({
            "/a": {"get": {"operationId": "repos/list-for-user"}, "put": {"operationId": "  Größe (neu)!"}},
            "/": {"get": {}},
            "/pets/{petId}/toys.json": {"get": {"operationId": "名前"}},
        }));
        assert_eq!(
            found,
            [
                "repos_list-for-user",
                "Gr_e_neu",
                "get_root",
                "get_pets_by_petId_toys_json"
            ]
        );
    }

    #[test]
    fn every_member_of_a_collision_gets_its_path() {
        let found = names(json!({
            "/users": {"get": {"operationId": "list"}},
            "/pets": {"get": {"operationId": "list"}, "post": {"operationId": "create"}},
        }));
        assert_eq!(found, ["list_get_users", "list_get_pets", "create"]);
        // `/a/b` and `/a_b` give one name; a hash of the path tells them apart.
        let found = names(json!({"/a/b": {"get": {}}, "/a_b": {"get": {}}}));
        assert!(
            found
                .iter()
                .all(|name| name.starts_with("get_a_b_") && name.len() == "get_a_b_".len() + 8)
        );
        assert_ne!(found[0], found[1]);
    }

    #[test]
    fn do_not_change_when_other_operations_come() {
        let first = json!({"/a/b": {"get": {}}, "/a_b": {"get": {}}, "/u": {"get": {"operationId": "list"}}, "/p": {"get": {"operationId": "list"}}});
        let mut more = json!({"/0": {"get": {"operationId": "other"}, "delete": {}}});
        more.as_object_mut()
            .unwrap()
            .extend(first.as_object().unwrap().clone());
        let (before, after) = (names(first), names(more));
        assert_eq!(before, after[2..]);
    }

    #[test]
    fn longer_ones_are_cut_and_stay_apart() {
        let id = |last: &str| format!("{}{last}", "x".repeat(70));
        let found = names(
            json!({"/a": {"get": {"operationId": id("a")}}, "/b": {"get": {"operationId": id("b")}}}),
        );
        assert!(
            found
                .iter()
                .all(|name| name.len() == 64 && name.starts_with(&"x".repeat(55))),
            "{found:?}"
        );
        assert_ne!(found[0], found[1]);
    }

    #[test]
    fn fit_any_legal_length_or_are_refused() {
        let paths: serde_json::Map<_, _> = (0..12)
            .map(|n| (format!("/p{n}"), json!({"get": {"operationId": "same"}})))
            .collect();
        let parsed = parse(Value::Object(paths), json!({}));
        for length in [1, 2, 8, 9, 12, 64, 128] {
            let options = PlanOptions::default();
            let options = {
                let mut options = options;
                options.max_name_length = length;
                options
            };
            let plan = ToolPlanner::new().plan(&parsed, &options).unwrap();
            assert_eq!(
                plan.tools.tools.len() + plan.diagnostics.len(),
                12,
                "{length}"
            );
            let names: std::collections::HashSet<_> = plan
                .tools
                .tools
                .iter()
                .map(|tool| tool.name.as_str())
                .collect();
            assert_eq!(names.len(), plan.tools.tools.len());
            assert!(
                names.iter().all(|name| name.len() <= length),
                "{length}: {names:?}"
            );
            assert!(length < 8 || plan.diagnostics.is_empty(), "{length}");
        }
        let mut options = PlanOptions::default();
        options.max_name_length = 0;
        assert!(ToolPlanner::new().plan(&parsed, &options).is_err());
    }
}

mod arguments {
    use super::*;

    #[test]
    fn members_of_an_object_body_are_arguments() {
        let tool = tool_with(
            json!({"requestBody": body("application/json", json!({"allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"properties": {"name": {"type": "string"}, "id": {"type": "integer"}}, "required": ["id", "extra"]},
            ]}))}),
            json!({"Base": {"type": "object", "required": ["name", "made"], "properties": {
                "name": {"type": "string"}, "made": {"type": "string", "readOnly": true},
                "stamp": {"$ref": "#/components/schemas/Stamp"}}},
                "Stamp": {"type": "string", "readOnly": true}}),
        );
        assert_eq!(arguments(&tool), ["id", "name", "id_body", "extra"]);
        assert_eq!(required(&tool), ["id", "name", "id_body", "extra"]);
        let binding = tool.binding.body.as_ref().unwrap();
        assert_eq!(
            (
                binding.media_type.as_str(),
                binding.format,
                binding.required
            ),
            ("application/json", BodyFormat::Json, true)
        );
        let BodySource::Members(members) = &binding.source else {
            panic!("members")
        };
        let members: Vec<_> = members
            .iter()
            .map(|m| (m.argument.as_str(), m.name.as_str()))
            .collect();
        assert_eq!(
            members,
            [("name", "name"), ("id_body", "id"), ("extra", "extra")]
        );
        assert!(tool.input.definitions().is_empty());
    }

    #[test]
    fn members_of_an_optional_body_are_optional() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {"a": {}}});
        let tool =
            tool(json!({"requestBody": {"content": {"application/json": {"schema": schema}}}}));
        assert_eq!(required(&tool), ["id"]);
        assert!(!tool.binding.body.unwrap().required);
    }

    #[test]
    fn any_other_body_is_one_argument() {
        let part = json!({"type": "object", "properties": {"a": {}}});
        for schema in [
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "object", "additionalProperties": true, "properties": {"a": {}}}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"oneOf": [part, {"type": "object"}]}),
            json!({"allOf": [part, {"anyOf": [part]}]}),
            json!({"type": "object"}),
            json!({}),
        ] {
            let tool = tool(json!({"requestBody": body("application/json", schema.clone())}));
            assert_eq!(arguments(&tool), ["id", "body"], "{schema}");
            assert!(tool.input.requires("body"));
            assert_eq!(
                tool.binding.body.unwrap().source,
                BodySource::Argument("body".to_owned())
            );
        }
    }

    #[test]
    fn conflicting_members_of_all_of_hold_together() {
        let tool = tool(
            json!({"requestBody": body("application/json", json!({"allOf": [
            {"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"maxLength": 3}}}]}))}),
        );
        let schema = tool.input.root()["properties"]["a"].clone();
        assert_eq!(
            schema,
            json!({"allOf": [{"type": "string"}, {"maxLength": 3}]})
        );
    }

    #[test]
    fn a_recursive_body_ends() {
        let tool = tool_with(
            json!({"requestBody": body("application/json", json!({"$ref": "#/components/schemas/Node"}))}),
            json!({"Node": {"type": "object", "properties": {"value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}}}}),
        );
        assert_eq!(arguments(&tool), ["id", "value", "children"]);
        assert_eq!(tool.input.definitions().len(), 1);
    }

    #[test]
    fn names_are_mapped_back_to_the_wire() {
        let tool = tool(json!({"parameters": [
            {"name": "filter[name]", "in": "query", "schema": {"type": "string"}, "description": " why ", "deprecated": true, "example": "x"},
            {"name": "id", "in": "query", "required": true, "schema": {"type": "array"}},
            {"name": "id", "in": "header", "schema": false},
            {"name": "raw", "in": "query", "content": {"application/xml": {"schema": {"type": "object"}}}},
        ]}));
        assert_eq!(
            arguments(&tool),
            ["id", "filter_name", "id_query", "id_header", "raw"]
        );
        assert_eq!(required(&tool), ["id", "id_query"]);
        let properties = &tool.input.root()["properties"];
        assert_eq!(
            properties["filter_name"],
            json!({"type": "string", "description": "why", "deprecated": true, "examples": ["x"]})
        );
        assert_eq!(properties["id_header"], json!({"not": {}}));
        assert_eq!(
            properties["raw"],
            json!({"type": "string", "contentMediaType": "application/xml"})
        );
        let bound: Vec<_> = tool
            .binding
            .parameters
            .iter()
            .map(|p| (p.argument.as_str(), p.name.as_str(), p.location))
            .collect();
        assert_eq!(bound[1], ("filter_name", "filter[name]", Location::Query));
        assert_eq!(bound[3], ("id_header", "id", Location::Header));
    }

    #[test]
    fn json_comes_before_forms_before_text() {
        let object = json!({"schema": {"type": "object", "properties": {"a": {"type": "string"}}}});
        let (json_, form, text, merge, any) = (
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain",
            "application/merge-patch+json",
            "*/*",
        );
        for (offered, media_type, format) in [
            (vec![text, form, merge, json_], json_, BodyFormat::Json),
            (vec![text, form, merge], merge, BodyFormat::Json),
            (
                vec!["multipart/form-data", text, form],
                form,
                BodyFormat::Form,
            ),
            (
                vec!["application/octet-stream", text],
                text,
                BodyFormat::Text,
            ),
            (vec![any], json_, BodyFormat::Json),
        ] {
            let content: serde_json::Map<_, _> = offered
                .iter()
                .map(|name| ((*name).to_owned(), object.clone()))
                .collect();
            let tool = tool(json!({"requestBody": {"required": true, "content": content}}));
            let body = tool.binding.body.as_ref().unwrap();
            assert_eq!(
                (body.media_type.as_str(), body.format),
                (media_type, format)
            );
            if format == BodyFormat::Text {
                assert_eq!(tool.input.root()["properties"]["body"]["type"], "string");
            }
        }
    }

    #[test]
    fn form_members_keep_their_encoding() {
        let mut request = body(
            "application/x-www-form-urlencoded",
            json!({"type": "object", "properties": {"a": {}, "b": {}}}),
        );
        request["content"]["application/x-www-form-urlencoded"]["encoding"] =
            json!({"a": {"style": "pipeDelimited"}});
        let tool = tool(json!({"requestBody": request}));
        let BodySource::Members(members) = tool.binding.body.unwrap().source else {
            panic!("members")
        };
        assert!(members[0].serialization.is_some() && members[1].serialization.is_none());
    }

    #[test]
    fn a_body_that_cannot_be_sent_is_an_error_only_when_it_is_required() {
        let with = |required: bool| {
            let body = json!({"required": required, "content": {"multipart/form-data": {"schema": {"type": "object"}}}});
            plan(json!({"/a": {"post": {"requestBody": body}}}), json!({}))
        };
        let plan = with(true);
        assert!(plan.tools.tools.is_empty());
        let remark = &plan.diagnostics[0];
        assert_eq!(
            (
                remark.severity,
                remark.code.as_str(),
                remark.pointer.as_str()
            ),
            (Severity::Error, "unsupported-body", "/paths/~1a/post")
        );
        assert!(remark.message.contains("multipart/form-data"));
        let plan = with(false);
        assert!(plan.tools.tools[0].binding.body.is_none());
        assert_eq!(plan.diagnostics[0].severity, Severity::Warning);
    }
}

mod outputs {
    use super::*;

    #[test]
    fn an_object_is_described_and_never_refused() {
        let schemas = json!({"Pet": {"type": "object", "required": ["id"], "additionalProperties": false, "minProperties": 1,
            "description": "A pet.", "properties": {
                "id": {"type": "integer", "minimum": 1, "multipleOf": 2},
                "state": {"type": "string", "enum": ["a"], "pattern": "^a", "maxLength": 1, "format": "uuid", "default": "a"},
                "kind": {"const": "pet"}, "secret": {"type": "string", "writeOnly": true},
                "tags": {"type": ["array", "string"], "uniqueItems": true, "minItems": 1, "prefixItems": [{"type": "string"}], "items": false},
                "map": {"type": "object", "additionalProperties": {"type": "number", "maximum": 3}, "propertyNames": {"pattern": "^a"}},
                "either": {"oneOf": [{"type": "string"}, {"not": {}}], "if": {}, "then": false},
                "friend": {"$ref": "#/components/schemas/Pet"}}}});
        let tool = tool_with(answer(json!({"$ref": "#/components/schemas/Pet"})), schemas);
        assert_eq!(tool.binding.output, OutputShape::Object);
        let output = tool.output.unwrap();
        let properties = json!({
            "id": {"type": ["integer", "null"]},
            "state": {"type": ["string", "null"], "format": "uuid"},
            "kind": {},
            "tags": {"type": ["array", "string", "null"], "items": {}},
            "map": {"type": ["object", "null"], "additionalProperties": {"type": ["number", "null"]}},
            "either": {"anyOf": [{"type": ["string", "null"]}, {}]},
            "friend": {"$ref": "#/$defs/Pet"},
        });
        assert_eq!(
            Value::Object(output.root().clone()),
            json!({"description": "A pet.", "type": "object", "properties": properties})
        );
        assert_eq!(output.definitions()[0].schema["properties"], properties);
        assert_eq!(
            output.definitions()[0].schema["type"],
            json!(["object", "null"])
        );
    }

    #[test]
    fn what_is_no_object_is_wrapped() {
        for (schema, result) in [
            (
                json!({"type": "array", "items": {"type": "string"}}),
                json!({"type": ["array", "null"], "items": {"type": ["string", "null"]}}),
            ),
            (
                json!({"type": "string"}),
                json!({"type": ["string", "null"]}),
            ),
            (
                json!({"oneOf": [{"type": "object"}, {"type": "array"}]}),
                json!({"anyOf": [{"type": ["object", "null"]}, {"type": ["array", "null"], "items": {}}]}),
            ),
        ] {
            let tool = tool(answer(schema));
            assert_eq!(tool.binding.output, OutputShape::Wrapped);
            let root = Value::Object(tool.output.unwrap().root().clone());
            assert_eq!(
                root,
                json!({"type": "object", "properties": {"result": result}})
            );
        }
    }

    #[test]
    fn combinators_at_the_top_are_folded() {
        let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "same": {"type": "string"}}});
        let two = json!({"properties": {"a": {"type": "integer"}, "same": {"type": "string"}}});
        for key in ["oneOf", "anyOf", "allOf"] {
            let tool = tool(answer(json!({key: [one, two]})));
            assert_eq!(tool.binding.output, OutputShape::Object, "{key}");
            let root = tool.output.unwrap().root().clone();
            let properties = &root["properties"];
            assert_eq!(
                properties["a"],
                json!({"anyOf": [{"type": ["string", "null"]}, {"type": ["integer", "null"]}]})
            );
            assert_eq!(properties["same"], json!({"type": ["string", "null"]}));
        }
    }

    #[test]
    fn several_success_answers_are_all_possible() {
        let content = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
        let string = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let number = json!({"type": "object", "properties": {"a": {"type": "number"}}});
        let tool = tool(
            json!({"responses": {"202": content(number), "200": content(string), "404": content(json!({"type": "array"}))}}),
        );
        let root = tool.output.unwrap().root().clone();
        assert_eq!(
            root["properties"]["a"],
            json!({"anyOf": [{"type": ["string", "null"]}, {"type": ["number", "null"]}]})
        );
    }

    #[test]
    fn nothing_is_promised_where_nothing_is_described() {
        for responses in [
            json!({"204": {}}),
            json!({"200": {"content": {"application/json": {}}}}),
            json!({"200": {"content": {"text/csv": {"schema": {"type": "string"}}}}}),
            json!({"default": {"content": {"application/json": {"schema": {"type": "object"}}}}}),
        ] {
            let tool = tool(json!({"responses": responses}));
            assert!(tool.output.is_none() && tool.binding.output.is_none());
        }
    }

    #[test]
    fn one_that_is_too_large_is_left_out() {
        let wide = |n: usize| -> serde_json::Map<_, _> {
            (0..n)
                .map(|i| (format!("property_{i}"), json!({"type": "string"})))
                .collect()
        };
        let inline = plan(
            json!({"/a": {"get": answer(json!({"type": "object", "properties": wide(2_000)}))}}),
            json!({}),
        );
        let schemas = json!({"A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}},
            "B": {"type": "object", "properties": wide(2_000)}});
        let shared = plan(
            json!({"/a": {"get": answer(json!({"$ref": "#/components/schemas/A"}))}}),
            schemas,
        );
        for plan in [inline, shared] {
            assert!(plan.tools.tools[0].output.is_none());
            let remark = &plan.diagnostics[0];
            assert_eq!(
                (remark.severity, remark.code.as_str()),
                (Severity::Info, "output-schema-left-out")
            );
        }
    }

    #[test]
    fn accept_prefers_json_and_takes_anything() {
        assert_eq!(
            tool(json!({})).binding.accept,
            "application/json, */*;q=0.5"
        );
        let tool = tool(
            json!({"responses": {"200": {"content": {"text/csv": {}, "application/hal+json": {}}},
            "404": {"content": {"application/problem+json": {}}}}}),
        );
        assert_eq!(
            tool.binding.accept,
            "application/hal+json, text/csv;q=0.5, */*;q=0.1"
        );
    }
}

mod sizes {
    use super::*;

    /// A body whose members refer to a chain of models, each with a long description and example.
    fn chain(links: usize, text: usize) -> (Value, Value) {
        let schemas: serde_json::Map<_, _> = (0..links)
            .map(|n| {
                let next = json!({"$ref": format!("#/components/schemas/M{}", n + 1)});
                let mut properties = json!({"note": {"type": "string", "description": "d".repeat(text), "examples": ["e".repeat(text)]}});
                if n + 1 < links {
                    properties["next"] = next;
                }
                (format!("M{n}"), json!({"type": "object", "properties": properties}))
            })
            .collect();
        let body = body(
            "application/json",
            json!({"type": "object", "properties": {"first": {"$ref": "#/components/schemas/M0"}}}),
        );
        (
            json!({"/a": {"post": {"requestBody": body}}}),
            Value::Object(schemas),
        )
    }

    fn simplified(links: usize, text: usize, max: usize) -> (Tool, Vec<String>) {
        let (paths, schemas) = chain(links, text);
        let mut options = PlanOptions::default();
        options.max_input_schema = max;
        let plan = ToolPlanner::new()
            .plan(&parse(paths, schemas), &options)
            .unwrap();
        let tool = plan.tools.tools.into_iter().next().unwrap();
        let size = tool.input.to_value().to_string().len();
        assert!(size <= max, "{size} > {max}");
        jsonschema::draft202012::new(&tool.input.to_value()).expect("it is valid and resolves");
        (
            tool,
            plan.diagnostics.into_iter().map(|d| d.message).collect(),
        )
    }

    #[test]
    fn an_input_schema_loses_the_least_that_makes_it_fit() {
        let (tool, messages) = simplified(5, 100, 65_536);
        assert!(messages.is_empty() && tool.input.to_value().to_string().contains("ddd"));
        let (tool, messages) = simplified(5, 1_000, 8_000);
        assert!(
            messages[0].contains("the descriptions of nested values"),
            "{messages:?}"
        );
        assert_eq!(tool.input.definitions().len(), 5);
        assert!(tool.input.to_value().to_string().contains("eee"));
        let (tool, messages) = simplified(5, 1_000, 2_000);
        assert!(
            messages[0].contains("descriptions and examples"),
            "{messages:?}"
        );
        assert_eq!(tool.input.definitions().len(), 5);
        let (tool, messages) = simplified(50, 1_000, 1_000);
        assert!(messages[0].contains("deeply nested"), "{messages:?}");
        let definitions = tool.input.definitions();
        assert!((2..50).contains(&definitions.len()));
        assert_eq!(*definitions.last().unwrap().schema, json!({}));
        assert!(
            definitions[..definitions.len() - 1]
                .iter()
                .all(|d| d.schema.get("properties").is_some())
        );
    }

    #[test]
    fn large_arguments_lose_their_schema_last() {
        let values: Vec<_> = (0..2_000).map(|n| format!("value-{n}")).collect();
        let parameters = json!([{"name": "big", "in": "query", "schema": {"type": "string", "enum": values}},
            {"name": "small", "in": "query", "schema": {"type": "integer"}}]);
        let parsed = parse(
            json!({"/a": {"get": {"parameters": parameters}}}),
            json!({}),
        );
        let mut options = PlanOptions::default();
        options.max_input_schema = 4_096;
        let plan = ToolPlanner::new().plan(&parsed, &options).unwrap();
        let properties = &plan.tools.tools[0].input.root()["properties"];
        assert_eq!(
            (&properties["big"], &properties["small"]),
            (&json!({}), &json!({"type": "integer"}))
        );
        assert_eq!(plan.diagnostics[0].code, "input-schema-simplified");
    }
}

#[test]
fn a_tool_says_what_it_does() {
    let described = |summary: &str, description: &str, deprecated: bool| {
        tool(json!({"summary": summary, "description": description, "deprecated": deprecated}))
            .description
    };
    assert_eq!(
        described("List pets", "All of them.", false),
        "List pets\n\nAll of them."
    );
    assert_eq!(
        described("List pets.", "List pets of a shop.", false),
        "List pets of a shop."
    );
    assert_eq!(described("List pets", "", true), "Deprecated.\n\nList pets");
    assert_eq!(described("", " ", true), "Deprecated.\n\nPOST /a/{id}");
    let long = described("S", &"ü".repeat(5_000), false);
    assert_eq!(long.chars().count(), 2_048);
    assert!(long.ends_with('…'));
}

#[test]
fn definitions_are_shared_between_tools() {
    let reference =
        json!({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}});
    let operation = |schema: &Value| {
        json!({"requestBody": body("application/json", schema.clone()),
        "responses": {"200": {"content": {"application/json": {"schema": schema}}}}})
    };
    let plan = plan(
        json!({"/a": {"post": operation(&reference)}, "/b": {"post": operation(&reference)}}),
        json!({"A": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}}),
    );
    let [one, two] = &plan.tools.tools[..] else {
        panic!("two tools")
    };
    let input = |tool: &Tool| tool.input.definitions()[0].schema.clone();
    let output = |tool: &Tool| {
        tool.output.as_ref().unwrap().definitions()[0]
            .schema
            .clone()
    };
    assert!(std::sync::Arc::ptr_eq(&input(one), &input(two)));
    assert!(std::sync::Arc::ptr_eq(&output(one), &output(two)));
    assert!(input(one).get("required").is_some() && output(one).get("required").is_none());
}

#[test]
fn the_same_input_gives_the_same_output() {
    let paths = json!({"/a": {"post": {"requestBody": body("application/json", json!({"$ref": "#/components/schemas/A"}))}},
        "/b": {"get": answer(json!({"$ref": "#/components/schemas/B"}))}});
    let schemas = json!({"A": {"properties": {"b": {"$ref": "#/components/schemas/B"}}}, "B": {"properties": {"a": {"$ref": "#/components/schemas/A"}}}});
    let text = || serde_json::to_string(&plan(paths.clone(), schemas.clone()).tools).unwrap();
    assert_eq!(text(), text());
}

#[test]
fn security_and_servers_go_with_the_tool() {
    let tool = tool(json!({"servers": [{"url": "https://own.io"}], "security": [{"a": []}, {}]}));
    assert_eq!(tool.binding.server.as_deref(), Some("https://own.io"));
    assert_eq!(tool.binding.security, [vec!["a".to_owned()], vec![]]);
    assert!(!tool.annotations.read_only_hint && !tool.annotations.destructive_hint);
}
