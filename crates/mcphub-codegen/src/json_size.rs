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
    // Few pieces of text have anything to escape, and all bytes of a piece are compared at once.
    const PIECE: usize = 32;
    let escapes = text.as_bytes().chunks(PIECE).map(|piece| {
        let plain = |plain, byte: &u8| plain & (*byte >= 0x20) & (*byte != b'"') & (*byte != b'\\');
        if piece.iter().fold(true, plain) {
            0
        } else {
            piece.iter().map(escape).sum::<usize>()
        }
    });
    text.len() + 2 + escapes.sum::<usize>()
}

/// The bytes that an escape adds to this one.
fn escape(byte: &u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    }
}
