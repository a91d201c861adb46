use super::{general, subset};
use crate::openapi::ParserSettings;

/// Whether the subset's reader took a text. What it took is what the general reader has of it.
#[track_caller]
fn taken(text: &str) -> bool {
    let Some(node) = subset::read(text, usize::MAX) else {
        return false;
    };
    let general = general::read(text, ParserSettings::default().max_document);
    let general = general.map(|node| node.to_value().to_string());
    assert_eq!(general.ok(), Some(node.to_value().to_string()), "{text}");
    true
}

#[test]
fn what_documents_consist_of_is_read_in_one_pass() {
    for text in [
        // Collections.
        "a: 1\nb:\n  c: x\n  d:\n    - 1\n    - e: 2\n      f: 3\n    -\n      g: 4\nh:\n- i\n- - j\n  - k\n- l: m\n",
        "---\na:\n\n  # comment\n  b: 1 # comment\n# comment\nc: # comment\n  d: 2\ne:\nf: g#h\n",
        "- a\n- b: c\n",
        "a: []\nb: {}\nc: [x, 'y', \"z\", 1, [true], {k: v}]\nd: {a: 1, 'b': [], \"c\": {}}\n",
        "a: [\n  x,\n\n  y,\n]\nb: {\n  \"c\": 1,\n  d: [2,\n    3]\n}\n",
        // Plain scalars.
        "a: true\nb: False\nc: null\nd: ~\ne: no\nf: on\ng: nullable\nh: Infinity\ni: -Infinity\n",
        "a: 0\nb: -7\nc: 1.5\nd: 1e3\ne: 007\nf: -0\ng: .5\nh: 1.\ni: +4\n",
        "a: 18446744073709551615\nb: 18446744073709551616\nc: -9223372036854775809\n",
        "a: 2020-01-01\nb: 1.2.3\nc: 12:30:00\nd: 1 2\ne: -x\nf: http://a.test/b?c#d\n",
        "a: some [text], {with} 'marks' & \"quotes\"\nb: é — ü\n",
        "a: one\n  two\n\n\n  three # comment\nb:\n  four\n   -five:six\n",
        "200: a\n404: b\n2XX: c\n'500': d\n\"x y\": e\nf g : h\n7d: i\n",
        // Quoted scalars.
        "a: 'it''s'\nb: \"a\\n\\t\\\"\\\\\\/\\u00e9\\x41\\U0001F600\"\nc: ''\nd: \"\"\n",
        "a: 'one\n  two \n\n  three'\nb: \"one \\\n    two\\\n\n    \\ three\n  four\"\n",
        // Block scalars.
        "a: |\n  one\n    two\n\n  three\nb: |-\n  four\n\n\nc: |+\n  five\n\nd: 1\n",
        "a: >\n  one\n  two\n\n  three\n    four\n  five\n\nb: >-\n\n  six\n  # no comment\nc: >+\n  seven\n\n",
        "a: | # comment\n    one\n  # comment\nb:\n  - |\n    two: 2\n  - >-\n   three\nc: |\nd: |\n  x\ty\n     \n   \n",
    ] {
        assert!(taken(text), "{text}");
    }
}

#[test]
fn the_rest_is_left_to_the_general_reader() {
    let deep = format!("{}x", "- ".repeat(101));
    let wide = format!("{}: x", "k".repeat(1025));
    for text in [
        "",
        "x",
        "'x'",
        "%YAML 1.2\n---\na: 1\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\n...\n",
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "? a\n: b\n",
        "a: {b: 1}\nc:\n  <<: {d: 2}\n",
        "a: 1\r\nb: 2\r\n",
        "a:\t1\n",
        "a: b\tc\n",
        "a: |2\n    x\n",
        "a: |\n  no end of line",
        "a: 1\nb: 2\na: 3\n",
        "1: a\n0x1: b\n",
        "null: a\n",
        "a: 0x1F\nb: 1\n",
        "a: 1_000\n",
        "a: .inf\n",
        "a: 1e999\n",
        "a: \u{85}\n",
        "a: \"\\ud83d\\ude00\"\n",
        "a: b: c\n",
        "a: 1\n  b: 2\n",
        "a:\n    b: 1\n  c: 2\n",
        "a:\n  - b\n  c: 1\n",
        "a: - b\n",
        "a: [b\nc: d\n",
        "a: [b: c]\n",
        "a: {b}\n",
        "a: 'b\nc'\n",
        "a: 'b' c\n",
        "a: @b\n",
        "a: |\n    \n  b\n",
        "  ---\na: 1\n",
        &deep,
        &wide,
    ] {
        assert!(!taken(text), "{text}");
    }
}

#[test]
fn a_document_with_too_many_nodes_is_not_read_in_one_pass() {
    let text = "- [1, 2]\n- {a: 3}\n";
    assert!(subset::read(text, 9).is_some());
    assert!(subset::read(text, 5).is_none());
}

#[test]
fn every_example_is_read_in_one_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/specs");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            assert!(taken(&std::fs::read_to_string(&path).unwrap()), "{path:?}");
            read += 1;
        }
    }
    assert!(read > 3, "{read}");
}
