//! Regular expressions that are known to be some by their look.
//!
//! Most that documents have are like `^[a-z0-9_-]{1,64}$`. To compile one takes longer than to read
//! the schema that it stands in.

/// How many pieces an expression may have, each as often as it is repeated. More might be too large
/// to those who compile it.
const MAX_PIECES: usize = 500;

/// How deep groups nest.
const MAX_DEPTH: usize = 8;

/// Whether a pattern has only what every engine reads alike: plain characters, classes, groups,
/// alternatives, repetitions, looks ahead and anchors. `false` for what has to be tried.
pub(super) fn is_plain(pattern: &str) -> bool {
    let mut reader = Reader(pattern.as_bytes());
    reader.expression(MAX_DEPTH).is_some() && reader.0.is_empty()
}

struct Reader<'p>(&'p [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, prefix: &[u8]) -> bool {
        let rest = self.0.strip_prefix(prefix);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Up to the end, or the end of a group; how many pieces it has.
    fn expression(&mut self, depth: usize) -> Option<usize> {
        let depth = depth.checked_sub(1)?;
        let mut pieces = 0;
        while !matches!(self.0.first(), None | Some(b')')) {
            pieces += match self.next()? {
                b'^' | b'$' | b'|' => 1,
                b'(' => {
                    let is_look = self.take(b"?!") || self.take(b"?=");
                    let _ = is_look || self.take(b"?:");
                    let inner = self.expression(depth)?;
                    (self.next()? == b')').then_some(())?;
                    let pieces = self.repeated(inner + 1)?;
                    // A look ahead is there once.
                    (!is_look || pieces == inner + 1).then_some(pieces)?
                }
                b'[' => {
                    self.class()?;
                    self.repeated(1)?
                }
                b'\\' => {
                    self.escape()?;
                    self.repeated(1)?
                }
                b'.' => self.repeated(1)?,
                byte if is_literal(byte) => self.repeated(1)?,
                _ => return None,
            };
            (pieces <= MAX_PIECES).then_some(())?;
        }
        Some(pieces)
    }

    /// How many pieces there are with the repetition that follows.
    fn repeated(&mut self, pieces: usize) -> Option<usize> {
        let times = match self.0.first() {
            Some(b'*' | b'+' | b'?') => {
                self.next();
                2
            }
            Some(b'{') => {
                self.next();
                let least = self.number()?;
                let most = match self.take(b",") {
                    true if self.0.first() == Some(&b'}') => least + 1,
                    true => self.number()?,
                    false => least,
                };
                (self.next()? == b'}' && least <= most && most > 0).then_some(most)?
            }
            _ => 1,
        };
        // One repetition of another means different things.
        let again = matches!(self.0.first(), Some(b'*' | b'+' | b'?' | b'{'));
        (!again).then_some(pieces * times)
    }

    /// A number of at most three digits.
    fn number(&mut self) -> Option<usize> {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let legal = (1..=3).contains(&count);
        std::str::from_utf8(digits)
            .ok()?
            .parse()
            .ok()
            .filter(|_| legal)
    }

    /// The rest of a class: what it has, ranges of letters and of digits, `-` at its end.
    fn class(&mut self) -> Option<()> {
        self.take(b"^");
        let mut is_empty = true;
        loop {
            match self.next()? {
                b']' if !is_empty => return Some(()),
                b'-' => {
                    (self.next()? == b']' && !is_empty).then_some(())?;
                    return Some(());
                }
                b'\\' => self.escape()?,
                first if first.is_ascii_alphanumeric() => {
                    if self.0.first() == Some(&b'-') && self.0.get(1) != Some(&b']') {
                        self.next();
                        let last = self.next()?;
                        let is_kind = |kind: fn(&u8) -> bool| kind(&first) && kind(&last);
                        let alike = is_kind(u8::is_ascii_digit)
                            || is_kind(u8::is_ascii_lowercase)
                            || is_kind(u8::is_ascii_uppercase);
                        (alike && first <= last).then_some(())?;
                    }
                }
                b'.' | b'$' | b'+' | b'*' | b'?' | b'(' | b')' => {}
                byte if is_literal(byte) && !matches!(byte, b'&' | b'~') => {}
                _ => return None,
            }
            // What follows a class or an escape is no end of a range.
            let is_range = self.0.first() == Some(&b'-') && self.0.get(1) != Some(&b']');
            (!is_range).then_some(())?;
            is_empty = false;
        }
    }

    fn escape(&mut self) -> Option<()> {
        let known = b"dDwWsS.\\/+*?()[]{}^$|-";
        known.contains(&self.next()?).then_some(())
    }
}

/// Whether a character stands for itself wherever it is.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" _-/:;,@#%&=~\"'!<>".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::is_plain;
    use serde_json::json;

    fn compiles(pattern: &str) -> bool {
        jsonschema::validator_for(&json!({"pattern": pattern})).is_ok()
    }

    #[test]
    fn usual_patterns_are_plain() {
        for pattern in [
            "",
            "^[a-z0-9_-]{1,64}$",
            r"^\d{4}-\d{2}-\d{2}$",
            r"^(?:[A-Za-z0-9+/]{4})*(foo|bar)?$",
            r"^[^\s@]+@[^\s@]+\.[a-z]{2,}$",
            r"[\w.\-/]+",
            "^0x[0-9a-fA-F]{40}$",
            "(?:[^a]{10}){40}",
            r"\W{500}",
            "^(?![0-9]+$)(?=a)[a-z][a-z0-9-]*$",
        ] {
            assert!(is_plain(pattern), "{pattern}");
            assert!(compiles(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_may_be_none_has_to_be_tried() {
        for pattern in [
            "(",
            ")",
            "[",
            "[]",
            "[^]",
            "[z-a]",
            "[a-Z]",
            "[a",
            "a**",
            "*a",
            "a{2,1}",
            "a{1",
            "{1}",
            "(?<=a)",
            "(?=a)*",
            "(?<n>a)",
            r"\1",
            r"\p{L}",
            r"\x",
            r"\",
            "[a-z&&b]",
            "[[:alpha:]]",
            r"[\w-z]",
            "a{1000}",
            "(a{100}){100}",
            "ä",
        ] {
            assert!(!is_plain(pattern), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn plain_ones_compile(pattern in r"([a-z0-9.^$|()]|\(\?[:!=]|\[\^?|[\]\-{},*+?&~ /:]|\\[dDwWsS.\\/+*?()\[\]{}^$|-]|\{[0-9]{1,2},?[0-9]?\}){0,16}") {
            proptest::prop_assert!(!is_plain(&pattern) || compiles(&pattern), "{}", pattern);
        }
    }
}
