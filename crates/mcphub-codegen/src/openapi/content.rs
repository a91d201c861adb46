//! Request Body Object, Response Object, Media Type Object and Encoding Object.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use mcphub_core::spec::{
    BodyContent, Encoding, PartHeader, RequestBody, Response, Serialization, Style,
};
use serde_json::{Map, Value, json};

use super::media_type::{comes_before_xml, essence, is_token, is_xml};
use super::node::{Node, Object};
use super::parameter::style_named;
use super::place::Place;
use super::remark::shown;
use super::{Skip, Walk};

/// The most media types of one body or answer.
const MAX_MEDIA_TYPES: usize = 64;

/// The most positions, and the most headers of a part, that are read.
const MAX_PARTS: usize = 64;

/// One entry of a `content` map.
struct Media<'d> {
    /// Lower case, without parameters, legal.
    media_type: String,
    object: &'d Object<'d>,
    /// As the map has it.
    key: &'d str,
    /// Where the object stands, if it was reached by reference.
    pointer: Option<Arc<str>>,
}

impl Media<'_> {
    fn shared(&self) -> bool {
        self.pointer.is_some()
    }

    /// Where the object stands, given where the entry stands.
    fn place<'p>(&'p self, at: Place<'p>) -> Place<'p> {
        self.pointer.as_deref().map_or(at, Place::Pointer)
    }
}

impl<'d> Walk<'d> {
    /// What an operation reads; `None` when it is nothing that can be described.
    pub(super) fn request_body(
        &mut self,
        body: &'d Node<'d>,
        at: Place<'_>,
    ) -> Result<Option<RequestBody>, Skip> {
        if body.is_null() {
            return Ok(None);
        }
        let target = self.follow(body, at)?;
        let at = target.place(at);
        let Some(object) = target.object() else {
            return Err(
                Skip::new("invalid-body", "a request body is an object with `content`").at(at),
            );
        };
        let description = match target.description {
            Some(description) => Some(description.to_owned()),
            None => self
                .text(object, "description", at)
                .map(|text| text.into_owned()),
        };
        if target.shared() {
            self.charge(256 + description.as_ref().map_or(0, String::len))?;
        }
        let required = self.flag(object, "required", at).unwrap_or_default();
        let shared = target.shared();
        let mut content = Vec::new();
        let content_at = at.key("content");
        let offered = self.media_types(object, at);
        let only_xml = !offered
            .iter()
            .any(|media| comes_before_xml(&media.media_type));
        for media in offered {
            let here = content_at.key(media.key);
            let here = media.place(here);
            let shared = shared || media.shared();
            let schema = self.needed(|walk| walk.media_schema(media.object, here, shared))?;
            let xml = if only_xml && is_xml(&media.media_type) {
                Some(self.xml_shape(media.object.get("schema"), here.key("schema"))?)
            } else {
                None
            };
            let encoding = self.encodings(media.object, here, shared);
            let (prefix_encoding, item_encoding) = self.positions(media.object, here, shared);
            let hints = self.member_hints(media.object.get("schema"), here.key("schema"))?;
            content.push(BodyContent {
                media_type: media.media_type,
                schema: schema.unwrap_or_else(any),
                encoding,
                prefix_encoding,
                item_encoding,
                xml,
                hints,
            });
        }
        Ok(Some(RequestBody {
            description,
            required,
            content,
        }))
    }

    /// What an operation answers. A response that cannot be read is left out.
    pub(super) fn responses(&mut self, operation: &'d Object<'d>, at: Place<'_>) -> Vec<Response> {
        let responses_at = at.key("responses");
        let produced = if self.is_swagger() {
            self.media_type_names(operation, "produces", at)
        } else {
            Vec::new()
        };
        let mut out = Vec::new();
        for (status, response) in self
            .object(operation, "responses", at)
            .into_iter()
            .flatten()
        {
            if status.starts_with("x-") {
                continue;
            }
            let here = responses_at.key(status);
            let target = match self.follow(response, here) {
                Ok(target) => target,
                Err(skip) => {
                    self.remarks.warn(skip.code, here, || skip.message);
                    continue;
                }
            };
            let here = target.place(here);
            let Some(object) = target.object() else {
                self.remarks
                    .wrong_type(here, "a response object", target.value);
                continue;
            };
            let text = target
                .description
                .or_else(|| object.get("description").and_then(Node::as_str));
            let bytes = 64 + text.map_or(0, str::len);
            if target.shared() && self.charge(bytes).is_err() {
                continue;
            }
            let content = if self.is_swagger() {
                self.swagger_answer(object, here, target.shared(), &produced)
            } else {
                self.answer(object, here, target.shared())
            };
            let headers = self.object(object, "headers", here);
            let has_link = headers.is_some_and(|headers| {
                headers.keys().any(|name| name.eq_ignore_ascii_case("link"))
            });
            out.push(Response {
                has_link,
                status: status.to_ascii_uppercase(),
                description: text.map(str::to_owned),
                content,
            });
        }
        // `default` is a word, not a range.
        out.iter_mut()
            .filter(|r| r.status == "DEFAULT")
            .for_each(|r| r.status.make_ascii_lowercase());
        out
    }

    /// The media types of an answer with their schemas.
    fn answer(
        &mut self,
        response: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> Vec<(String, Value)> {
        let content_at = at.key("content");
        let mut content = Vec::new();
        for media in self.media_types(response, at) {
            let here = content_at.key(media.key);
            let shared = shared || media.shared();
            let schema = self.media_schema(media.object, media.place(here), shared);
            content.push((media.media_type, schema.unwrap_or_else(any)));
        }
        content
    }

    /// The media types of a `content` map. No version has a reference in place of the map, but APIs
    /// in many files are written so.
    fn media_types(&mut self, parent: &'d Object<'d>, at: Place<'_>) -> Vec<Media<'d>> {
        let content_at = at.key("content");
        let mut out: Vec<Media<'d>> = Vec::new();
        let reference = parent.get("content");
        let reference = reference.filter(|map| map.get("$ref").is_some_and(Node::is_string));
        let elsewhere = match reference
            .map(|map| self.follow(map, content_at))
            .transpose()
        {
            Ok(elsewhere) => elsewhere,
            Err(skip) => {
                self.remarks.warn(skip.code, content_at, || skip.message);
                return out;
            }
        };
        let (map, content_at) = match &elsewhere {
            Some(target) => (target.object(), target.place(content_at)),
            None => (self.object(parent, "content", at), content_at),
        };
        for (name, media) in map.into_iter().flatten() {
            let here = content_at.key(name);
            let Some(essence) = essence(name) else {
                self.remarks.warn("invalid-media-type", here, || {
                    format!("{} is no media type", shown(name))
                });
                continue;
            };
            if out.len() == MAX_MEDIA_TYPES {
                self.remarks.warn("too-many", here, || {
                    format!("only the first {MAX_MEDIA_TYPES} media types are read")
                });
                break;
            }
            if out.iter().any(|other| other.media_type == essence) {
                continue;
            }
            // 3.2.0, Components Object, `mediaTypes`.
            let target = match self.follow(media, here) {
                Ok(target) => target,
                Err(skip) => {
                    self.remarks.warn(skip.code, here, || skip.message);
                    continue;
                }
            };
            match target.value {
                Node::Object(object) => out.push(Media {
                    media_type: essence,
                    object,
                    key: name,
                    pointer: target
                        .pointer
                        .or_else(|| elsewhere.as_ref().map(|_| here.pointer().into())),
                }),
                other => self.remarks.wrong_type(here, "a media type object", other),
            }
        }
        out
    }

    fn media_schema(
        &mut self,
        media: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> Option<Value> {
        if let Some(schema) = media.get("schema") {
            return Some(self.part_schema(schema, at.key("schema"), shared));
        }
        // 3.2.0, Media Type Object: what follows one another is treated as an array.
        let item = media.get("itemSchema")?;
        let item = self.part_schema(item, at.key("itemSchema"), shared);
        Some(json!({"type": "array", "items": item}))
    }

    fn encodings(
        &mut self,
        media: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> IndexMap<String, Encoding> {
        let encoding_at = at.key("encoding");
        let mut out = IndexMap::new();
        for (name, encoding) in self.object(media, "encoding", at).into_iter().flatten() {
            let encoding = self.encoding(encoding, encoding_at.key(name), shared);
            if let Some(encoding) = encoding.filter(|it| *it != Encoding::default()) {
                out.insert(name.to_owned(), encoding);
            }
        }
        out
    }

    /// How the parts of a list are written (3.2.0, Media Type Object): the first ones, and the rest.
    fn positions(
        &mut self,
        media: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> (Vec<Encoding>, Option<Encoding>) {
        let prefix_at = at.key("prefixEncoding");
        let prefix = match media.get("prefixEncoding") {
            None => &[],
            Some(Node::Array(prefix)) => prefix.as_slice(),
            Some(other) => {
                self.remarks
                    .wrong_type(prefix_at, "an array of encoding objects", other);
                &[]
            }
        };
        let prefix = prefix.iter().take(MAX_PARTS).enumerate();
        let prefix = prefix.map(|(index, encoding)| {
            let encoding = self.encoding(encoding, prefix_at.index(index), shared);
            encoding.unwrap_or_default()
        });
        let prefix = prefix.collect();
        let items = media.get("itemEncoding");
        let items = items.and_then(|items| self.encoding(items, at.key("itemEncoding"), shared));
        (prefix, items)
    }

    fn encoding(
        &mut self,
        encoding: &'d Node<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> Option<Encoding> {
        let Node::Object(encoding) = encoding else {
            self.remarks.wrong_type(at, "an encoding object", encoding);
            return None;
        };
        for nested in ["encoding", "prefixEncoding", "itemEncoding"] {
            if encoding.get(nested).is_some() {
                self.remarks.warn("nested-encoding", at.key(nested), || {
                    "a multipart body within a part is not written; the part is JSON".to_owned()
                });
            }
        }
        let content = self.text(encoding, "contentType", at);
        let media_type = content
            .as_deref()
            .and_then(|types| essence(types.split(',').next()?.trim()));
        Some(Encoding {
            serialization: self.encoded(encoding, media_type.as_deref(), at),
            media_type,
            headers: self.part_headers(encoding, at, shared),
        })
    }

    /// The headers of a part; `Content-Type` is described otherwise (3.0.4, Encoding Object).
    fn part_headers(
        &mut self,
        encoding: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> IndexMap<String, PartHeader> {
        let headers_at = at.key("headers");
        let mut out = IndexMap::new();
        let headers = self.object(encoding, "headers", at);
        for (name, header) in headers.into_iter().flatten().take(MAX_PARTS) {
            let here = headers_at.key(name);
            if name.eq_ignore_ascii_case("content-type") {
                continue;
            }
            if !is_token(name) {
                self.remarks.warn("invalid-header", here, || {
                    format!("{} cannot be the name of a header", shown(name))
                });
                continue;
            }
            let target = match self.follow(header, here) {
                Ok(target) => target,
                Err(skip) => {
                    self.remarks.warn(skip.code, here, || skip.message);
                    continue;
                }
            };
            let here = target.place(here);
            let Some(header) = target.object() else {
                self.remarks
                    .wrong_type(here, "a header object", target.value);
                continue;
            };
            let schema = header.get("schema").map(|schema| {
                self.part_schema(schema, here.key("schema"), shared || target.shared())
            });
            let description = self.text(header, "description", here);
            out.insert(
                name.to_owned(),
                PartHeader {
                    description: description.map(Cow::into_owned),
                    required: self.flag(header, "required", here).unwrap_or_default(),
                    // A header with `content` is a text in a format of its own.
                    schema: schema.unwrap_or_else(|| json!({"type": "string"})),
                    explode: self.flag(header, "explode", here).unwrap_or_default(),
                },
            );
        }
        out
    }

    /// How a urlencoded form writes a member.
    fn encoded(
        &mut self,
        encoding: &'d Object<'d>,
        media_type: Option<&str>,
        at: Place<'_>,
    ) -> Option<Serialization> {
        let style = self.text(encoding, "style", at);
        let explode = self.flag(encoding, "explode", at);
        let allow_reserved = self.flag(encoding, "allowReserved", at);
        if style.is_none() && explode.is_none() && allow_reserved.is_none() {
            // Text is what a form does anyway; only JSON differs.
            let json = media_type?;
            return (json.ends_with("/json") || json.ends_with("+json")).then(|| Serialization {
                style: Style::Form,
                explode: true,
                allow_reserved: false,
                content: Some(json.to_owned()),
            });
        }
        // 3.0.4, Encoding Object: with any of these, `contentType` is ignored.
        let named = style.as_deref().and_then(style_named);
        if let (Some(text), None) = (&style, named) {
            self.remarks.warn("invalid-style", at, || {
                format!("{} is no style; `form` is used", shown(text))
            });
        }
        let style = named.unwrap_or(Style::Form);
        Some(Serialization {
            style,
            explode: explode.unwrap_or(style == Style::Form),
            allow_reserved: allow_reserved.unwrap_or_default(),
            content: None,
        })
    }
}

fn any() -> Value {
    Value::Object(Map::new())
}
