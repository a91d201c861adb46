//! The rows of OpenAPI 3.0.4 "Style Examples", one by one.

use serde_json::value::RawValue;

use super::{Escape, pairs, single};
use crate::spec::{Serialization, Style};

const EMPTY: &str = r#""""#;
const STRING: &str = r#""blue""#;
const ARRAY: &str = r#"["blue","black","brown"]"#;
const OBJECT: &str = r#"{"R":100,"G":200,"B":150}"#;

fn how(style: Style, explode: bool) -> Serialization {
    Serialization {
        style,
        explode,
        allow_reserved: false,
        content: None,
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn one(style: Style, explode: bool, json: &str) -> String {
    single("color", &raw(json), &how(style, explode), Escape::Percent)
        .unwrap()
        .unwrap()
        .into_owned()
}

fn query(style: Style, explode: bool, json: &str) -> String {
    joined(pairs("color", &raw(json), &how(style, explode), Escape::Percent).unwrap())
}

fn joined(pairs: Vec<super::Pair<'_>>) -> String {
    pairs
        .into_iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect::<Vec<_>>()
        .join("&")
}

#[test]
fn path_styles_follow_the_table() {
    let rows = [
        (Style::Matrix, false, EMPTY, ";color"),
        (Style::Matrix, false, STRING, ";color=blue"),
        (Style::Matrix, false, ARRAY, ";color=blue,black,brown"),
        (Style::Matrix, false, OBJECT, ";color=R,100,G,200,B,150"),
        (Style::Matrix, true, EMPTY, ";color"),
        (Style::Matrix, true, STRING, ";color=blue"),
        (
            Style::Matrix,
            true,
            ARRAY,
            ";color=blue;color=black;color=brown",
        ),
        (Style::Matrix, true, OBJECT, ";R=100;G=200;B=150"),
        (Style::Label, false, EMPTY, "."),
        (Style::Label, false, STRING, ".blue"),
        (Style::Label, false, ARRAY, ".blue,black,brown"),
        (Style::Label, false, OBJECT, ".R,100,G,200,B,150"),
        (Style::Label, true, STRING, ".blue"),
        (Style::Label, true, ARRAY, ".blue.black.brown"),
        (Style::Label, true, OBJECT, ".R=100.G=200.B=150"),
        (Style::Simple, false, EMPTY, ""),
        (Style::Simple, false, STRING, "blue"),
        (Style::Simple, false, ARRAY, "blue,black,brown"),
        (Style::Simple, false, OBJECT, "R,100,G,200,B,150"),
        (Style::Simple, true, ARRAY, "blue,black,brown"),
        (Style::Simple, true, OBJECT, "R=100,G=200,B=150"),
    ];
    for (style, explode, json, expected) in rows {
        assert_eq!(
            one(style, explode, json),
            expected,
            "{style:?} explode={explode} {json}"
        );
    }
}

#[test]
fn query_styles_follow_the_table() {
    let rows = [
        (Style::Form, false, EMPTY, "color="),
        (Style::Form, false, STRING, "color=blue"),
        (Style::Form, false, ARRAY, "color=blue,black,brown"),
        (Style::Form, false, OBJECT, "color=R,100,G,200,B,150"),
        (Style::Form, true, EMPTY, "color="),
        (Style::Form, true, STRING, "color=blue"),
        (
            Style::Form,
            true,
            ARRAY,
            "color=blue&color=black&color=brown",
        ),
        (Style::Form, true, OBJECT, "R=100&G=200&B=150"),
        (
            Style::SpaceDelimited,
            false,
            ARRAY,
            "color=blue%20black%20brown",
        ),
        (
            Style::SpaceDelimited,
            false,
            OBJECT,
            "color=R%20100%20G%20200%20B%20150",
        ),
        (
            Style::PipeDelimited,
            false,
            ARRAY,
            "color=blue%7Cblack%7Cbrown",
        ),
        (
            Style::PipeDelimited,
            false,
            OBJECT,
            "color=R%7C100%7CG%7C200%7CB%7C150",
        ),
        (
            Style::DeepObject,
            true,
            OBJECT,
            "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
        ),
        (
            Style::DeepObject,
            true,
            r#"{"a":{"b":1},"c":[1,2]}"#,
            "color%5Ba%5D%5Bb%5D=1&color%5Bc%5D=1&color%5Bc%5D=2",
        ),
    ];
    for (style, explode, json, expected) in rows {
        assert_eq!(
            query(style, explode, json),
            expected,
            "{style:?} explode={explode} {json}"
        );
    }
}

#[test]
fn delimiters_inside_values_are_escaped() {
    assert_eq!(query(Style::Form, false, r#"["a,b","c"]"#), "color=a%2Cb,c");
    assert_eq!(
        query(Style::Form, true, r#""a&b=c d+ü""#),
        "color=a%26b%3Dc%20d%2B%C3%BC"
    );
    assert_eq!(
        one(Style::Simple, false, r#""../a/b?c#d""#),
        "..%2Fa%2Fb%3Fc%23d"
    );
    assert_eq!(one(Style::Simple, false, r#"["a,b","c"]"#), "a%2Cb,c");
}

#[test]
fn allow_reserved_passes_reserved_characters_and_triples_only() {
    assert_eq!(
        Escape::Reserved.text("/a?b=c,d:e@f%20g%zz"),
        "/a?b=c,d:e@f%20g%25zz"
    );
    assert_eq!(Escape::Reserved.text("a&b#c+d[e]"), "a%26b%23c%2Bd%5Be%5D");
    assert_eq!(Escape::Reserved.text("%é"), "%25%C3%A9");
}

#[test]
fn nested_values_are_json_text_that_keeps_its_numbers() {
    let nested = r#"[ { "big" : 123456789012345678901234567890, "text": "a \"b\\ c" } ]"#;
    let raw = raw(nested);
    let text = super::scalar(&raw).unwrap();
    assert_eq!(
        text,
        r#"[{"big":123456789012345678901234567890,"text":"a \"b\\ c"}]"#
    );
}

#[test]
fn absent_values_and_numbers() {
    assert_eq!(query(Style::Form, true, "null"), "");
    assert_eq!(query(Style::Form, false, "[]"), "");
    assert_eq!(
        query(Style::Form, true, "[1,null,true]"),
        "color=1&color=true"
    );
    for (json, text) in [
        ("1.0", "1"),
        ("0.10", "0.1"),
        ("1e21", "1e+21"),
        ("-0.0", "0"),
        ("1e2", "100"),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        ),
    ] {
        assert_eq!(one(Style::Simple, false, json).replace("%2B", "+"), text);
    }
}
