use serde_json::Value;
use serde_json::value::RawValue;

use super::Multipart;
use crate::call::Arguments;
use crate::tool::MemberBinding;

fn member(binding: &str) -> MemberBinding {
    serde_json::from_str(binding).unwrap()
}

/// The parts of a body with these members, as a reader splits it; each ends before its line end.
fn parts(members: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let arguments = Arguments::default();
    let mut form = Multipart::new(&arguments);
    for (binding, value) in members {
        let raw = RawValue::from_string((*value).to_owned()).unwrap();
        form.member(&member(binding), &raw)
            .map_err(|error| error.report())?;
    }
    let body = form.finish("multipart/form-data");
    let (media_type, boundary) = body.media_type.split_once("; boundary=").unwrap();
    assert_eq!(media_type, "multipart/form-data");
    let text = String::from_utf8_lossy(&body.bytes).into_owned();
    let rest = text
        .strip_suffix(&format!("--{boundary}--\r\n"))
        .unwrap_or_else(|| panic!("{text}"));
    let delimiter = format!("--{boundary}\r\n");
    let parts = rest.split(&delimiter).skip(1);
    Ok(parts
        .map(|part| part.strip_suffix("\r\n").unwrap().to_owned())
        .collect())
}

const PLAIN: &str = r#"{"argument": "a", "name": "a"}"#;
const FILE: &str = r#"{"argument": "f", "name": "f", "part": {"file": true}}"#;

#[test]
fn values_are_text_and_what_nests_is_json() {
    let found = parts(&[
        (PLAIN, r#""x\r\ny""#),
        (PLAIN, "1.0"),
        (PLAIN, "null"),
        (PLAIN, r#"{"k": [1, null]}"#),
        (PLAIN, r#"["p", null, {"q": 1}]"#),
    ])
    .unwrap();
    let head = "Content-Disposition: form-data; name=\"a\"\r\n";
    let json = "Content-Type: application/json\r\n\r\n";
    assert_eq!(
        found,
        [
            format!("{head}\r\nx\r\ny"),
            format!("{head}\r\n1"),
            format!("{head}{json}{{\"k\":[1,null]}}"),
            format!("{head}\r\np"),
            format!("{head}{json}{{\"q\":1}}"),
        ]
    );
}

#[test]
fn a_file_is_its_bytes_with_name_and_media_type() {
    let found = parts(&[
        (FILE, r#""AP8=""#),
        (
            FILE,
            r#"{"data": "aGk", "filename": "a\"b\r\n.txt", "contentType": "text/plain"}"#,
        ),
        (
            r#"{"argument": "f", "name": "f", "part": {"file": true, "mediaType": "image/png"}}"#,
            r#"["aGk=", {"data": "aGk="}]"#,
        ),
    ])
    .unwrap();
    let head = |file: &str, kind: &str| {
        format!(
            "Content-Disposition: form-data; name=\"f\"; filename=\"{file}\"\r\nContent-Type: {kind}\r\n\r\n"
        )
    };
    assert_eq!(
        found,
        [
            format!("{}\0\u{fffd}", head("f", "application/octet-stream")),
            format!("{}hi", head("a%22b%0D%0A.txt", "text/plain")),
            format!("{}hi", head("f", "image/png")),
            format!("{}hi", head("f", "image/png")),
        ]
    );
}

#[test]
fn a_stated_media_type_is_kept_and_json_stays_json() {
    let json = r#"{"argument": "a", "name": "a", "part": {"mediaType": "application/json"}}"#;
    let text = r#"{"argument": "a", "name": "a", "part": {"mediaType": "text/csv"}}"#;
    let bodies: Vec<_> = parts(&[
        (json, "\"x\""),
        (json, "[1, null]"),
        (json, "null"),
        (text, "\"x\""),
    ])
    .unwrap()
    .into_iter()
    .map(|part| part.split_once("Content-Type: ").unwrap().1.to_owned())
    .collect();
    assert_eq!(
        bodies,
        [
            "application/json\r\n\r\n\"x\"",
            "application/json\r\n\r\n[1,null]",
            "application/json\r\n\r\nnull",
            "text/csv\r\n\r\nx",
        ]
    );
}

#[test]
fn a_list_with_delimiters_is_one_part() {
    let joined = r#"{"argument": "a", "name": "a", "serialization": {"style": "pipeDelimited", "explode": false}}"#;
    let found = parts(&[(joined, r#"["x y", "z"]"#)]).unwrap();
    assert_eq!(
        found,
        ["Content-Disposition: form-data; name=\"a\"\r\n\r\nx y|z"]
    );
}

#[test]
fn what_is_no_file_is_refused() {
    for (value, said) in [
        (r#""not base64!""#, "base64"),
        ("17", "base64"),
        (r#"{"filename": "x"}"#, "as `data`"),
        (
            r#"{"data": "aGk=", "contentType": "a/b\r\nX: y"}"#,
            "control characters",
        ),
    ] {
        let error = parts(&[(FILE, value)]).unwrap_err();
        assert!(error.contains(said), "{value}: {error}");
    }
}

#[test]
fn a_boundary_depends_on_the_content_alone_and_is_not_in_it() {
    let boundary = |value: &Value| {
        let arguments = Arguments::default();
        let mut form = Multipart::new(&arguments);
        let raw = RawValue::from_string(value.to_string()).unwrap();
        form.member(&member(PLAIN), &raw).unwrap();
        let body = form.finish("multipart/form-data");
        body.media_type.split_once('=').unwrap().1.to_owned()
    };
    let first = boundary(&"a".into());
    assert_eq!(first, boundary(&"a".into()));
    assert_ne!(first, boundary(&format!("\r\n--{first}--\r\n").into()));
}
