//! The scalars of YAML: where they end, how their lines fold, and what a plain one says.

use std::borrow::Cow;

use serde_json::Number;

use super::super::node::Node;
use super::borrowed;
use super::subset::Reader;

/// What a plain scalar on one line says (YAML 1.2.2, 10.3.2), as the general reader takes it. `None`
/// is for that reader.
pub(super) fn resolve(text: &str) -> Option<Node<'_>> {
    let node = match text.as_bytes().first()? {
        b'0'..=b'9' | b'-' | b'+' | b'.' => return numeric(text),
        b't' | b'T' if text.eq_ignore_ascii_case("true") => Node::Bool(true),
        b'f' | b'F' if text.eq_ignore_ascii_case("false") => Node::Bool(false),
        b'n' | b'N' | b'~' if is_null(text) => Node::Null,
        _ => Node::String(borrowed(text)),
    };
    Some(node)
}

/// The name that a plain key is. Null, a merge key, and integers that can be written in another
/// way are for the general reader.
pub(super) fn key(text: &str) -> Option<Cow<'_, str>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_integer = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let is_plain =
        unsigned == text && !text.contains('_') && (text == "0" || !text.starts_with('0'));
    let is_odd = is_prefixed(unsigned) || is_integer(unsigned) && !is_plain || text.contains('\t');
    (!is_null(text) && text != "<<" && !is_odd).then(|| borrowed(text))
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null")
}

/// Whether this begins as an integer in another base does.
fn is_prefixed(unsigned: &str) -> bool {
    matches!(
        unsigned.as_bytes(),
        [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]
    )
}

/// What begins as numbers do.
fn numeric(text: &str) -> Option<Node<'_>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.bytes().filter(u8::is_ascii_digit).count();
    if digits == unsigned.len() && (digits == 1 || !unsigned.starts_with('0')) {
        let integer = match text.starts_with('-') {
            true => text.parse::<i64>().ok().map(Number::from),
            false => unsigned.parse::<u64>().ok().map(Number::from),
        };
        if let Some(integer) = integer {
            return Some(Node::Number(integer));
        }
    }
    let is_special = |word: &str| unsigned.eq_ignore_ascii_case(word);
    let is_grouped =
        unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'_') && unsigned.contains('_');
    if is_prefixed(unsigned) || is_grouped || is_special(".inf") || is_special(".nan") {
        return None;
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Number::from_f64(number).map(Node::Number),
        Ok(_) if unsigned.starts_with(|first: char| first.is_ascii_digit()) => None,
        _ => Some(Node::String(borrowed(text))),
    }
}

impl<'d> Reader<'d> {
    /// Whether a plain scalar can begin here (YAML 1.2.2, 7.3.3), with less than is allowed.
    pub(super) fn is_plain(&self) -> bool {
        match self.peek() {
            Some(b'-') => matches!(
                self.bytes.get(self.at + 1),
                Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.')
            ),
            Some(byte) => !b" \t\n?:,[]{}#&*!|>'\"%@`".contains(&byte),
            None => false,
        }
    }

    /// Plain text up to the end of the line, a comment, or a colon that ends a key.
    pub(super) fn plain_line(&mut self) -> &'d str {
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += memchr::memchr3(b':', b'#', b'\n', rest).unwrap_or(rest.len());
            match self.peek() {
                Some(b':') if !self.ends_token(self.at + 1) => self.at += 1,
                Some(b'#') if self.bytes.get(self.at - 1) != Some(&b' ') => self.at += 1,
                _ => break,
            }
        }
        self.slice(start, self.at).trim_end_matches(' ')
    }

    /// A plain scalar, which goes on below where lines are deeper than `parent`.
    pub(super) fn plain(&mut self, parent: usize) -> Option<Node<'d>> {
        if !self.is_plain() {
            return None;
        }
        let first = self.plain_part()?;
        let Some(mut breaks) = self.continuation(parent, true) else {
            return resolve(first);
        };
        let mut text = first.to_owned();
        loop {
            fold(&mut text, breaks);
            text.push_str(self.plain_part()?);
            match self.continuation(parent, true) {
                Some(more) => breaks = more,
                None => return Some(Node::String(Cow::Owned(text))),
            }
        }
    }

    /// One line of a plain scalar.
    fn plain_part(&mut self) -> Option<&'d str> {
        let text = self.plain_line();
        (self.peek() != Some(b':') && !text.contains('\t')).then_some(text)
    }

    /// A plain scalar in a flow collection, on one line.
    pub(super) fn flow_plain(&mut self) -> Option<&'d str> {
        if !self.is_plain() {
            return None;
        }
        let start = self.at;
        while let Some(byte) = self.peek() {
            let is_end = match byte {
                b',' | b'[' | b']' | b'{' | b'}' | b'\n' => true,
                b':' => matches!(
                    self.bytes.get(self.at + 1)?,
                    b' ' | b'\n' | b',' | b'[' | b']' | b'{' | b'}'
                ),
                b'\t' | b'#' => return None,
                _ => false,
            };
            if is_end {
                break;
            }
            self.at += 1;
        }
        Some(self.slice(start, self.at).trim_end_matches(' '))
    }

    /// A quoted scalar, which goes on below where lines are deeper than `parent`.
    pub(super) fn quoted(&mut self, parent: Option<usize>) -> Option<Cow<'d, str>> {
        let quote = self.peek()?;
        let escape = if quote == b'"' { b'\\' } else { quote };
        let mut text: Option<String> = None;
        self.at += 1;
        loop {
            let start = self.at;
            let found = memchr::memchr3(quote, escape, b'\n', self.bytes.get(start..)?)?;
            self.at += found;
            let part = self.slice(start, self.at);
            if part.contains('\t') {
                return None;
            }
            match (self.peek()?, self.bytes.get(self.at + 1)) {
                (b'\n', _) => {
                    let text = text.get_or_insert_default();
                    text.push_str(part.trim_end_matches(' '));
                    fold(text, self.continuation(parent?, false)?);
                }
                (b'\\', Some(b'\n')) if quote == b'"' => {
                    self.at += 1;
                    let breaks = self.continuation(parent?, false)?;
                    let text = text.get_or_insert_default();
                    text.push_str(part);
                    text.extend(std::iter::repeat_n('\n', breaks - 1));
                }
                (b'\\', Some(letter)) if quote == b'"' => {
                    self.at += 2;
                    let char = self.escaped(*letter)?;
                    let text = text.get_or_insert_default();
                    text.push_str(part);
                    text.push(char);
                }
                (_, Some(b'\'')) if quote == b'\'' => {
                    self.at += 2;
                    let text = text.get_or_insert_default();
                    text.push_str(part);
                    text.push('\'');
                }
                _ => {
                    self.at += 1;
                    return Some(match text {
                        Some(text) => Cow::Owned(text + part),
                        None => borrowed(part),
                    });
                }
            }
        }
    }

    /// The character of an escape whose letter was read (YAML 1.2.2, 5.7).
    fn escaped(&mut self, letter: u8) -> Option<char> {
        let digits = match letter {
            b'n' => return Some('\n'),
            b't' => return Some('\t'),
            b'r' => return Some('\r'),
            b'"' | b'\\' | b'/' | b' ' => return Some(letter.into()),
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => return None,
        };
        let code = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        let is_code = code.bytes().all(|byte| byte.is_ascii_hexdigit());
        char::from_u32(u32::from_str_radix(code, 16).ok()?).filter(|_| is_code)
    }

    /// Goes to the next line of a scalar, if it has one: how many lines have ended. A comment ends
    /// what is plain.
    fn continuation(&mut self, parent: usize, plain: bool) -> Option<usize> {
        let start = self.at;
        let mut breaks = 0;
        while self.peek() == Some(b'\n') {
            breaks += 1;
            self.at += 1;
            let line = self.at;
            self.skip_spaces();
            let is_content = match self.peek() {
                Some(b'\n') => continue,
                Some(b'#') => !plain,
                Some(_) => true,
                None => false,
            };
            if is_content && self.at - line > parent {
                return Some(breaks);
            }
            break;
        }
        self.at = start;
        None
    }

    /// A literal or folded scalar, to the beginning of the line after it (YAML 1.2.2, 8.1).
    pub(super) fn block_scalar(&mut self, parent: usize) -> Option<String> {
        let folds = self.peek()? == b'>';
        self.at += 1;
        let chomping = self.peek()?;
        if matches!(chomping, b'-' | b'+') {
            self.at += 1;
        }
        let header = self.at;
        self.skip_spaces();
        match self.peek()? {
            b'\n' => {}
            b'#' if self.at > header => {}
            _ => return None,
        }
        self.skip_line();
        let mut text = String::new();
        let mut indent = None;
        // Lines that have ended since the last content, and whether that began with space.
        let (mut breaks, mut was_spaced) = (0, true);
        // The longest line of spaces before the first content.
        let mut widest = 0;
        loop {
            let line = self.at;
            self.skip_spaces();
            let spaces = self.at - line;
            match (self.peek(), indent) {
                (None, _) if spaces == 0 => break,
                (None, _) => return None,
                (Some(b'\n'), _) if indent.is_none_or(|indent| spaces <= indent) => {
                    widest = widest.max(spaces);
                    breaks += 1;
                    self.at += 1;
                    continue;
                }
                (Some(b'\t'), None) => return None,
                (Some(b'\t'), Some(indent)) if spaces < indent => return None,
                (Some(_), Some(indent)) if spaces < indent => {
                    self.at = line;
                    break;
                }
                (Some(_), None) if spaces <= parent => {
                    self.at = line;
                    break;
                }
                (Some(_), None) if widest > spaces => return None,
                _ => {}
            }
            let is_first = indent.is_none();
            let start = line + *indent.get_or_insert(spaces);
            let rest = self.bytes.get(start..)?;
            let end = start + memchr::memchr(b'\n', rest)?;
            let content = self.slice(start, end);
            let is_spaced = content.starts_with([' ', '\t']);
            if folds && !is_first && !was_spaced && !is_spaced {
                fold(&mut text, breaks);
            } else {
                text.extend(std::iter::repeat_n('\n', breaks));
            }
            text.push_str(content);
            self.at = end + 1;
            (breaks, was_spaced) = (1, is_spaced);
        }
        let kept = match chomping {
            b'-' => 0,
            b'+' => breaks,
            _ => breaks.min(usize::from(indent.is_some())),
        };
        text.extend(std::iter::repeat_n('\n', kept));
        Some(text)
    }

    fn slice(&self, start: usize, end: usize) -> &'d str {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Joins lines (YAML 1.2.2, 6.5): one that ends becomes a space, of more the first goes.
fn fold(text: &mut String, breaks: usize) {
    if breaks == 1 {
        text.push(' ');
    }
    text.extend(std::iter::repeat_n('\n', breaks - 1));
}
