//! Names of tools.

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
