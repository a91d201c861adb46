//! Arguments and how they go on the wire.

use super::*;

#[test]
fn what_is_only_for_answers_is_in_no_request_however_deep() {
    let tool = tool_with(
        json!({"requestBody": body("application/json", json!({"type": "object", "properties": {
            "list": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "part": {"type": "object", "required": ["id", "a"], "properties": {
                "id": {"type": "string", "readOnly": true}, "a": {"type": "string"}}},
            "both": {"allOf": [{"$ref": "#/components/schemas/Item"}, {"required": ["made", "b"]}]},
        }}))}),
        json!({"Item": {"type": "object", "required": ["made", "stamp"], "properties": {
            "made": {"type": "string", "readOnly": true}, "stamp": {"$ref": "#/components/schemas/Stamp"},
            "kind": {"type": "string", "enum": ["item"], "readOnly": true}, "c": {"type": "string"}}},
            "Stamp": {"type": "string", "readOnly": true}}),
    );
    let part = &tool.input.properties().find(|it| it.0 == "part").unwrap().1;
    assert_eq!(
        **part,
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}})
    );
    let both = &tool.input.properties().find(|it| it.0 == "both").unwrap().1;
    assert_eq!(both["allOf"][1], json!({"required": ["b"]}));
    let item = &tool.input.definitions()[0].schema;
    // What has one value alone tells alternatives apart.
    assert_eq!(
        **item,
        json!({"type": "object", "properties": {
            "kind": {"type": "string", "enum": ["item"], "readOnly": true}, "c": {"type": "string"}}})
    );
    assert_eq!(tool.input.definitions().len(), 1);
}

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
    let tool = tool(json!({"requestBody": {"content": {"application/json": {"schema": schema}}}}));
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
fn xml_is_made_from_values_where_its_structure_is_described() {
    let with = |schema: Value| tool(json!({"requestBody": body("application/xml", schema)}));
    let text = with(json!({"type": "string"})).binding.body.unwrap();
    assert_eq!((text.format, text.xml), (BodyFormat::Text, None));
    let made = with(json!({"type": "object", "properties": {"a": {"xml": {"name": "b"}}}}));
    assert_eq!(arguments(&made), ["id", "a"]);
    let made = made.binding.body.unwrap();
    assert_eq!(made.format, BodyFormat::Xml);
    assert_eq!(
        made.xml.unwrap().root.members["a"].name.as_deref(),
        Some("b")
    );
}

#[test]
fn a_part_of_another_text_format_is_written_by_the_model() {
    let mut request = body(
        "multipart/form-data",
        json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}),
    );
    request["content"]["multipart/form-data"]["encoding"] =
        json!({"a": {"contentType": "application/xml"}});
    let tool = tool(json!({"requestBody": request}));
    assert_eq!(
        tool.input.root()["properties"]["a"],
        json!({"type": "string", "contentMediaType": "application/xml"})
    );
}

#[test]
fn files_make_a_multipart_form_the_better_one() {
    let chosen = |member: Value| {
        let schema = json!({"schema": {"type": "object", "properties": {"a": member}}});
        let content =
            json!({"application/x-www-form-urlencoded": schema, "multipart/form-data": schema});
        let tool = tool(json!({"requestBody": {"content": content}}));
        tool.binding.body.unwrap().format
    };
    let file = json!({"type": "string", "format": "binary"});
    assert_eq!(chosen(file.clone()), BodyFormat::Multipart);
    assert_eq!(
        chosen(json!({"type": "array", "items": file})),
        BodyFormat::Multipart
    );
    assert_eq!(chosen(json!({"type": "string"})), BodyFormat::Form);
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
fn what_is_no_json_form_or_text_is_bytes() {
    for (offered, media_type, format) in [
        (
            "application/octet-stream",
            "application/octet-stream",
            BodyFormat::Binary,
        ),
        ("image/*", "application/octet-stream", BodyFormat::Binary),
        (
            "application/x-ndjson",
            "application/x-ndjson",
            BodyFormat::JsonLines,
        ),
        ("application/xml", "application/xml", BodyFormat::Text),
        ("text/*", "text/plain", BodyFormat::Text),
        ("multipart/*", "multipart/form-data", BodyFormat::Multipart),
    ] {
        let schema = json!({"type": "object", "description": "A thing."});
        let tool = tool(json!({"requestBody": body(offered, schema)}));
        let body = tool.binding.body.as_ref().unwrap();
        assert_eq!(
            (body.media_type.as_str(), body.format),
            (media_type, format)
        );
        let argument = &tool.input.root()["properties"]["body"];
        match format {
            BodyFormat::Binary => {
                assert_eq!(argument["contentEncoding"], "base64");
                assert_eq!(argument["description"], "A thing. (The bytes in base64)");
            }
            BodyFormat::JsonLines => assert_eq!(argument["type"], "array"),
            _ => {}
        }
    }
    let bytes = json!({"type": "string", "format": "binary"});
    let tool = tool(json!({"requestBody": body("*/*", bytes)}));
    assert_eq!(tool.binding.body.unwrap().format, BodyFormat::Binary);
}

#[test]
fn parts_of_a_form_may_be_files() {
    let schemas =
        json!({"File": {"type": "string", "format": "binary", "description": "A picture."}});
    let mut request = body(
        "multipart/form-data",
        json!({"type": "object", "required": ["file"], "properties": {
            "file": {"$ref": "#/components/schemas/File"},
            "more": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/File"}},
            "typed": {"type": "string"},
            "media": {"contentMediaType": "application/pdf"},
            "meta": {"type": "object"},
            "note": {"type": "string"},
        }}),
    );
    request["content"]["multipart/form-data"]["encoding"] = json!({
        "typed": {"contentType": "image/png, image/jpeg"},
        "meta": {"contentType": "application/vnd.x+json"},
        "note": {"contentType": "text/plain"},
    });
    let tool = tool_with(json!({"requestBody": request}), schemas);
    let BodySource::Members(members) = tool.binding.body.unwrap().source else {
        panic!("members")
    };
    let parts: Vec<_> = members
        .iter()
        .map(|member| {
            let part = member.part.as_ref();
            let media_type = part.and_then(|part| part.media_type.as_deref());
            (
                &*member.name,
                part.is_some_and(|part| part.file),
                media_type,
            )
        })
        .collect();
    assert_eq!(
        parts,
        [
            ("file", true, None),
            ("more", true, None),
            ("typed", true, Some("image/png")),
            ("media", true, Some("application/pdf")),
            ("meta", false, Some("application/vnd.x+json")),
            ("note", false, None),
        ]
    );
    let properties = &tool.input.root()["properties"];
    assert_eq!(
        properties["file"]["description"],
        "A picture. (The bytes in base64)"
    );
    assert_eq!(properties["file"]["anyOf"][1]["required"], json!(["data"]));
    assert_eq!(properties["more"]["maxItems"], 2);
    assert!(properties["more"]["items"]["anyOf"].is_array());
}

#[test]
fn a_body_that_cannot_be_sent_is_an_error_only_when_it_is_required() {
    let with = |required: bool| {
        let body = json!({"required": required, "content": {}});
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
    assert!(remark.message.contains("no media type"));
    let plan = with(false);
    assert!(plan.tools.tools[0].binding.body.is_none());
    assert_eq!(plan.diagnostics[0].severity, Severity::Warning);
}
