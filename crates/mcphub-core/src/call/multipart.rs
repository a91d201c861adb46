//! Bodies of parts: `multipart/form-data` (RFC 7578), and the other types of multipart (RFC 2046, 5.1).

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::body::bytes;
use super::request::{header_text, is_json, missing};
use super::style::{self, Escape};
use super::{Arguments, Body};
use crate::spec::{Serialization, Style, hex};
use crate::tool::{MemberBinding, PartBinding, PartListBinding};
use crate::{Error, Result};

/// The media type of a file that says nothing else.
const ANY_FILE: &str = "application/octet-stream";

/// The parts of a body so far.
#[derive(Debug)]
pub(super) struct Multipart<'a> {
    /// Where the values of headers are.
    arguments: &'a Arguments<'a>,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    /// The value of `Content-Disposition`.
    disposition: Option<String>,
    media_type: Option<String>,
    headers: Vec<(String, String)>,
    bytes: Vec<u8>,
}

/// What one value is a part of.
#[derive(Clone, Copy)]
enum Place<'n> {
    /// A field of this name (RFC 7578, 4.2).
    Field(&'n str),
    /// A list, in which order counts.
    List,
}

impl<'a> Multipart<'a> {
    pub(super) fn new(arguments: &'a Arguments<'a>) -> Self {
        Self {
            arguments,
            parts: Vec::new(),
        }
    }

    /// Adds an argument: one part, or one for each item of a list.
    ///
    /// # Errors
    /// `InvalidInput` when a file is not base64, or a header cannot hold what it is given.
    pub(super) fn member(&mut self, member: &MemberBinding, raw: &RawValue) -> Result<()> {
        let before = self.parts.len();
        // 3.1.1, Encoding Object: with a style of its own, `contentType` is ignored. JSON is the one
        // media type that a form takes for a style.
        match member
            .serialization
            .as_ref()
            .filter(|how| how.content.is_none())
        {
            Some(how) => {
                for (name, text) in style::pairs(&member.name, raw, how, Escape::None)? {
                    self.push(Place::Field(&name), text.into_owned().into_bytes(), None);
                }
            }
            None => self.value(&member.name, raw, member.part.as_ref())?,
        }
        match &member.part {
            Some(part) => self.describe(before, part),
            None => Ok(()),
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
        let place = Place::Field(name);
        match raw.get().as_bytes().first() {
            Some(b'n') if !json => Ok(()),
            Some(b'[') if !json => {
                let items = style::items(raw)?.into_iter();
                for item in items.filter(|item| item.get() != "null") {
                    self.item(place, item, part)?;
                }
                Ok(())
            }
            _ => self.item(place, raw, part),
        }
    }

    /// Adds the items of a list, each as the document says of its position (OpenAPI 3.2.0, Encoding
    /// By Position). What is `null` is left out, but for JSON.
    pub(super) fn list(&mut self, raw: &RawValue, how: Option<&PartListBinding>) -> Result<()> {
        for (at, item) in style::items(raw)?.into_iter().enumerate() {
            let part = how.map(|how| how.prefix.get(at).unwrap_or(&how.items));
            let media_type = part.and_then(|part| part.media_type.as_deref());
            if item.get() == "null" && !media_type.is_some_and(is_json) {
                continue;
            }
            let before = self.parts.len();
            self.item(Place::List, item, part)?;
            if let Some(part) = part {
                self.describe(before, part)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, place: Place<'_>, raw: &RawValue, part: Option<&PartBinding>) -> Result<()> {
        let media_type = part.and_then(|part| part.media_type.clone());
        if part.is_some_and(|part| part.file) {
            return self.file(place, raw, media_type);
        }
        let nests = raw.get().starts_with(['{', '[']);
        let (text, default) = match &media_type {
            Some(media_type) if is_json(media_type) => (style::compact(raw), None),
            None if nests => (style::compact(raw), Some("application/json".to_owned())),
            _ => (style::scalar(raw)?.into_owned(), None),
        };
        self.push(place, text.into_bytes(), media_type.or(default));
        Ok(())
    }

    /// A file: its bytes in base64, or an object with these as `data`, and `filename` and
    /// `contentType` where they matter. A field has a file name in any case.
    fn file(&mut self, place: Place<'_>, raw: &RawValue, media_type: Option<String>) -> Result<()> {
        let mut filename = match place {
            Place::Field(name) => Some(name.to_owned()),
            Place::List => None,
        };
        let mut media_type = media_type.unwrap_or_else(|| ANY_FILE.to_owned());
        let content = if raw.get().starts_with('{') {
            let members = style::members(raw)?;
            let data = members
                .get("data")
                .ok_or_else(|| Error::invalid("a file has its bytes in base64 as `data`"))?;
            let stated = |key: &str| {
                let raw = members.get(key).filter(|raw| raw.get() != "null");
                raw.map(|raw| style::scalar(raw).map(Cow::into_owned))
                    .transpose()
            };
            filename = stated("filename")?.or(filename);
            media_type = stated("contentType")?.unwrap_or(media_type);
            header_text(&media_type)?;
            bytes(data)?
        } else {
            bytes(raw)?
        };
        self.push(place, content, Some(media_type));
        if let (Some(filename), Some(part)) = (filename, self.parts.last_mut()) {
            let disposition = part.disposition.as_deref().unwrap_or("attachment");
            part.disposition = Some(format!("{disposition}; filename=\"{}\"", quoted(&filename)));
        }
        Ok(())
    }

    fn push(&mut self, place: Place<'_>, bytes: Vec<u8>, media_type: Option<String>) {
        let disposition = match place {
            Place::Field(name) => Some(format!("form-data; name=\"{}\"", quoted(name))),
            Place::List => None,
        };
        self.parts.push(Part {
            disposition,
            media_type,
            headers: Vec::new(),
            bytes,
        });
    }

    /// Adds what the arguments say of the headers of the parts from `first` on (OpenAPI 3.0.4,
    /// Encoding Object, `headers`).
    fn describe(&mut self, first: usize, part: &PartBinding) -> Result<()> {
        let Some(parts) = self
            .parts
            .get_mut(first..)
            .filter(|parts| !parts.is_empty())
        else {
            return Ok(());
        };
        for header in &part.headers {
            let at = |error: Error| error.with("argument", &header.argument);
            let how = Serialization {
                style: Style::Simple,
                explode: header.explode,
                allow_reserved: false,
                content: None,
            };
            let text = match self.arguments.get(&header.argument) {
                Some(raw) => style::single(&header.name, raw, &how, Escape::None).map_err(at)?,
                None => None,
            };
            let Some(text) = text else {
                if header.required {
                    return Err(missing(&header.argument));
                }
                continue;
            };
            header_text(&text).map_err(at)?;
            for part in parts.iter_mut() {
                if header.name.eq_ignore_ascii_case("content-disposition") {
                    part.disposition = Some(text.clone().into_owned());
                } else {
                    part.headers
                        .push((header.name.clone(), text.clone().into_owned()));
                }
            }
        }
        Ok(())
    }

    /// The body. Its boundary is made of a digest of the parts, which no part can hold, so that the
    /// same arguments are the same bytes.
    pub(super) fn finish(self, media_type: &str) -> Body {
        let heads: Vec<String> = self.parts.iter().map(Part::head).collect();
        let mut digest = Sha256::new();
        for (part, head) in self.parts.iter().zip(&heads) {
            digest.update(head);
            digest.update(&part.bytes);
        }
        let mut boundary = hex(&digest.finalize());
        boundary.truncate(32);
        let mut out = Vec::new();
        for (part, head) in self.parts.iter().zip(heads) {
            out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
            out.extend_from_slice(&part.bytes);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        // RFC 2387, 3.1: what is related says what its root is.
        let root = (media_type == "multipart/related").then(|| {
            let root = self
                .parts
                .first()
                .and_then(|part| part.media_type.as_deref());
            format!("; type=\"{}\"", quoted(root.unwrap_or("text/plain")))
        });
        let root = root.unwrap_or_default();
        Body {
            media_type: format!("{media_type}{root}; boundary={boundary}"),
            bytes: out.into(),
        }
    }
}

impl Part {
    fn head(&self) -> String {
        let mut head = String::new();
        let stated = [
            ("Content-Disposition", &self.disposition),
            ("Content-Type", &self.media_type),
        ];
        for (name, value) in stated {
            if let Some(value) = value {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
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
