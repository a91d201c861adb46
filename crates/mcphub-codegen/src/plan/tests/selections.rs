//! Which operations become tools.

use mcphub_core::ErrorKind;

use super::*;

fn shop() -> Parsed {
    let operation = |id: &str, tags: &[&str]| json!({"operationId": id, "tags": tags});
    parse(
        json!({
            "/books": {"get": operation("listBooks", &["books"]), "post": operation("addBook", &["books", "staff"])},
            "/books/{id}": {"get": operation("getBook", &["books"]), "delete": operation("removeBook", &["staff"])},
            "/orders": {"get": operation("listOrders", &["orders"])},
            "/search": {"post": {"operationId": "search", "x-mcp": {"annotations": {"readOnlyHint": true}}}},
        }),
        json!({}),
    )
}

fn options(include: &[&str], exclude: &[&str]) -> PlanOptions {
    let criteria = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let mut options = PlanOptions::default();
    options.choices.selection.include = criteria(include);
    options.choices.selection.exclude = criteria(exclude);
    options
}

fn names(options: &PlanOptions) -> Vec<String> {
    let plan = ToolPlanner::new().plan(&shop(), options).unwrap();
    let tools = plan.tools.tools.iter();
    tools.map(|tool| tool.name.to_string()).collect()
}

#[test]
fn criteria_of_one_facet_widen_and_of_several_narrow() {
    for (include, exclude, expected) in [
        (&["tag=books"][..], &[][..], "listBooks addBook getBook"),
        (
            &["tag=books", "tag=orders"],
            &[],
            "listBooks addBook getBook listOrders",
        ),
        (&["tag=books", "method=get"], &[], "listBooks getBook"),
        (&["path=/books/*"], &[], "getBook removeBook"),
        (&["group=staff", "group=sea*"], &[], "removeBook search"),
        (&["path=/books/{id}", "method=DELETE"], &[], "removeBook"),
        (&["id=list*"], &[], "listBooks listOrders"),
        (&["tool=list?ooks"], &[], "listBooks"),
        (
            &[],
            &["tag=staff", "tool=search"],
            "listBooks getBook listOrders",
        ),
        (&["tag=books"], &["method=POST"], "listBooks getBook"),
    ] {
        assert_eq!(
            names(&options(include, exclude)).join(" "),
            expected,
            "{include:?} {exclude:?}"
        );
    }
}

#[test]
fn read_only_goes_by_what_a_tool_says_of_itself() {
    let mut options = options(&[], &[]);
    options.choices.selection.read_only = true;
    assert_eq!(
        names(&options),
        ["listBooks", "getBook", "listOrders", "search"]
    );
}

#[test]
fn what_is_left_out_and_what_matches_nothing_is_said() {
    let plan = ToolPlanner::new()
        .plan(&shop(), &options(&["tag=books", "tag=boks"], &[]))
        .unwrap();
    let said: Vec<_> = plan
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code.as_str(), d.message.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (
                Severity::Warning,
                "idle-criterion",
                "tag=boks matches no operation"
            ),
            (
                Severity::Info,
                "not-selected",
                "3 of 6 operations are not selected"
            ),
        ]
    );
}

#[test]
fn a_selection_of_nothing_is_an_error() {
    let error = ToolPlanner::new()
        .plan(&shop(), &options(&["tag=boks"], &[]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.report().contains("tag=boks"), "{}", error.report());
}

#[test]
fn names_do_not_depend_on_what_is_selected() {
    let parsed = parse(
        json!({"/a": {"get": {"operationId": "same", "tags": ["one"]}}, "/b": {"get": {"operationId": "same"}}}),
        json!({}),
    );
    let name = |options: &PlanOptions| {
        let plan = ToolPlanner::new().plan(&parsed, options).unwrap();
        plan.tools.tools[0].name.clone()
    };
    assert_eq!(
        name(&PlanOptions::default()),
        name(&options(&["tag=one"], &[]))
    );
}
