//! Fields of answers, and pages that become one.

mod common;

use std::sync::Mutex;

use common::project::fields::Fields;
use common::project::link::next_link;
use common::project::pages::{MAX_PAGES, Paging};
use common::project::request::HttpRequest;
use common::project::result::{Output, ToolResult};
use common::project::style;
use common::{json, stubbed};
use http::Response;
use serde_json::{Value, json};

fn texts(result: &ToolResult) -> Vec<&str> {
    let texts = result
        .content
        .iter()
        .filter_map(|content| content.as_text());
    texts.map(|text| text.text.as_str()).collect()
}

/// What is asked one after the other.
fn answering(
    answers: Vec<Response<Vec<u8>>>,
) -> impl Fn() -> Response<Vec<u8>> + Send + Sync + 'static {
    let answers = Mutex::new(answers.into_iter());
    let missing = || Response::builder().status(404).body(Vec::new());
    move || {
        let answer = answers.lock().unwrap().next();
        answer.unwrap_or_else(|| missing().unwrap())
    }
}

#[test]
fn fields_leave_what_they_name() {
    let answer = json!([{"id": 1, "owner": {"name": "x", "n": 2}, "tags": ["a"]}, {"owner": {}}]);
    let of = |fields: &[&str]| {
        let fields = Fields::parse("fields", fields).unwrap();
        let (left, absent) = fields.of(&answer).unwrap();
        (left, absent.join(" "))
    };
    assert_eq!(of(&["id"]), (json!([{"id": 1}, {}]), String::new()));
    let (left, _) = of(&["owner.name", "$[*]['id', \"tags\"]"]);
    let expected = json!([{"id": 1, "owner": {"name": "x"}, "tags": ["a"]}, {"owner": {}}]);
    assert_eq!(left, expected);
    let expected = (json!([{"id": 1}, {}]), "nmae".to_owned());
    assert_eq!(of(&["*.id", "nmae"]), expected);
    let expected = (json!([{"id": 1}]), String::new());
    assert_eq!(of(&["$[?@.id >= 1 && @.owner.name == 'x'].id"]), expected);
    let expected = (json!([{"owner": {}}]), String::new());
    assert_eq!(of(&["$[?count(@.*) == 1 || !@.owner]"]), expected);
    let expected = (json!([{"tags": ["a"]}]), String::new());
    assert_eq!(of(&["$[?length(@.tags) == $[0].id].tags"]), expected);
    let expected = (json!([]), "$[?@.id == true]".to_owned());
    assert_eq!(of(&["$[?@.id == true]"]), expected);
    assert_eq!(of(&["$"]), (answer.clone(), String::new()));
}

#[test]
fn what_is_no_field_is_refused() {
    let long = "x".repeat(513);
    for field in [
        "",
        ".",
        "a.",
        "a..b",
        "$..",
        "a[01]",
        "a[?b]",
        "a[?match(@, 'b')]",
        "a[]",
        "a['b]",
        "a]b",
        "a*",
        &long,
    ] {
        assert!(Fields::parse("fields", &[field]).is_err(), "{field}");
    }
    assert!(Fields::parse("fields", &["a"; 65]).is_err());
}

#[test]
fn filters_look_at_so_many_values() {
    let answer = json!(vec![[[1, 2, 3], [4, 5, 6]]; 200]);
    let field = format!("$[?count(${}) > 1]", "..*".repeat(9));
    let fields = Fields::parse("fields", &[field]).unwrap();
    assert!(fields.of(&answer).is_err());
}

#[test]
fn the_next_link_is_found_among_others() {
    for (header, target) in [
        (
            r#"<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last""#,
            Some("https://a/?page=2"),
        ),
        (
            r#"</a?x=1,2;3>; rel="prev", </b>;title="a, <b>; rel=next";rel=NEXT"#,
            Some("/b"),
        ),
        (r#"<u>; rel="last next""#, Some("u")),
        ("<u>; rel=prev", None),
        ("<u; rel=next", None),
        ("", None),
    ] {
        assert_eq!(next_link(header), target);
    }
}

#[tokio::test]
async fn pages_become_one() {
    type Set = fn(&mut Paging);
    let ways: [(Set, Value, Option<&str>, &str); 5] = [
        (
            |pages| pages.by_cursor("c", &["next"]),
            json!("x/y"),
            None,
            "?c=x%2Fy",
        ),
        (
            |pages| pages.by_url(&["next"]),
            json!("?p=2#x"),
            None,
            "?p=2",
        ),
        (|_| {}, Value::Null, Some("<?p=2>; rel=next"), "?p=2"),
        (|pages| pages.by_number("p", 1), Value::Null, None, "?p=2"),
        (|pages| pages.by_offset("o", 0), Value::Null, None, "?o=2"),
    ];
    for (set, next, link, query) in ways {
        let mut first = json(&json!({"data": [1, 2], "next": next}).to_string());
        if let Some(link) = link {
            first.headers_mut().insert("link", link.parse().unwrap());
        }
        let last = json(r#"{"data":[],"next":null,"total":2.50}"#);
        let (api, stub) = stubbed(answering(vec![first, last]));
        let mut request = HttpRequest::new("GET", "/things");
        let pages = request.pages();
        pages.wanted("pages", Some(&5)).unwrap();
        pages.items(&["data"]);
        set(pages);
        let result = api.call(request, Output::None).await.unwrap();

        let asked: Vec<_> = stub.sent().into_iter().map(|sent| sent.url).collect();
        let url = "http://api.test/base/things";
        assert_eq!(asked, [url.to_owned(), [url, query].concat()]);
        let merged = r#"{"data":[1,2],"next":null,"total":2.50}"#;
        assert_eq!(
            texts(&result),
            [merged, "[2 pages read; there are no more]"]
        );
    }
}

#[tokio::test]
async fn pages_stay_at_the_origin_and_a_failure_says_how_to_go_on() {
    let away = json(r#"{"data":[1],"next":"https://other.test/"}"#);
    let (api, stub) = stubbed(answering(vec![away]));
    let mut request = HttpRequest::new("GET", "/things");
    request.pages().wanted("pages", Some(&2)).unwrap();
    request.pages().items(&["data"]);
    request.pages().by_url(&["next"]);
    let result = api.call(request, Output::None).await.unwrap();
    let told = "[1 page read; the next one is not read: it is at another origin]";
    assert_eq!(texts(&result)[1], told);
    assert_eq!(stub.sent().len(), 1);

    let first = json(r#"{"data":[1],"next":"b"}"#);
    let failure = Response::builder().status(500).body(Vec::new()).unwrap();
    let (api, _) = stubbed(answering(vec![first, failure]));
    let mut request = HttpRequest::new("GET", "/things");
    let how = style::form().argument("cursor");
    request.query("c", Some(&"a"), how).unwrap();
    request.pages().wanted("pages", Some(&2)).unwrap();
    request.pages().items(&["data"]);
    request.pages().by_cursor("c", &["next"]);
    let result = api.call(request, Output::None).await.unwrap();
    let why = "the next one failed: HTTP 500 Internal Server Error";
    let told = format!("[1 page read; {why}; there are more: call again with cursor=b]");
    assert_eq!(texts(&result)[1], told);
}

#[test]
fn how_many_pages_is_a_number_within_its_bounds() {
    let wanted = |value: Value| Paging::default().wanted("pages", Some(&value)).is_ok();
    for (value, fits) in [
        (json!(1), true),
        (json!(2.0), true),
        (json!(MAX_PAGES), true),
        (Value::Null, true),
        (json!(0), false),
        (json!(21), false),
        (json!(1.5), false),
        (json!("2"), false),
    ] {
        assert_eq!(wanted(value.clone()), fits, "{value}");
    }
}
