//! `multipart/form-data` (RFC 7578).

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Body;
use super::body::bytes;
use super::request::{header_text, is_json};
use super::style::{self, Escape};
use crate::spec::hex;
use crate::tool::{MemberBinding, PartBinding};
use crate::{Error, Result};

/// The media type of a file that says nothing else.
const ANY_FILE: &str = "application/octet-stream";

/// The parts of a form so far.
#[derive(Debug, Default)]
pub(super) struct Multipart(Vec<Part>);

#[derive(Debug)]
struct Part {
    name: String,
    filename: Option<String>,
    media_type: Option<String>,
    bytes: Vec<u8>,
}

impl Multipart {
    /// Adds an argument: one part, or one for each item of a list.
    ///
    /// # Errors
    /// `InvalidInput` when a file is not base64, or its media type cannot stand in a header.
    pub(super) fn member(&mut self, member: &MemberBinding, raw: &RawValue) -> Result<()> {
        // 3.1.1, Encoding Object: with a style of its own, `contentType` is ignored. JSON is the one
        // media type that a form takes for a style.
        match member
            .serialization
            .as_ref()
            .filter(|how| how.content.is_none())
        {
            Some(how) => {
                for (name, text) in style::pairs(&member.name, raw, how, Escape::None)? {
                    self.push(&name, text.into_bytes(), None);
                }
                Ok(())
            }
            None => self.value(&member.name, raw, member.part.as_ref()),
        }
    }

    /// Adds a value: text, an object as JSON, a list as one part for each item, nothing for `null`
    /// (OpenAPI 3.0.4, Encoding Object, `contentType`).
    pub(super) fn value(
        &mut self,
        name: &str,
        raw: &RawValue,
        part: Option<&PartBinding>,
    ) -> Result<()> {
        let media_type = part.and_then(|part| part.media_type.as_deref());
        let json = media_type.is_some_and(is_json);
        match raw.get().as_bytes().first() {
            Some(b'n') if !json => Ok(()),
            Some(b'[') if !json => {
                let items = style::items(raw)?.into_iter();
                for item in items.filter(|item| item.get() != "null") {
                    self.item(name, item, part)?;
                }
                Ok(())
            }
            _ => self.item(name, raw, part),
        }
    }

    fn item(&mut self, name: &str, raw: &RawValue, part: Option<&PartBinding>) -> Result<()> {
        let media_type = part.and_then(|part| part.media_type.clone());
        if part.is_some_and(|part| part.file) {
            return self.file(name, raw, media_type);
        }
        let nests = raw.get().starts_with(['{', '[']);
        let (text, default) = match &media_type {
            Some(media_type) if is_json(media_type) => (style::compact(raw), None),
            None if nests => (style::compact(raw), Some("application/json".to_owned())),
            _ => (style::scalar(raw)?, None),
        };
        self.push(name, text.into_bytes(), media_type.or(default));
        Ok(())
    }

    /// A file: its bytes in base64, or an object with these as `data`, and `filename` and
    /// `contentType` where they matter.
    fn file(&mut self, name: &str, raw: &RawValue, media_type: Option<String>) -> Result<()> {
        let mut part = Part {
            name: name.to_owned(),
            filename: Some(name.to_owned()),
            media_type: Some(media_type.unwrap_or_else(|| ANY_FILE.to_owned())),
            bytes: Vec::new(),
        };
        if !raw.get().starts_with('{') {
            part.bytes = bytes(raw)?;
            self.0.push(part);
            return Ok(());
        }
        let members = style::members(raw)?;
        let data = members
            .get("data")
            .ok_or_else(|| Error::invalid("a file has its bytes in base64 as `data`"))?;
        part.bytes = bytes(data)?;
        for (key, place) in [
            ("filename", &mut part.filename),
            ("contentType", &mut part.media_type),
        ] {
            if let Some(raw) = members.get(key).filter(|raw| raw.get() != "null") {
                *place = Some(style::scalar(raw)?);
            }
        }
        header_text(part.media_type.as_deref().unwrap_or_default())?;
        self.0.push(part);
        Ok(())
    }

    fn push(&mut self, name: &str, bytes: Vec<u8>, media_type: Option<String>) {
        self.0.push(Part {
            name: name.to_owned(),
            filename: None,
            media_type,
            bytes,
        });
    }

    /// The body. Its boundary is made of a digest of the parts, which no part can hold, so that the
    /// same arguments are the same bytes.
    pub(super) fn finish(self, media_type: &str) -> Body {
        let heads: Vec<String> = self.0.iter().map(Part::head).collect();
        let mut digest = Sha256::new();
        for (part, head) in self.0.iter().zip(&heads) {
            digest.update(head);
            digest.update(&part.bytes);
        }
        let mut boundary = hex(&digest.finalize());
        boundary.truncate(32);
        let mut out = Vec::new();
        for (part, head) in self.0.iter().zip(heads) {
            out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
            out.extend_from_slice(&part.bytes);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Body {
            media_type: format!("{media_type}; boundary={boundary}"),
            bytes: out.into(),
        }
    }
}

impl Part {
    fn head(&self) -> String {
        let mut head = format!(
            "Content-Disposition: form-data; name=\"{}\"",
            quoted(&self.name)
        );
        if let Some(filename) = &self.filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
        }
        head.push_str("\r\n");
        if let Some(media_type) = &self.media_type {
            head.push_str(&format!("Content-Type: {media_type}\r\n"));
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

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
