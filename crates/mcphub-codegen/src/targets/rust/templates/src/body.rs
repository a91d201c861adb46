//! The body of a request: one value, or the members, fields and parts that it is filled with.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::multipart::{self, Multipart};
use crate::request::{ArgumentError, Result, at, json, single};
use crate::serialization::{self, Escape, Pair, header_text, join};
use crate::style::How;
use crate::xml::{self, Shape};

/// How a body is written.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// `application/json` and the like.
    Json,
    /// Plain text.
    Text,
    /// Bytes, which come in base64.
    Binary,
    /// A JSON value on each line; with record separators where the media type says so (RFC 7464).
    JsonLines,
    /// A form whose fields are the members of the value.
    Form,
    /// Parts that are the members of the value, or its items, which a form does not have.
    Multipart,
    /// XML, of the shape that this file of schemas has.
    Xml(&'static str),
}

/// A media type and the bytes.
pub(crate) type Sent = (String, Vec<u8>);

/// The members of a body.
#[derive(Debug)]
pub struct Members {
    format: Format,
    media_type: &'static str,
    members: Map<String, Value>,
    optional: bool,
}

impl Members {
    pub(crate) fn new(format: Format, media_type: &'static str) -> Self {
        Self {
            format,
            media_type,
            members: Map::new(),
            optional: false,
        }
    }

    /// No body at all when no member is given.
    pub fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    /// A member.
    pub fn member<V: Serialize>(&mut self, name: &str, value: Option<&V>) -> Result<()> {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), json(name, value)?);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Option<Sent>> {
        if self.optional && self.members.is_empty() {
            return Ok(None);
        }
        let value = Value::Object(self.members);
        let bytes = match self.format {
            Format::Xml(schemas) => at("body", xml::document(&Shape::of(schemas), &value))?,
            _ => value.to_string().into_bytes(),
        };
        Ok(Some((self.media_type.to_owned(), bytes)))
    }
}

/// The fields of a form.
#[derive(Debug)]
pub struct Form {
    media_type: &'static str,
    fields: Vec<Pair>,
    touched: bool,
    optional: bool,
}

impl Form {
    pub(crate) fn new(media_type: &'static str) -> Self {
        Self {
            media_type,
            fields: Vec::new(),
            touched: false,
            optional: false,
        }
    }

    /// No body at all when no field is given.
    pub fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    /// A field.
    pub fn field<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let argument = how.named(name);
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            let fields = serialization::field(name, &value, &how);
            self.fields.extend(at(argument, fields)?);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Option<Sent> {
        if self.optional && !self.touched {
            return None;
        }
        let body = join(&self.fields, "&").into_bytes();
        Some((self.media_type.to_owned(), body))
    }
}

/// The parts of a multipart body.
#[derive(Debug)]
pub struct Parts {
    media_type: &'static str,
    parts: Multipart,
    /// The items of a list that are no parts yet.
    items: VecDeque<Value>,
    /// Where the parts begin that were added last.
    first: usize,
    touched: bool,
    optional: bool,
}

/// How a part is written where its value does not say it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part {
    pub(crate) file: bool,
    pub(crate) media_type: Option<&'static str>,
    argument: Option<&'static str>,
}

impl Part {
    /// Text, an object as JSON, a list as one part for each item.
    pub const fn new() -> Self {
        Self {
            file: false,
            media_type: None,
            argument: None,
        }
    }

    /// A file: its bytes in base64, or an object with these as `data`.
    pub const fn file(mut self) -> Self {
        self.file = true;
        self
    }

    /// The media type that the part states.
    pub const fn media_type(mut self, media_type: &'static str) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// The tool's name for the argument, where it is not that of the part.
    pub const fn argument(mut self, argument: &'static str) -> Self {
        self.argument = Some(argument);
        self
    }
}

impl Parts {
    pub(crate) fn new(media_type: &'static str) -> Self {
        Self {
            media_type,
            parts: Multipart::default(),
            items: VecDeque::new(),
            first: 0,
            touched: false,
            optional: false,
        }
    }

    /// No body at all when no part is given.
    pub fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    /// A part, or one for each item of a list.
    pub fn part<V: Serialize>(&mut self, name: &str, value: Option<&V>, part: Part) -> Result<()> {
        let argument = part.argument.unwrap_or(name);
        self.first = self.parts.count();
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            at(argument, self.parts.value(name, &value, &part))?;
        }
        Ok(())
    }

    /// Parts that are written as the fields of a form are.
    pub fn styled<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let argument = how.named(name);
        self.first = self.parts.count();
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            at(argument, self.parts.styled(name, &value, &how))?;
        }
        Ok(())
    }

    /// A list of parts, of which nothing is said but their order; [`Parts::next`] and
    /// [`Parts::rest`] say how they are written. The members of an object are parts with names.
    pub fn list<V: Serialize>(&mut self, value: Option<&V>, argument: &str) -> Result<()> {
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            let items = split(&mut self.parts, value, self.media_type);
            self.items = at(argument, items)?.into();
        }
        Ok(())
    }

    /// The next item of the list.
    pub fn next(&mut self, part: Part) -> Result<()> {
        self.first = self.parts.count();
        match self.items.pop_front() {
            Some(item) => at(
                part.argument.unwrap_or("body"),
                self.parts.next(&item, &part),
            ),
            None => Ok(()),
        }
    }

    /// The items of the list that are left.
    pub fn rest(&mut self, part: Part) -> Result<()> {
        self.first = self.parts.count();
        let argument = part.argument.unwrap_or("body");
        for item in std::mem::take(&mut self.items) {
            at(argument, self.parts.next(&item, &part))?;
        }
        Ok(())
    }

    /// A header of the parts that were added last (OpenAPI 3.0.4, Encoding Object, `headers`).
    pub fn header<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        self.describe(name, value, how).map(|_| ())
    }

    /// A header that such a part has to have.
    pub fn required_header<V: Serialize>(
        &mut self,
        name: &str,
        value: Option<&V>,
        how: How,
    ) -> Result<()> {
        let missing = || ArgumentError::missing(how.named(name));
        self.describe(name, value, how)?
            .then_some(())
            .ok_or_else(missing)
    }

    /// Whether there is a value, or no part that needs one.
    fn describe<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<bool> {
        let argument = how.named(name);
        if self.parts.count() == self.first {
            return Ok(true);
        }
        let Some(value) = value else { return Ok(false) };
        let value = json(argument, value)?;
        let Some(text) = at(argument, single(name, &value, &how, Escape::None))? else {
            return Ok(false);
        };
        at(argument, header_text(&text))?;
        self.parts.describe(self.first, name, &text);
        Ok(true)
    }

    pub(crate) fn finish(self) -> Option<Sent> {
        if self.optional && !self.touched {
            return None;
        }
        Some(self.parts.finish(self.media_type))
    }
}

/// The body as one value.
pub(crate) fn whole(
    value: Value,
    format: Format,
    media_type: &str,
    argument: &str,
) -> Result<Sent> {
    let bytes = match format {
        Format::Json => Ok(value.to_string().into_bytes()),
        Format::Text => serialization::scalar(&value).map(String::into_bytes),
        Format::Binary => multipart::bytes(&value),
        Format::JsonLines => Ok(lines(&value, media_type)),
        Format::Form => serialization::form(&value).map(String::into_bytes),
        Format::Xml(schemas) => xml::document(&Shape::of(schemas), &value),
        Format::Multipart => {
            let mut parts = Multipart::default();
            let rest = at(argument, split(&mut parts, value, media_type))?;
            for item in rest {
                at(argument, parts.next(&item, &Part::default()))?;
            }
            return Ok(parts.finish(media_type));
        }
    };
    Ok((media_type.to_owned(), at(argument, bytes)?))
}

/// Takes a value apart: the members of an object become parts, the items of a list are given back.
/// A form has fields, and no order alone.
fn split(
    parts: &mut Multipart,
    value: Value,
    media_type: &str,
) -> serialization::Result<Vec<Value>> {
    match value {
        Value::Array(items) if media_type != "multipart/form-data" => Ok(items),
        other => {
            for (name, member) in serialization::members(&other)? {
                parts.value(name, member, &Part::default())?;
            }
            Ok(Vec::new())
        }
    }
}

fn lines(value: &Value, media_type: &str) -> Vec<u8> {
    let separator = if media_type.ends_with("json-seq") {
        "\u{1e}"
    } else {
        ""
    };
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let lines = items.iter().map(|item| format!("{separator}{item}\n"));
    lines.collect::<String>().into_bytes()
}
