//! Request bodies and responses.

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
