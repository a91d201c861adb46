//! Request bodies and responses.

use mcphub_core::spec::XmlKind;

use super::*;

#[test]
fn media_types_are_lower_case_without_parameters_and_legal() {
    let parsed = operation(json!({"requestBody": {"content": {
        "Application/JSON;charset=utf-8": {"schema": {"type": "object"}},
        "text/plain\r\nX: y": {},
        "json": {},
    }}}));
    let body = parsed.spec.operations[0].body.as_ref().unwrap();
    let types: Vec<_> = body.content.iter().map(|c| c.media_type.as_str()).collect();
    assert_eq!(types, ["application/json"]);
    assert_eq!(
        parsed
            .diagnostics
            .iter()
            .filter(|d| d.code == "invalid-media-type")
            .count(),
        2
    );
}

#[test]
fn only_stated_encodings_are_kept() {
    let parsed = operation(
        json!({"requestBody": {"content": {"application/x-www-form-urlencoded": {
            "schema": {"type": "object"},
            "encoding": {
                "list": {"style": "spaceDelimited"},
                "spread": {"explode": true},
                "data": {"contentType": "application/json"},
                "text": {"contentType": "text/plain, text/html"},
                "nothing": {"contentType": "nonsense"},
            },
        }}}}),
    );
    let encoding = &parsed.spec.operations[0].body.as_ref().unwrap().content[0].encoding;
    let how = |name: &str| encoding[name].serialization.as_ref().unwrap();
    assert_eq!(
        (how("list").style, how("list").explode),
        (Style::SpaceDelimited, false)
    );
    assert_eq!(
        (how("spread").style, how("spread").explode),
        (Style::Form, true)
    );
    assert_eq!(how("data").content.as_deref(), Some("application/json"));
    assert_eq!(encoding["text"].serialization, None);
    assert_eq!(encoding["text"].media_type.as_deref(), Some("text/plain"));
    assert!(!encoding.contains_key("nothing"));
}

#[test]
fn a_content_map_may_be_a_reference() {
    let content = json!({"application/json": {"schema": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}}}});
    let mut source = document(
        json!({"/a": {"post": {
            "requestBody": {"content": {"$ref": "#/x-content"}},
            "responses": {"200": {"content": {"$ref": "#/x-content"}}, "400": {"content": {"$ref": "#/nowhere"}}},
        }}}),
        json!({"schemas": {"A": {"type": "integer"}}}),
    );
    source["x-content"] = content;
    let parsed = parse(&source);
    let operation = &parsed.spec.operations[0];
    let body = &operation.body.as_ref().unwrap().content[0];
    assert_eq!(body.media_type, "application/json");
    assert_eq!(body.schema["properties"]["a"], json!({"$ref": "#/$defs/A"}));
    assert_eq!(operation.responses[0].content[0].1, body.schema);
    assert!(operation.responses[1].content.is_empty());
    assert_eq!(
        remarks(&parsed),
        [(
            Severity::Warning,
            "dangling-reference",
            "/paths/~1a/post/responses/400/content"
        )]
    );
}

#[test]
fn a_response_that_cannot_be_read_is_left_out() {
    let parsed = operation(json!({
        "parameters": [{"name": "id", "in": "path", "required": true, "schema": {}}],
        "responses": {"2xx": {"description": "fine"}, "Default": {}, "404": 7, "500": {"$ref": "#/no"}, "x-note": 1},
    }));
    let statuses: Vec<_> = parsed.spec.operations[0]
        .responses
        .iter()
        .map(|r| r.status.as_str())
        .collect();
    assert_eq!(statuses, ["2XX", "default"]);
    let at = "/paths/~1pets~1{id}/get/responses";
    let expected = [format!("{at}/404"), format!("{at}/500")];
    assert_eq!(
        parsed
            .diagnostics
            .iter()
            .map(|d| d.pointer.clone())
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn xml_objects_are_kept_apart_from_schemas() {
    let book = json!({"type": "object", "xml": {"name": "book", "namespace": "urn:b", "prefix": "b"}, "properties": {
        "id": {"type": "integer", "xml": {"attribute": true}},
        "tags": {"type": "array", "xml": {"wrapped": true}, "items": {"type": "string", "xml": {"name": "tag"}}},
        "next": {"$ref": "#/components/schemas/Book"},
        "note": {"type": "string", "xml": {"nodeType": "cdata"}},
    }});
    let reference =
        |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
    let parsed = parse(&document(
        json!({"/a": {
            "post": {"requestBody": {"content": {"application/xml": reference("Book")}}},
            "put": {"requestBody": {"content": {"text/xml": reference("Plain")}}},
            "patch": {"requestBody": {"content": {
                "application/xml": reference("Book"), "application/json": reference("Book")}}},
        }}),
        json!({"schemas": {"Book": book, "Plain": {"type": "object"}}}),
    ));
    let shape = |at: usize| {
        let body = parsed.spec.operations[at].body.as_ref().unwrap();
        body.content[0].xml.as_ref()
    };
    assert_eq!(shape(1).unwrap().root.name.as_deref(), Some("Plain"));
    // It is sent as JSON.
    assert!(shape(2).is_none());
    let pointer = "/components/schemas/Book";
    assert_eq!(shape(0).unwrap().root.types, [pointer]);
    let book = &shape(0).unwrap().types[pointer];
    let texts = [&book.name, &book.namespace, &book.prefix];
    let texts = texts.map(|text| text.as_deref().unwrap());
    assert_eq!(texts, ["book", "urn:b", "b"]);
    assert_eq!(book.members["id"].kind, XmlKind::Attribute);
    assert_eq!(book.members["note"].kind, XmlKind::CData);
    assert_eq!(book.members["next"].types, [pointer]);
    assert!(book.members["tags"].wrapped);
    let items = book.members["tags"].items.as_ref();
    assert_eq!(items.unwrap().name.as_deref(), Some("tag"));
    assert!(
        !parsed.spec.definitions["Book"]
            .to_string()
            .contains("wrapped")
    );
}
