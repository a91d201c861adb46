//! What a text's words are, for finding tools.

/// The words of a text: runs of letters and of digits, in lower case and without the ending of an
/// English plural. `listBooks`, `list_books` and `List books` are the same two. In scripts that put
/// no space between words each sign is one.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(char::is_alphanumeric)?;
        rest = rest.get(start..)?;
        let (word, after) = rest.split_at(end(rest));
        rest = after;
        Some(singular(word.to_lowercase()))
    })
}

/// Where the word ends that a text begins with.
fn end(text: &str) -> usize {
    let mut signs = text.char_indices().peekable();
    let Some((_, first)) = signs.next() else {
        return 0;
    };
    let mut before = first;
    while let Some((at, sign)) = signs.next() {
        let next = signs.peek().map(|(_, next)| *next);
        if is_whole_word(before) || ends_between(before, sign, next) {
            return at;
        }
        before = sign;
    }
    text.len()
}

/// Whether a word ends before `sign`.
fn ends_between(before: char, sign: char, next: Option<char>) -> bool {
    if !sign.is_alphanumeric() || is_whole_word(sign) || before.is_numeric() != sign.is_numeric() {
        return true;
    }
    let capital = sign.is_uppercase();
    // `getBook`, and `HTTPServer` before its `S`.
    (capital && before.is_lowercase())
        || (capital && before.is_uppercase() && next.is_some_and(char::is_lowercase))
}

/// Chinese, Japanese and Korean signs.
fn is_whole_word(sign: char) -> bool {
    matches!(sign, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3134f}')
}

fn singular(mut word: String) -> String {
    let keeps = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    if word.len() <= 3 || !word.ends_with('s') || keeps {
        return word;
    }
    word.pop();
    if word.ends_with("ie") {
        word.truncate(word.len() - 2);
        word.push('y');
    } else if ["sse", "xe", "che", "she"]
        .iter()
        .any(|end| word.ends_with(end))
    {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sentences_have_the_same_words() {
        for (text, expected) in [
            ("listBooks", "list book"),
            ("list_books-2", "list book 2"),
            ("HTTPServer getURL", "http server get url"),
            (
                "The categories' boxes, addresses!",
                "the category box address",
            ),
            ("status of this bus", "status of this bus"),
            ("v2Users", "v 2 user"),
            ("Öffnungszeiten für Läden", "öffnungszeiten für läden"),
            ("図書館 book", "図 書 館 book"),
            ("…", ""),
        ] {
            let found: Vec<_> = words(text).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text: String) {
            for word in words(&text) {
                proptest::prop_assert!(!word.is_empty());
            }
        }
    }
}
