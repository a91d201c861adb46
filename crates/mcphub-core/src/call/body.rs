//! Arguments become the body of a request.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serializer as _;
use serde_json::value::RawValue;

use super::multipart::Multipart;
use super::request::{content_text, join, missing};
use super::style::{self, Escape, Pair};
use super::{Arguments, Body, xml};
use crate::spec::{Serialization, Style};
use crate::tool::{BodyBinding, BodyFormat, BodySource, MemberBinding};
use crate::{Error, Result};

/// RFC 4648, 4; padding may be left out, as people do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The separators of a sequence of JSON texts (RFC 7464, 2.2).
const RECORD: u8 = 0x1e;

impl BodyBinding {
    /// The body; `None` where all of an optional one is left out.
    ///
    /// # Errors
    /// `InvalidInput` that names the argument.
    pub(super) fn body(&self, arguments: &Arguments<'_>) -> Result<Option<Body>> {
        match &self.source {
            BodySource::Argument(argument) => match arguments.get(argument) {
                Some(raw) => self
                    .whole(raw, arguments)
                    .map(Some)
                    .map_err(|error| in_argument(error, argument)),
                None if self.required => Err(missing(argument)),
                None => Ok(None),
            },
            BodySource::Members(members) => {
                let present: Vec<_> = members
                    .iter()
                    .filter_map(|m| arguments.get(&m.argument).map(|raw| (m, raw)))
                    .collect();
                if present.is_empty() && !self.required {
                    Ok(None)
                } else {
                    self.members(&present, arguments).map(Some)
                }
            }
        }
    }

    fn whole(&self, raw: &RawValue, arguments: &Arguments<'_>) -> Result<Body> {
        let bytes = match self.format {
            BodyFormat::Json => raw.get().as_bytes().to_vec(),
            BodyFormat::Text => style::scalar(raw)?.into_owned().into_bytes(),
            BodyFormat::Binary => bytes(raw)?,
            BodyFormat::JsonLines => self.lines(raw)?,
            BodyFormat::Xml => xml::document(self.xml.as_ref(), xml::Value::Whole(raw))?,
            BodyFormat::Form => form(raw)?.into_bytes(),
            BodyFormat::Multipart => {
                let mut parts = Multipart::new(arguments);
                // A form has fields, and no order alone.
                let is_form = self.media_type == "multipart/form-data";
                if !is_form && raw.get().starts_with('[') {
                    parts.list(raw, self.parts.as_ref())?;
                } else {
                    for (name, raw) in style::members(raw)? {
                        parts.value(&name, raw, None)?;
                    }
                }
                return Ok(parts.finish(&self.media_type));
            }
        };
        Ok(self.of(bytes))
    }

    fn members(
        &self,
        members: &[(&MemberBinding, &RawValue)],
        arguments: &Arguments<'_>,
    ) -> Result<Body> {
        match self.format {
            BodyFormat::Form => {
                let mut pairs = Vec::new();
                for (member, raw) in members {
                    pairs.extend(
                        form_pairs(member, raw)
                            .map_err(|e| e.with("argument", &member.argument))?,
                    );
                }
                Ok(self.of(join(&pairs, "&").into_bytes()))
            }
            BodyFormat::Multipart => {
                let mut parts = Multipart::new(arguments);
                for (member, raw) in members {
                    parts
                        .member(member, raw)
                        .map_err(|error| in_argument(error, &member.argument))?;
                }
                Ok(parts.finish(&self.media_type))
            }
            BodyFormat::Xml => {
                let object: indexmap::IndexMap<&str, &RawValue> = members
                    .iter()
                    .map(|(member, raw)| (member.name.as_str(), *raw))
                    .collect();
                xml::document(self.xml.as_ref(), xml::Value::Members(object))
                    .map(|bytes| self.of(bytes))
                    .map_err(|error| error.with("argument", "body"))
            }
            _ => object(members)
                .map(|bytes| self.of(bytes))
                .map_err(|error| Error::internal("a body cannot be written").caused_by(error)),
        }
    }

    fn of(&self, bytes: Vec<u8>) -> Body {
        Body {
            media_type: self.media_type.clone(),
            bytes: bytes.into(),
        }
    }

    /// One line for each item of a list, each on its own (NDJSON, JSON Lines); with a record
    /// separator before it where the media type says so.
    fn lines(&self, raw: &RawValue) -> Result<Vec<u8>> {
        let items = if raw.get().starts_with('[') {
            style::items(raw)?
        } else {
            vec![raw]
        };
        let mut out = Vec::with_capacity(raw.get().len() + items.len());
        for item in items {
            if self.media_type.ends_with("json-seq") {
                out.push(RECORD);
            }
            out.extend_from_slice(style::compact(item).as_bytes());
            out.push(b'\n');
        }
        Ok(out)
    }
}

/// Names the argument, unless what failed is a header of its parts, which is one of its own.
fn in_argument(error: Error, argument: &str) -> Error {
    if error.context().any(|(key, _)| key == "argument") {
        return error;
    }
    error.with("argument", argument)
}

/// A JSON object of these members, each as it was sent.
fn object(members: &[(&MemberBinding, &RawValue)]) -> serde_json::Result<Vec<u8>> {
    let size = members
        .iter()
        .map(|(member, raw)| member.name.len() + raw.get().len() + 4);
    let mut out = Vec::with_capacity(size.sum::<usize>() + 2);
    serde_json::Serializer::new(&mut out)
        .collect_map(members.iter().map(|(member, raw)| (&member.name, raw)))?;
    Ok(out)
}

/// How a form writes what nothing is stated of.
const FORM: Serialization = Serialization {
    style: Style::Form,
    explode: true,
    allow_reserved: false,
    content: None,
};

/// The bytes of an argument in base64.
pub(super) fn bytes(raw: &RawValue) -> Result<Vec<u8>> {
    let expected = || Error::invalid("must be the bytes in base64 (RFC 4648, 4)");
    if !raw.get().starts_with('"') {
        return Err(expected());
    }
    let mut text = style::scalar(raw)?.into_owned();
    text.retain(|character| !character.is_ascii_whitespace());
    BASE64
        .decode(text.trim_end_matches('='))
        .map_err(|_| expected())
}

/// The members of an object as a form, written by their values.
pub(super) fn form(raw: &RawValue) -> Result<String> {
    let members = style::members(raw)?;
    let mut pairs = Vec::new();
    for (name, raw) in &members {
        pairs.extend(field(name, raw)?);
    }
    Ok(join(&pairs, "&"))
}

fn form_pairs<'a>(member: &'a MemberBinding, raw: &'a RawValue) -> Result<Vec<Pair<'a>>> {
    let Some(how) = &member.serialization else {
        return field(&member.name, raw);
    };
    match &how.content {
        Some(media_type) => Ok(vec![(
            Escape::Percent.text(&*member.name),
            Escape::of(how).text(content_text(media_type, raw)?),
        )]),
        None => style::pairs(&member.name, raw, how, Escape::of(how)),
    }
}

/// A field without an Encoding Object: values and repeated values are text, objects are JSON
/// (OpenAPI 3.0.4, Encoding Object, `contentType` defaults).
fn field<'a>(name: &'a str, raw: &'a RawValue) -> Result<Vec<Pair<'a>>> {
    if raw.get().starts_with('{') {
        return Ok(vec![(
            Escape::Percent.text(name),
            Escape::Percent.text(style::compact(raw)),
        )]);
    }
    style::pairs(name, raw, &FORM, Escape::Percent)
}
