//! How many bytes values have as compact JSON, without writing them.

use serde_json::{Number, Value};

/// The brackets and commas around `count` items.
pub(crate) fn framed(count: usize) -> usize {
    2 + count.saturating_sub(1)
}

/// The bytes of any value as compact JSON.
pub(crate) fn value(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(flag) => {
            if *flag {
                4
            } else {
                5
            }
        }
        Value::Number(one) => number(one),
        Value::String(text) => string(text),
        Value::Array(items) => framed(items.len()) + items.iter().map(self::value).sum::<usize>(),
        Value::Object(members) => {
            framed(members.len())
                + members
                    .iter()
                    .map(|(key, member)| string(key) + 1 + self::value(member))
                    .sum::<usize>()
        }
    }
}

/// The bytes of a number.
pub(crate) fn number(number: &Number) -> usize {
    match number.as_u64() {
        Some(integer) => integer.checked_ilog10().unwrap_or_default() as usize + 1,
        None => number.to_string().len(),
    }
}

/// The bytes of a JSON string, quotes and escapes included.
pub(crate) fn string(text: &str) -> usize {
    // Few pieces of text have anything to escape, and all bytes of a piece are compared at once:
    // large pieces of long text, and eight bytes of what is short, as most is.
    let (large, rest) = text.as_bytes().as_chunks::<32>();
    let (small, rest) = rest.as_chunks::<8>();
    let large: usize = large.iter().map(escapes).sum();
    let small: usize = small.iter().map(escapes).sum();
    text.len() + 2 + large + small + rest.iter().map(escape).sum::<usize>()
}

/// The bytes that escapes add to a piece of text.
#[inline]
fn escapes<const N: usize>(piece: &[u8; N]) -> usize {
    // Of what has any, nearly all are quotes, backslashes and ends of lines, which cost one byte each.
    let (mut one, mut rare) = (0_u8, false);
    for byte in piece {
        let is_control = *byte < 0x20;
        let is_line = *byte == b'\n';
        one += u8::from(is_line | (*byte == b'"') | (*byte == b'\\'));
        rare |= is_control & !is_line;
    }
    if rare {
        piece.iter().map(escape).sum()
    } else {
        one.into()
    }
}

/// The bytes that an escape adds to this one.
fn escape(byte: &u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    }
}
