//! Wrong arguments never reach the API; the answer names the argument and says what is expected.

use mcphub_core::ErrorKind;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};

use crate::bookshop;
use crate::bookshop::native;
use crate::recording_api::{RecordingApi, Reply};

/// What a call with wrong arguments is told.
async fn refused(tool: &str, arguments: &str) -> String {
    let server = RecordingApi::start(|_| Reply::json("{}")).await;
    let api = native(&server.url, Credentials::default());
    let arguments = Arguments::parse(arguments).unwrap();
    let result = Upstream::call(&api, tool, &arguments).await.unwrap();
    let result: serde_json::Value = serde_json::from_slice(result.as_bytes()).unwrap();
    assert_eq!(result["isError"], true, "{result}");
    assert!(server.requests().is_empty(), "a refused call was sent");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_missing_argument_is_named() {
    assert_eq!(
        refused("get_book", "{}").await,
        "Invalid arguments for get_book:\n- isbn: is required"
    );
}

#[tokio::test]
async fn an_unknown_argument_is_named_with_the_one_that_was_meant() {
    assert_eq!(
        refused("get_book", r#"{"isbn":"1","x-trce":"t"}"#).await,
        "Invalid arguments for get_book:\n- x-trce: is not an argument of this tool; did you mean X-Trace?"
    );
    assert_eq!(
        refused("get_book", r#"{"isbn":"1","colour":"red"}"#).await,
        "Invalid arguments for get_book:\n- colour: is not an argument of this tool; its arguments are isbn, X-Trace"
    );
    assert_eq!(
        refused("public", r#"{"a":1}"#).await,
        "Invalid arguments for public:\n- a: is not an argument of this tool; it has none"
    );
}

#[tokio::test]
async fn each_problem_has_a_line_that_says_what_is_expected() {
    for (arguments, line) in [
        (r#"{"isbn":12}"#, "isbn: must be a string"),
        (r#"{"isbn":"ab"}"#, "isbn: must have at least 3 characters"),
        (
            r#"{"isbn":"abc","pages":"many"}"#,
            "pages: must be an integer",
        ),
        (r#"{"isbn":"abc","pages":0}"#, "pages: must be at least 1"),
        (
            r#"{"isbn":"abc","kind":"saga"}"#,
            r#"kind: must be one of "novel", "poems""#,
        ),
        (
            r#"{"isbn":"abc","price":"1"}"#,
            "price: must be a number, or must be null",
        ),
        (r#"{"isbn":"abc","address":{}}"#, "address.zip: is required"),
        (
            r#"{"isbn":"abc","address":{"zip":"1"}}"#,
            "address.zip: must match the pattern ^[0-9]{5}$",
        ),
        (
            r#"{"isbn":"abc","address":{"zip":"12345","lines":["a",1]}}"#,
            "address.lines[1]: must be a string",
        ),
        (
            r#"{"isbn":"abc","address":{"zip":"12345","city":"x"}}"#,
            "address.city: is not possible here",
        ),
    ] {
        let expected = format!("Invalid arguments for add_book:\n- {line}");
        assert_eq!(
            refused("add_book", arguments).await,
            expected,
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn several_problems_are_listed_and_many_are_cut() {
    let text = refused("add_book", r#"{"pages":0,"kind":1}"#).await;
    assert_eq!(text.lines().count(), 4, "{text}");
    let lines = vec!["1"; 50].join(",");
    let text = refused("find_books", &format!(r#"{{"tag":[{lines}]}}"#)).await;
    assert_eq!(text.lines().count(), 11, "{text}");
    assert!(text.ends_with("\n- and more"), "{text}");
}

#[tokio::test]
async fn values_are_not_repeated() {
    let secret = "s3cret".repeat(100);
    let text = refused(
        "add_book",
        &format!(r#"{{"isbn":"abc","pages":"{secret}"}}"#),
    )
    .await;
    assert!(!text.contains("s3cret") && text.len() < 200, "{text}");
    let text = refused("get_book", &format!(r#"{{"isbn":"1","{secret}":1}}"#)).await;
    assert!(text.len() < 300, "{text}");
}

#[tokio::test]
async fn a_large_wrong_argument_is_answered_shortly() {
    let text = refused(
        "find_books",
        &format!(r#"{{"tag":[{}1]}}"#, "1,".repeat(500_000)),
    )
    .await;
    assert_eq!(
        text,
        "Invalid arguments for find_books:\n- tag[0]: must be a string"
    );
}

#[tokio::test]
async fn a_header_value_cannot_add_a_header() {
    let text = refused("get_book", r#"{"isbn":"1","X-Trace":"a\r\nX-Admin: yes"}"#).await;
    assert_eq!(
        text,
        "Invalid arguments for get_book:\n- X-Trace: a header value cannot hold control characters"
    );
}

#[tokio::test]
async fn a_path_value_stays_one_segment() {
    assert!(
        refused("get_book", r#"{"isbn":".."}"#)
            .await
            .starts_with("Invalid arguments for get_book:\n- isbn: ")
    );
    let server = RecordingApi::start(|_| Reply::json(r#"{"isbn":"1"}"#)).await;
    let api = native(&server.url, Credentials::default());
    api.call(
        "get_book",
        &Arguments::parse(r#"{"isbn":"../admin?x#y"}"#).unwrap(),
    )
    .await;
    assert_eq!(server.request().target, "/books/..%2Fadmin%3Fx%23y");
}

#[tokio::test]
async fn an_unknown_tool_is_not_found() {
    let api = native(
        &"http://127.0.0.1:9/".parse().unwrap(),
        Credentials::default(),
    );
    let error = Upstream::call(&api, "burn_book", &Arguments::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(api.call("burn_book", &Arguments::default()).await.is_error);
}

#[tokio::test]
async fn preparing_gives_the_request_without_sending_it() {
    let api = native(
        &"http://shop.test/v1".parse().unwrap(),
        Credentials::default(),
    );
    let request = api
        .prepare(
            "add_book",
            &Arguments::parse(r#"{"isbn":"123","price":1.10}"#).unwrap(),
        )
        .unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "http://shop.test/v1/books")
    );
    assert_eq!(
        request.body.unwrap().bytes,
        r#"{"isbn":"123","price":1.10}"#
    );
    let error = api.prepare("add_book", &Arguments::default()).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::InvalidInput,
            "Invalid arguments for add_book:\n- isbn: is required"
        )
    );
}

#[tokio::test]
async fn tools_are_listed_as_they_were_planned() {
    let api = native(
        &"http://shop.test/".parse().unwrap(),
        Credentials::default(),
    );
    let tools = api.tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "get_book",
            "add_book",
            "order_book",
            "find_books",
            "open_hours",
            "public",
            "private",
            "either"
        ]
    );
    let book: serde_json::Value = serde_json::from_str(tools[0].definition.get()).unwrap();
    assert_eq!(book["title"], "Get a book");
    assert_eq!(book["inputSchema"]["required"][0], "isbn");
    assert_eq!(book["outputSchema"]["type"], "object");
    assert_eq!(book["annotations"]["readOnlyHint"], true);
}

#[tokio::test]
async fn an_operation_with_a_server_of_its_own_is_called_there() {
    let mut set = (*bookshop::bookshop()).clone();
    for (tool, server) in [(4, "/v2"), (5, "https://files.shop.test/api")] {
        set.tools[tool].binding.server = Some(server.to_owned());
    }
    bookshop::install_crypto();
    let base = "http://shop.test/v1".parse().unwrap();
    let settings = NativeSettings::default();
    let api = NativeApi::new(set.into(), base, Credentials::default(), settings).unwrap();
    let url = |tool: &str| {
        let request = api.prepare(tool, &Arguments::default()).unwrap();
        request.url.to_string()
    };
    assert_eq!(url("open_hours"), "http://shop.test/v2/hours");
    assert_eq!(url("public"), "https://files.shop.test/api/public");
    assert_eq!(url("find_books"), "http://shop.test/v1/books");
}
