//! How arguments become a request.

mod common;

use common::project::request::{ArgumentError, Format, HttpRequest, Part, preset};
use common::project::result::Output;
use common::project::style;
use common::{Sent, json, stubbed};
use serde_json::{Value, json};

type Made = Result<(), ArgumentError>;

/// What is sent, or why nothing is.
async fn sent(
    path: &'static str,
    make: impl FnOnce(&mut HttpRequest) -> Made,
) -> Result<Sent, String> {
    let (api, stub) = stubbed(|| json("{}"));
    let mut request = HttpRequest::new("POST", path);
    let called = match make(&mut request) {
        Ok(()) => api.call(request, Output::None).await,
        Err(error) => Err(error),
    };
    called.map_err(|error| error.to_string())?;
    Ok(stub.sent().remove(0))
}

async fn body(make: impl FnOnce(&mut HttpRequest) -> Made) -> Result<(String, String), String> {
    let sent = sent("/", make).await?;
    let mut headers = sent.headers.into_iter();
    let content_type = headers.find(|(name, _)| name == "content-type");
    let (_, content_type) = content_type.unwrap_or_default();
    Ok((content_type, sent.body))
}

#[tokio::test]
async fn styles_are_those_of_the_standard() {
    let list = json!(["blue", "a b"]);
    let object = json!({"R": 100, "G": {"x": [1.0]}});
    for (value, how, expected) in [
        (&list, style::form(), "c=blue&c=a%20b"),
        (&list, style::form().explode(false), "c=blue,a%20b"),
        (&list, style::pipe_delimited(), "c=blue%7Ca%20b"),
        (&list, style::space_delimited(), "c=blue%20a%20b"),
        (
            &object,
            style::deep_object(),
            "c%5BR%5D=100&c%5BG%5D%5Bx%5D=1",
        ),
        (
            &object,
            style::content("application/json"),
            "c=%7B%22R%22%3A100%2C%22G%22%3A%7B%22x%22%3A%5B1.0%5D%7D%7D",
        ),
    ] {
        let sent = sent("/it", |request| request.query("c", Some(value), how)).await;
        let url = sent.unwrap().url;
        assert_eq!(url, format!("http://api.test/base/it?{expected}"));
    }
    for (how, expected) in [
        (style::simple(), "blue,a%20b"),
        (style::label(), ".blue,a%20b"),
        (style::matrix().explode(true), ";c=blue;c=a%20b"),
    ] {
        let sent = sent("/{c}/it", |request| request.path("c", &list, how)).await;
        let url = sent.unwrap().url;
        assert_eq!(url, format!("http://api.test/base/{expected}/it"));
    }
}

#[tokio::test]
async fn null_is_told_from_nothing() {
    let made = body(|request| {
        let body = request.object(Format::Json, "application/json");
        body.optional();
        body.member("null", Some(&Value::Null))?;
        body.member("nothing", None::<&Value>)?;
        body.member("big", Some(&preset("12345678901234567890123.10")))
    });
    let expected = r#"{"null":null,"big":12345678901234567890123.10}"#;
    assert_eq!(made.await.unwrap().1, expected);

    let nothing = body(|request| {
        request.object(Format::Json, "application/json").optional();
        Ok(())
    });
    assert_eq!(nothing.await.unwrap(), (String::new(), String::new()));
}

#[tokio::test]
async fn no_value_changes_the_path_or_ends_a_header() {
    for (value, problem) in [
        ("..", "c: .. is not possible here"),
        ("", "c: an empty value is not possible here"),
    ] {
        let made = sent("/{id}/it", |request| {
            request.path("id", &value, style::simple().argument("c"))
        });
        assert!(made.await.unwrap_err().starts_with(problem));
    }
    let made = sent("/", |request| {
        request.header("X", Some(&"a\r\nb"), style::simple())
    });
    let problem = "X: a header value cannot hold control characters";
    assert_eq!(made.await.unwrap_err(), problem);
    let made = sent("/", |request| {
        request.cookie("c", Some(&"a;b"), style::cookie())
    });
    assert_eq!(
        made.await.unwrap_err(),
        "c: a cookie cannot hold a semicolon"
    );
}

#[tokio::test]
async fn forms_repeat_lists_and_write_objects_as_json() {
    let made = body(|request| {
        let form = request.form("application/x-www-form-urlencoded");
        form.field("a", Some(&[1, 2]), style::field())?;
        form.field("o", Some(&json!({"k": [1]})), style::field())?;
        form.field("s", Some(&"x&y"), style::field())
    });
    let (media_type, body) = made.await.unwrap();
    assert_eq!(media_type, "application/x-www-form-urlencoded");
    assert_eq!(body, "a=1&a=2&o=%7B%22k%22%3A%5B1%5D%7D&s=x%26y");
}

#[tokio::test]
async fn parts_are_text_json_and_files() {
    let file = json!({"data": "aGk", "filename": "a\".txt", "contentType": "text/plain"});
    let made = body(|request| {
        let parts = request.multipart("multipart/form-data");
        parts.part("text", Some(&json!(["x", null, 1])), Part::new())?;
        parts.part("object", Some(&json!({"k": [1]})), Part::new())?;
        parts.part("file", Some(&file), Part::new().file())?;
        parts.styled("list", Some(&["a", "b"]), style::pipe_delimited())
    });
    let (media_type, body) = made.await.unwrap();
    let (essence, boundary) = media_type.split_once("; boundary=").unwrap();
    assert_eq!(essence, "multipart/form-data");
    let head = "Content-Disposition: form-data; name=";
    let parts: Vec<_> = body.split(&format!("--{boundary}")).skip(1).collect();
    assert_eq!(
        parts,
        [
            format!("\r\n{head}\"text\"\r\n\r\nx\r\n"),
            format!("\r\n{head}\"text\"\r\n\r\n1\r\n"),
            format!(
                "\r\n{head}\"object\"\r\nContent-Type: application/json\r\n\r\n{{\"k\":[1]}}\r\n"
            ),
            format!(
                "\r\n{head}\"file\"; filename=\"a%22.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n"
            ),
            format!("\r\n{head}\"list\"\r\n\r\na|b\r\n"),
            "--\r\n".to_owned(),
        ]
    );
}

#[tokio::test]
async fn whole_bodies_are_bytes_lines_and_text() {
    let whole = |value: Value, format: Format, media_type: &'static str| {
        body(move |request| request.body(Some(&value), format, media_type, "b"))
    };
    let bytes = whole(json!("aG k="), Format::Binary, "image/png");
    assert_eq!(bytes.await.unwrap().1, "hi");
    let bad = whole(json!("a!"), Format::Binary, "image/png");
    assert_eq!(
        bad.await.unwrap_err(),
        "b: must be the bytes in base64 (RFC 4648, 4)"
    );
    let lines = whole(
        json!([{"a": "x y"}, null]),
        Format::JsonLines,
        "application/x-ndjson",
    );
    assert_eq!(lines.await.unwrap().1, "{\"a\":\"x y\"}\nnull\n");
    let text = whole(json!("ü"), Format::Text, "text/plain");
    assert_eq!(text.await.unwrap().1, "ü");
}
