use mcphub_core::ErrorKind;
use serde_json::json;

use super::*;

fn document(source: &str, value: &Value) -> Document {
    Document {
        source: source.to_owned(),
        bytes: value.to_string().into(),
    }
}

fn overlay(actions: Value) -> Value {
    json!({"overlay": "1.1.0", "info": {"title": "O", "version": "1"}, "actions": actions})
}

fn applied(value: Value, overlays: &[Value]) -> Result<Overlaid> {
    let overlays: Vec<_> = overlays
        .iter()
        .map(|overlay| document("change.yaml", overlay))
        .collect();
    apply(
        &document("api.json", &value),
        &overlays,
        &ParserSettings::default(),
    )
}

/// The document after these actions.
fn after(value: Value, actions: Value) -> Value {
    let overlaid = applied(value, &[overlay(actions)]).unwrap();
    serde_json::from_slice(&overlaid.document.bytes).unwrap()
}

fn refused(actions: Value) -> Error {
    applied(json!({"a": [1, 2], "o": {"x": 1}}), &[overlay(actions)]).unwrap_err()
}

#[test]
fn updates_merge_objects_add_to_arrays_and_replace_values() {
    let before =
        json!({"paths": {"/a": {"get": {"summary": "s", "tags": ["one"], "x": {"deep": 1}}}}});
    let update = json!({"summary": "new", "tags": ["two"], "x": {"more": 2}, "y": null});
    assert_eq!(
        after(
            before,
            json!([{"target": "$.paths.*.get", "update": update}])
        ),
        json!({"paths": {"/a": {"get": {"summary": "new", "tags": ["one", "two"], "x": {"deep": 1, "more": 2}, "y": null}}}})
    );
    for (update, list) in [
        (json!([3, 4]), json!([1, 3, 4])),
        (json!({"k": 3}), json!([1, {"k": 3}])),
        (json!("text"), json!([1, "text"])),
    ] {
        assert_eq!(
            after(
                json!({"a": [1]}),
                json!([{"target": "$.a", "update": update}])
            ),
            json!({"a": list})
        );
    }
    assert_eq!(
        after(
            json!({"a": "old", "c": {"k": 1}}),
            json!([
            {"target": "$.a", "update": "new"}, {"target": "$", "update": {"c": null}}])
        ),
        json!({"a": "new", "c": {"k": 1}})
    );
}

#[test]
fn removing_takes_each_selected_place_and_no_other() {
    let before =
        json!({"list": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, "end"], "o": {"a/b": 1, "c": {"c": 2}}});
    assert_eq!(
        after(
            before,
            json!([{"target": "$.list[1,10,9,2,2]", "remove": true, "update": [1]},
                {"target": "$.o['a/b']", "remove": true}, {"target": "$..c", "remove": true}])
        ),
        json!({"list": [0, 3, 4, 5, 6, 7, 8], "o": {}})
    );
}

#[test]
fn actions_follow_one_another_and_so_do_overlays() {
    let second = overlay(json!([{"target": "$.b", "update": {"late": true}}]));
    let first = overlay(
        json!([{"target": "$.a", "remove": true}, {"target": "$", "update": {"b": {"new": 1}}}]),
    );
    let overlaid = applied(json!({"a": 1}), &[first, second]).unwrap();
    assert_eq!(overlaid.document.source, "api.json");
    assert_eq!(
        serde_json::from_slice::<Value>(&overlaid.document.bytes).unwrap(),
        json!({"b": {"new": 1, "late": true}})
    );
}

#[test]
fn filters_select_by_what_is_there() {
    let before = json!({"p": [{"name": "filter", "in": "query"}, {"name": "id", "in": "path"}]});
    assert_eq!(
        after(
            before,
            json!([{"target": "$.p[?@.name=='filter' && @.in=='query']", "update": {"x-mcp": false}}])
        ),
        json!({"p": [{"name": "filter", "in": "query", "x-mcp": false}, {"name": "id", "in": "path"}]})
    );
}

#[test]
fn a_copy_takes_the_place_that_it_names() {
    let before = json!({"schemas": {"Foo": {"type": "object"}, "Bar": {}}, "two": [1, 2]});
    let copy = |path: &str| json!([{"target": "$.schemas.Bar", "copy": path}]);
    assert_eq!(
        after(before.clone(), copy("$.schemas.Foo"))["schemas"]["Bar"],
        json!({"type": "object"})
    );
    let error = applied(before, &[overlay(copy("$.two[*]"))]).unwrap_err();
    assert!(error.report().contains("exactly one"), "{}", error.report());
}

#[test]
fn an_action_may_be_a_shared_one() {
    let mut overlay = overlay(json!([{"$ref": "#/components/actions/mark", "target": "$.a"}]));
    overlay["overlay"] = "1.2.0".into();
    overlay["components"] = json!({"actions": {"mark": {"fields": {"update": {"x": 1}}}}});
    let overlaid = applied(json!({"a": {}}), &[overlay]).unwrap();
    assert_eq!(&overlaid.document.bytes[..], br#"{"a":{"x":1}}"#);
}

#[test]
fn a_target_that_selects_nothing_is_told() {
    let actions = json!([{"target": "$.a", "update": {}}, {"target": "$.none", "remove": true}]);
    let overlaid = applied(json!({"a": {}}), &[overlay(actions)]).unwrap();
    let told: Vec<_> = overlaid
        .diagnostics
        .iter()
        .map(|d| (d.code.as_str(), d.pointer.as_str()))
        .collect();
    assert_eq!(told, [("overlay-target", "/actions/1/target")]);
}

#[test]
fn what_cannot_be_done_says_which_action() {
    for (action, text) in [
        (json!({"target": "paths", "update": {}}), "no JSONPath"),
        (json!({"target": "$.a[", "update": {}}), "no JSONPath"),
        (json!({"update": {}}), "has a `target`"),
        (json!("$.a"), "is an object"),
        (json!({"target": "$.o", "update": [1]}), "do not merge"),
        (
            json!({"target": "$.o", "update": {"x": {}}}),
            "do not merge",
        ),
        (
            json!({"target": "$.o", "update": {}, "copy": "$.a"}),
            "not both",
        ),
        (json!({"target": "$.o", "copy": 7}), "is a JSONPath"),
        (json!({"target": "$", "remove": true}), "cannot be removed"),
        (
            json!({"target": "$.o", "$ref": "#/actions/0"}),
            "components.actions",
        ),
    ] {
        let error = refused(json!([{"target": "$.o", "update": {}}, action]));
        assert_eq!(error.kind(), ErrorKind::InvalidDocument, "{action}");
        let report = error.report();
        assert!(report.contains(text), "{action}: {report}");
        assert!(
            report.contains("action: 1") && report.contains("change.yaml"),
            "{report}"
        );
    }
}

#[test]
fn what_is_no_overlay_is_refused() {
    for (value, kind, text) in [
        (
            json!({"openapi": "3.0.0"}),
            ErrorKind::InvalidDocument,
            "not an overlay",
        ),
        (
            json!({"overlay": "2.0.0", "actions": []}),
            ErrorKind::Unsupported,
            "Overlay 2.0.0",
        ),
        (
            json!({"overlay": 1.0, "actions": {}}),
            ErrorKind::InvalidDocument,
            "array of `actions`",
        ),
    ] {
        let error = applied(json!({}), &[value]).unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.report());
        assert!(error.report().contains(text), "{}", error.report());
    }
}

#[test]
fn queries_and_growth_are_bounded() {
    let long = format!("$.{}", "a".repeat(2_000));
    for path in [long.as_str(), "$..a..b..c"] {
        let error = refused(json!([{"target": path, "update": {}}]));
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{path}");
    }
    let many: Vec<_> = (0..10_000).map(|_| json!({})).collect();
    let update = json!({"x": "y".repeat(10_000)});
    let error = applied(
        json!({"a": many}),
        &[overlay(json!([{"target": "$.a[*]", "update": update}]))],
    );
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooLarge);
}
