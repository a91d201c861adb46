use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

#[test]
fn literals_look_as_people_write_them() {
    for (text, literal) in [
        ("plain", r#""plain""#),
        ("it's", r#""it's""#),
        (r#"say "hi""#, r#"'say "hi"'"#),
        (r#"both ' and ""#, r#""both ' and \"""#),
        ("a\nb\tc\\", r#""a\nb\tc\\""#),
        ("größe 東京", r#""größe 東京""#),
        (
            "\0\u{85}\u{2028}\u{202e}\u{e0001}",
            r#""\x00\x85\u2028\u202e\U000e0001""#,
        ),
    ] {
        assert_eq!(python_literal(text), literal);
    }
}

#[test]
fn json_is_written_as_python() {
    let value = serde_json::json!({"a": [null, true, false, 1, 1.5, "it's"], "b\"": {}});
    assert_eq!(
        python_value(&value),
        r#"{"a": [None, True, False, 1, 1.5, "it's"], 'b"': {}}"#
    );
}

#[test]
fn long_text_is_one_literal_a_line() {
    let text = format!("{}\nshort", "word ".repeat(40));
    let lines: Vec<_> = python_text(&text, 4, 12)
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        (
            lines.first().unwrap().as_str(),
            lines.last().unwrap().as_str()
        ),
        ("(", "    )")
    );
    assert!(
        lines.len() > 4 && lines.iter().all(|line| line.chars().count() <= LINE),
        "{lines:#?}"
    );
}

/// Python reads back every text, from each form of it. One process for all of them.
#[test]
fn python_reads_every_literal_back() {
    let mut texts: Vec<String> = [
        "", "\"", "'", "\\", "\"\"\"", "'''", "\\\"\"\"", "\n", "\r\n", "\u{2028}", "{x}", "%s",
        "\u{feff}", "#",
    ]
    .map(str::to_owned)
    .into();
    texts.extend(
        (0..0x300_u32)
            .chain(0xd700..0xe100)
            .filter_map(char::from_u32)
            .map(String::from),
    );
    texts.push("x ".repeat(500));
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let nasty = prop::sample::select(vec![
        "\"", "'", "\\", "\n", "\r", "\0", " ", "u{", "\u{2029}", "N{DASH}", "\t",
    ]);
    let strategies: [BoxedStrategy<String>; 3] = [
        any::<String>().boxed(),
        prop::collection::vec(nasty.prop_map(str::to_owned), 0..20)
            .prop_map(|parts| parts.concat())
            .boxed(),
        "[\\PC\n\"'\\\\]{0,300}".boxed(),
    ];
    for strategy in strategies {
        for _ in 0..2_000 {
            texts.push(strategy.new_tree(&mut runner).unwrap().current());
        }
    }
    let rows: Vec<_> = texts
        .iter()
        .map(|text| {
            (
                text,
                python_literal(text),
                docstring(text),
                python_text(text, 4, 20),
            )
        })
        .collect();
    assert!(
        rows.iter()
            .all(|(_, literal, doc, _)| !format!("{literal}{doc}").contains(['\n', '\r', '\0']))
    );

    let script = "import ast, json, sys
for text, *forms in json.load(sys.stdin):
    for form in forms:
        tree = ast.parse('x = ' + form)
        assert len(tree.body) == 1 and ast.literal_eval(tree.body[0].value) == text, (text, form)
print('read')";
    let mut python = Command::new("python3")
        .args(["-X", "utf8", "-W", "error", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3");
    let mut input = python.stdin.take().unwrap();
    input
        .write_all(&serde_json::to_vec(&rows).unwrap())
        .unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "read");
}
