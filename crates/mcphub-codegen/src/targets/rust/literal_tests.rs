use proptest::prelude::*;

use super::*;

#[test]
fn literals_look_as_people_write_them() {
    for (text, literal) in [
        ("plain it's", r#""plain it's""#),
        (r#"say "hi""#, r#""say \"hi\"""#),
        ("a\nb\tc\\ {x}", r#""a\nb\tc\\ {x}""#),
        ("größe 東京", r#""größe 東京""#),
        (
            "\0\u{85}\u{2028}\u{202e}\u{e0001}",
            r#""\u{0}\u{85}\u{2028}\u{202e}\u{e0001}""#,
        ),
    ] {
        assert_eq!(rust_literal(text), literal);
    }
}

#[test]
fn long_text_is_a_line_of_the_literal_for_each() {
    let text = format!("{}\n short", "word ".repeat(40));
    let code = rust_text("description:", &text, 8);
    assert!(
        code.lines().count() > 3 && code.lines().all(|line| line.chars().count() <= LINE),
        "{code}"
    );
    assert!(code.ends_with("\\x20short\""), "{code}");
}

#[test]
fn calls_are_broken_as_rustfmt_does() {
    let how = || Expression::from("style::form()").link("explode(false)");
    assert_eq!(
        rust_call("f", &["1".into(), how()], "?;", 8),
        "f(1, style::form().explode(false))?;"
    );
    let long = how().link(format!("argument(\"{}\")", "x".repeat(30)));
    assert_eq!(
        rust_call("f", &["1".into(), long], "?;", 8),
        format!(
            "f(\n            1,\n            style::form()\n                .explode(false)\n                .argument(\"{}\"),\n        )?;",
            "x".repeat(30)
        )
    );
    let tiny = vec!["ab"; 20];
    let array = rust_array("x(", &tiny, ");", 8);
    assert!(
        array.lines().count() == 4 && array.lines().all(|line| line.len() <= LINE),
        "{array}"
    );
}

proptest! {
    /// The value of a literal, read as The Rust Reference says.
    #[test]
    fn every_text_is_read_back(text in prop_oneof![any::<String>(), "[\\PC \n\"'\\\\{}/]{0,200}"]) {
        for code in [rust_literal(&text), rust_text("", &text, 8).trim_start().to_owned()] {
            prop_assert_eq!(read_back(&code), Some(text.clone()), "{}", code);
        }
    }
}

/// The value of one string literal; `None` for anything else.
fn read_back(code: &str) -> Option<String> {
    let mut chars = code.strip_prefix('"')?.chars().peekable();
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\n' | '\r' => return None,
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'x' => text.push(hex(&chars.by_ref().take(2).collect::<String>())?),
                'u' => {
                    chars.next_if_eq(&'{')?;
                    let digits: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    text.push(hex(&digits)?);
                }
                '\n' => while chars.next_if(|c| " \n\r\t".contains(*c)).is_some() {},
                c if matches!(c, '"' | '\\') => text.push(c),
                _ => return None,
            },
            c => text.push(c),
        }
    }
}

fn hex(digits: &str) -> Option<char> {
    u32::from_str_radix(digits, 16)
        .ok()
        .and_then(char::from_u32)
}
