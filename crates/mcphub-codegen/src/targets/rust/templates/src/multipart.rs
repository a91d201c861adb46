//! Bodies of parts (RFC 7578; RFC 2046, 5.1), and bytes in base64.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::request::Part;
use crate::serialization::{self, Escape, Result, header_text, is_json};
use crate::style::How;

/// RFC 4648, 4; padding may be left out, as people do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// The media type of a file that says nothing else.
const ANY_FILE: &str = "application/octet-stream";

/// The bytes of an argument in base64.
pub(crate) fn bytes(value: &Value) -> Result<Vec<u8>> {
    let expected = "must be the bytes in base64 (RFC 4648, 4)";
    let mut text = value.as_str().ok_or(expected)?.to_owned();
    text.retain(|character| !character.is_ascii_whitespace());
    let decoded = BASE64.decode(text.trim_end_matches('='));
    decoded.map_err(|_| expected.into())
}

/// The parts of a body so far.
#[derive(Debug, Default)]
pub(crate) struct Multipart(Vec<Sent>);

#[derive(Debug)]
struct Sent {
    /// The value of `Content-Disposition`.
    disposition: Option<String>,
    media_type: Option<String>,
    headers: Vec<(String, String)>,
    bytes: Vec<u8>,
}

impl Multipart {
    /// How many parts there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds a value with a style, which is text without a media type (OpenAPI 3.1.1, Encoding
    /// Object).
    pub(crate) fn styled(&mut self, name: &str, value: &Value, how: &How) -> Result<()> {
        for (name, text) in serialization::pairs(name, value, how, Escape::None)? {
            self.push(Some(&name), text.into_bytes(), None);
        }
        Ok(())
    }

    /// Adds a value: text, an object as JSON, a list as one part for each item, nothing for `null`
    /// (OpenAPI 3.0.4, Encoding Object, `contentType`).
    pub(crate) fn value(&mut self, name: &str, value: &Value, part: &Part) -> Result<()> {
        let json = part.media_type.is_some_and(is_json);
        match value {
            Value::Null if !json => Ok(()),
            Value::Array(items) if !json => {
                let mut items = items.iter().filter(|item| !item.is_null());
                items.try_for_each(|item| self.item(Some(name), item, part))
            }
            other => self.item(Some(name), other, part),
        }
    }

    /// Adds an item of a list, which has no name; `null` is left out, but for JSON.
    pub(crate) fn next(&mut self, value: &Value, part: &Part) -> Result<()> {
        if value.is_null() && !part.media_type.is_some_and(is_json) {
            return Ok(());
        }
        self.item(None, value, part)
    }

    /// Adds a header to the parts from `first` on.
    pub(crate) fn describe(&mut self, first: usize, name: &str, text: &str) {
        for part in self.0.iter_mut().skip(first) {
            if name.eq_ignore_ascii_case("content-disposition") {
                part.disposition = Some(text.to_owned());
            } else {
                part.headers.push((name.to_owned(), text.to_owned()));
            }
        }
    }

    fn item(&mut self, name: Option<&str>, value: &Value, part: &Part) -> Result<()> {
        if part.file {
            return self.file(name, value, part.media_type.unwrap_or(ANY_FILE));
        }
        let (text, media_type) = match part.media_type {
            Some(media_type) => (serialization::content(media_type, value)?, Some(media_type)),
            None if value.is_object() || value.is_array() => {
                (value.to_string(), Some("application/json"))
            }
            None => (serialization::scalar(value)?, None),
        };
        self.push(name, text.into_bytes(), media_type.map(str::to_owned));
        Ok(())
    }

    /// A file: its bytes in base64, or an object with these as `data`, and `filename` and
    /// `contentType` where they matter. A field has a file name in any case.
    fn file(&mut self, name: Option<&str>, value: &Value, media_type: &str) -> Result<()> {
        let data = match value.as_object() {
            Some(members) => members
                .get("data")
                .ok_or("a file has its bytes in base64 as `data`")?,
            None => value,
        };
        let member = |key: &str| {
            let member = value.get(key).filter(|member| !member.is_null());
            member.map(serialization::scalar).transpose()
        };
        let media_type = member("contentType")?.unwrap_or_else(|| media_type.to_owned());
        header_text(&media_type)?;
        let filename = member("filename")?.or_else(|| name.map(str::to_owned));
        self.push(name, bytes(data)?, Some(media_type));
        if let (Some(filename), Some(sent)) = (filename, self.0.last_mut()) {
            let disposition = sent.disposition.as_deref().unwrap_or("attachment");
            let filename = quoted(&filename);
            sent.disposition = Some(format!("{disposition}; filename=\"{filename}\""));
        }
        Ok(())
    }

    fn push(&mut self, name: Option<&str>, bytes: Vec<u8>, media_type: Option<String>) {
        self.0.push(Sent {
            disposition: name.map(|name| format!("form-data; name=\"{}\"", quoted(name))),
            media_type,
            headers: Vec::new(),
            bytes,
        });
    }

    /// The media type and the bytes. The boundary is made of a digest of the parts, which no part
    /// can hold, so that the same arguments are the same bytes.
    pub(crate) fn finish(self, media_type: &str) -> (String, Vec<u8>) {
        let heads: Vec<String> = self.0.iter().map(Sent::head).collect();
        let mut digest = Sha256::new();
        for (part, head) in self.0.iter().zip(&heads) {
            digest.update(head);
            digest.update(&part.bytes);
        }
        let digest = digest.finalize();
        let boundary: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
        let mut out = Vec::new();
        for (part, head) in self.0.iter().zip(heads) {
            out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
            out.extend_from_slice(&part.bytes);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        if media_type == "multipart/related" {
            // RFC 2387, 3.1: what is related says what its root is.
            let root = self.0.first().and_then(|part| part.media_type.as_deref());
            let root = quoted(root.unwrap_or("text/plain"));
            let media_type = format!("{media_type}; type=\"{root}\"; boundary={boundary}");
            return (media_type, out);
        }
        (format!("{media_type}; boundary={boundary}"), out)
    }
}

impl Sent {
    fn head(&self) -> String {
        let mut head = String::new();
        if let Some(disposition) = &self.disposition {
            head.push_str(&format!("Content-Disposition: {disposition}\r\n"));
        }
        if let Some(media_type) = &self.media_type {
            head.push_str(&format!("Content-Type: {media_type}\r\n"));
        }
        for (name, text) in &self.headers {
            head.push_str(&format!("{name}: {text}\r\n"));
        }
        head
    }
}

/// A name or a filename as browsers write it (WHATWG HTML, multipart/form-data encoding).
fn quoted(text: &str) -> String {
    text.replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace('"', "%22")
}
