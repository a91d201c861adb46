//! What a call gives.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use mcphub_core::call::{Content, ToolResult};
use mcphub_core::{Error, Result};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::native::Room;

/// MCP's `CallToolResult` as JSON text on one line.
#[derive(Debug, Clone)]
pub struct CallResult {
    text: Bytes,
    given: Given,
    /// Boxed, because hardly a result has any.
    trouble: Option<Box<str>>,
}

/// What a result says of itself: which members of the modern era it has (2026-07-28, Result), and
/// whether it is an error.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) result_type: bool,
    pub(crate) meta: bool,
    pub(crate) ttl: bool,
    /// Whether it says that it is an error.
    pub(crate) error: bool,
}

impl CallResult {
    /// The text of a result.
    ///
    /// # Errors
    /// `Internal` when it cannot be written, which no result of text and bytes causes.
    pub fn of(result: &ToolResult) -> Result<Self> {
        // Room for escapes, so that most results are written without moving.
        let size = result.content.iter().map(size).sum::<usize>()
            + result
                .structured_content
                .as_ref()
                .map_or(0, |raw| raw.get().len());
        let mut text = Vec::with_capacity(size + size / 8 + 128);
        serde_json::to_writer(&mut text, result)
            .map_err(|error| Error::internal("a result cannot be written").caused_by(error))?;
        Ok(Self {
            text: text.into(),
            given: Given {
                error: result.is_error,
                ..Given::default()
            },
            trouble: None,
        })
    }

    /// As [`CallResult::of`], of one text, which is a JSON object on one line where it is `structured`
    /// as well. It is read once and written to its place.
    pub(super) fn of_text(text: &str, structured: bool) -> Self {
        let escapes = text.len() / 4;
        let twice = if structured { text.len() } else { 0 };
        let mut out = Vec::with_capacity(text.len() + escapes + twice + 128);
        out.extend_from_slice(br#"{"content":[{"type":"text","text":""#);
        escape(text.as_bytes(), &mut out);
        out.extend_from_slice(br#""}]"#);
        if structured {
            out.extend_from_slice(br#","structuredContent":"#);
            out.extend_from_slice(text.as_bytes());
        }
        out.push(b'}');
        Self {
            text: out.into(),
            given: Given::default(),
            trouble: None,
        }
    }

    /// Says that the result is an error because the server did not answer as it should, and why: of
    /// too many in a row, it is not called for a while. Default: it answered.
    #[must_use]
    pub fn troubled(self, why: Option<Box<str>>) -> Self {
        Self {
            trouble: why,
            ..self
        }
    }

    /// Why the server did not answer as it should, if it did not.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Keeps the room for this result until the last byte of its text is dropped.
    pub(super) fn holding(self, room: Room) -> Self {
        if room.is_none() {
            return self;
        }
        let text = Held {
            text: self.text,
            _room: room,
        };
        Self {
            text: Bytes::from_owner(text),
            ..self
        }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The text, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.text
    }

    /// What of the modern era it has already.
    pub(crate) fn given(&self) -> Given {
        self.given
    }
}

impl From<Box<RawValue>> for CallResult {
    fn from(result: Box<RawValue>) -> Self {
        let given = Given::of(result.get());
        Self {
            text: String::from(Box::<str>::from(result)).into(),
            given,
            trouble: None,
        }
    }
}

struct Held {
    text: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// Writes a text as the inside of a JSON string, eight bytes at once: JSON in a string has a quote in
/// every tenth byte or so, and looking for them one by one costs as much as reading the JSON.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        out.extend_from_slice(chunk);
        let special = special(u64::from_le_bytes(*chunk));
        if special == 0 {
            rest = after;
            continue;
        }
        let plain = special.trailing_zeros() as usize / 8;
        out.truncate(out.len() - (chunk.len() - plain));
        escape_byte(chunk[plain], out);
        rest = &rest[plain + 1..];
    }
    for byte in rest {
        if special(u64::from(*byte) | PLAIN) == 0 {
            out.push(*byte);
        } else {
            escape_byte(*byte, out);
        }
    }
}

const ONES: u64 = u64::MAX / 0xff;

/// Seven bytes that stand for themselves, above one that is looked at.
const PLAIN: u64 = (ONES << 8) * 0x20;

/// The highest bit of each byte that a JSON string does not hold as it is: `"`, `\` and what is below
/// a space. Above the first one there may be more than there are.
fn special(bytes: u64) -> u64 {
    let less = |bytes: u64, than: u64| bytes.wrapping_sub(ONES * than) & !bytes;
    let is = |byte: u64| less(bytes ^ (ONES * byte), 1);
    (less(bytes, 0x20) | is(b'"'.into()) | is(b'\\'.into())) & (ONES << 7)
}

/// As serde_json writes it.
#[inline(never)]
fn escape_rare(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    if byte < 0x20 {
        escape_rare(byte, out);
    } else {
        out.extend_from_slice(&[b'\\', byte]);
    }
}

fn size(content: &Content) -> usize {
    match content {
        Content::Text { text } => text.len(),
        Content::Image { data, .. } | Content::Audio { data, .. } => data.len(),
        Content::Resource { resource } => resource.blob.len(),
        _ => 0,
    }
}

impl Given {
    pub(crate) fn of(result: &str) -> Self {
        struct Scan;
        impl<'de> Visitor<'de> for Scan {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
                let mut given = Given::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    given.result_type |= key == "resultType";
                    given.meta |= key == "_meta";
                    given.ttl |= key == "ttlMs";
                    if key == "isError" {
                        given.error = map.next_value::<&RawValue>()?.get() == "true";
                        continue;
                    }
                    map.next_value::<IgnoredAny>()?;
                }
                Ok(given)
            }
        }
        let read = serde_json::Deserializer::from_str(result).deserialize_map(Scan);
        // What is no object is passed on as it is.
        read.unwrap_or(Given {
            result_type: true,
            meta: true,
            ttl: true,
            error: false,
        })
    }
}

/// The same JSON on one line. A line end in JSON is always insignificant white space: a string
/// holds it escaped.
pub(crate) fn one_line(raw: &RawValue) -> Box<RawValue> {
    // Looked for one after the other, which reads many bytes at once.
    let bytes = raw.get().as_bytes();
    if !bytes.contains(&b'\n') && !bytes.contains(&b'\r') {
        return raw.to_owned();
    }
    let text = raw.get().replace(['\n', '\r'], " ");
    RawValue::from_string(text).unwrap_or_else(|_| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given(text: &str) -> (bool, bool) {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let Given {
            result_type, meta, ..
        } = CallResult::from(raw).given();
        (result_type, meta)
    }

    #[test]
    fn it_knows_what_a_server_said_itself() {
        assert_eq!(
            given(r#"{"content":[{"resultType":1,"_meta":2}]}"#),
            (false, false)
        );
        assert_eq!(given(r#"{"_meta":{},"content":[]}"#), (false, true));
        assert_eq!(
            given(r#"{"content":[],"result\u0054ype":"complete"}"#),
            (true, false)
        );
        assert_eq!(given("[]"), (true, true));
    }

    proptest! {
        #[test]
        fn a_text_is_written_as_the_serializer_does(
            text in prop_oneof![any::<String>(), "[\"\\\\\\x00-\\x21a-c\\x5b-\\x7fü€🦀]{0,40}"],
            more in "[a\"\\\\]{0,9}",
        ) {
            let written = CallResult::of_text(&text, false);
            let expected = CallResult::of(&ToolResult::text(text.as_str())).unwrap();
            prop_assert_eq!(written.as_bytes(), expected.as_bytes());
            let object = serde_json::json!({more: text}).to_string();
            let raw = RawValue::from_string(object.clone()).unwrap();
            let mut result = ToolResult::text(object.as_str());
            result.structured_content = Some(raw);
            let (written, expected) = (CallResult::of_text(&object, true), CallResult::of(&result).unwrap());
            prop_assert_eq!(written.as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn a_result_of_ours_is_on_one_line() {
        let result = CallResult::of(&ToolResult::text("a\nb")).unwrap();
        assert_eq!(
            result.as_bytes(),
            br#"{"content":[{"type":"text","text":"a\nb"}]}"#
        );
        assert_eq!(result.given(), Given::default());
    }
}
