//! What Swagger 2.0 has in other places than OpenAPI 3: where the API is, what it reads, and how a
//! list is written.

use indexmap::IndexMap;
use mcphub_core::spec::{ArgumentHints, BodyContent, Encoding, RequestBody, Serialization, Style};
use serde_json::{Map, Value, json};

use super::media_type::{comes_before_xml, essence, is_xml};
use super::node::{Node, Object};
use super::operation::Surroundings;
use super::place::Place;
use super::remark::shown;
use super::{Skip, Walk};

/// The most media types that a document or an operation names.
const MAX_MEDIA_TYPES: usize = 64;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// The members of a form, by name.
#[derive(Default)]
struct Form {
    properties: Map<String, Value>,
    required: Vec<Value>,
    encoding: IndexMap<String, Encoding>,
    hints: IndexMap<String, ArgumentHints>,
    has_file: bool,
}

impl<'d> Walk<'d> {
    /// The base URLs (2.0, Swagger Object: `schemes`, `host`, `basePath`), https first. What the
    /// document leaves open is where it came from itself.
    pub(super) fn swagger_servers(&mut self, root: &'d Object<'d>, source: &str) -> Vec<String> {
        let at = Place::ROOT;
        let base = self.text(root, "basePath", at).unwrap_or_default();
        let base = base.trim().trim_matches('/');
        let path = if base.is_empty() {
            String::new()
        } else {
            format!("/{base}")
        };
        let host = self.text(root, "host", at).unwrap_or_default();
        let host = host.trim().trim_end_matches('/');
        if host.is_empty() {
            return vec![if path.is_empty() {
                "/".to_owned()
            } else {
                path
            }];
        }
        let mut schemes: Vec<&str> = self
            .array(root, "schemes", at)
            .iter()
            .filter_map(Node::as_str)
            .filter(|scheme| matches!(*scheme, "https" | "http"))
            .collect();
        schemes.sort_by_key(|scheme| *scheme != "https");
        schemes.dedup();
        if schemes.is_empty() {
            let scheme = if source.starts_with("http://") {
                "http"
            } else {
                "https"
            };
            self.remarks.info("missing-scheme", at.key("host"), || {
                format!("no `schemes` say how the host is reached; {scheme} is used")
            });
            schemes.push(scheme);
        }
        schemes
            .iter()
            .map(|scheme| format!("{scheme}://{host}{path}"))
            .collect()
    }

    /// The body of an operation: its parameter `in: body`, or its fields `in: formData`, those of
    /// the path item too.
    ///
    /// # Errors
    /// A parameter that cannot be followed.
    pub(super) fn swagger_body(
        &mut self,
        operation: &'d Object<'d>,
        at: Place<'_>,
        around: &Surroundings<'_, 'd>,
    ) -> Result<Option<RequestBody>, Skip> {
        let consumed = self.media_type_names(operation, "consumes", at);
        let mut body = None;
        let mut form = Form::default();
        for (holder, at) in [around.item.with("parameters"), Some((operation, at))]
            .into_iter()
            .flatten()
        {
            let list_at = at.key("parameters");
            for (index, parameter) in self.array(holder, "parameters", at).iter().enumerate() {
                let here = list_at.index(index);
                let target = self.follow(parameter, here)?;
                let here = target.place(here);
                let Some(object) = target.object() else {
                    continue;
                };
                match object.get("in").and_then(Node::as_str) {
                    Some("body") => {
                        body =
                            Some(self.swagger_whole(object, here, target.shared(), &consumed)?);
                    }
                    Some("formData") => self.swagger_field(object, here, &mut form),
                    _ => {}
                }
            }
        }
        Ok(body.or_else(|| form.into_body(&consumed)))
    }

    fn swagger_whole(
        &mut self,
        object: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
        consumed: &[String],
    ) -> Result<RequestBody, Skip> {
        let description = self
            .text(object, "description", at)
            .map(|text| text.into_owned());
        self.charge_shared(shared, description.as_ref().map_or(0, String::len))?;
        let json = ["application/json".to_owned()];
        let media_types = if consumed.is_empty() { &json } else { consumed };
        // Several media types have the one schema, which is shared then.
        let shared = shared || media_types.len() > 1;
        let schema = match object.get("schema") {
            Some(schema) => {
                self.needed(|walk| walk.part_schema(schema, at.key("schema"), shared))?
            }
            None => Value::Object(Map::new()),
        };
        let hints = self.member_hints(object.get("schema"), at.key("schema"))?;
        let only_xml = media_types.iter().any(|name| is_xml(name))
            && !media_types.iter().any(|name| comes_before_xml(name));
        let xml = if only_xml {
            Some(self.xml_shape(object.get("schema"), at.key("schema"))?)
        } else {
            None
        };
        let content = media_types.iter().map(|media_type| BodyContent {
            media_type: media_type.clone(),
            schema: schema.clone(),
            encoding: IndexMap::new(),
            prefix_encoding: Vec::new(),
            item_encoding: None,
            xml: xml.clone().filter(|_| is_xml(media_type)),
            hints: hints.clone(),
        });
        Ok(RequestBody {
            description,
            required: self.flag(object, "required", at).unwrap_or_default(),
            content: content.collect(),
        })
    }

    fn swagger_field(&mut self, object: &'d Object<'d>, at: Place<'_>, form: &mut Form) {
        let name = self.text(object, "name", at).unwrap_or_default();
        if name.is_empty() {
            self.remarks.warn("invalid-parameter", at, || {
                "a form field has a `name`; it is left out".to_owned()
            });
            return;
        }
        let is_file = object.get("type").is_some_and(|kind| kind == "file");
        let mut schema = if is_file {
            json!({"type": "string", "format": "binary"})
        } else {
            self.bare_schema(object, at)
        };
        let description = self.text(object, "description", at);
        if let (Value::Object(schema), Some(description)) = (&mut schema, description) {
            schema.insert("description".to_owned(), description.into_owned().into());
        }
        form.has_file |= is_file;
        form.required.retain(|known| *known != *name);
        if self.flag(object, "required", at).unwrap_or_default() {
            form.required.push(name.as_ref().into());
        }
        if object.get("type").is_some_and(|kind| kind == "array") {
            let encoding = Encoding {
                serialization: Some(self.collection(object, Style::Form, at)),
                ..Encoding::default()
            };
            form.encoding.insert(name.clone().into_owned(), encoding);
        }
        let hints = self.argument_hints(object, at);
        if hints != ArgumentHints::default() {
            form.hints.insert(name.clone().into_owned(), hints);
        }
        form.properties.insert(name.into_owned(), schema);
    }

    /// How a list is written (2.0, Parameter Object, `collectionFormat`), where a list as commas
    /// has this style.
    pub(super) fn collection(
        &mut self,
        object: &'d Object<'d>,
        commas: Style,
        at: Place<'_>,
    ) -> Serialization {
        let named = self.text(object, "collectionFormat", at);
        let (style, explode) = match named.as_deref().unwrap_or("csv") {
            "csv" => (commas, false),
            "ssv" => (Style::SpaceDelimited, false),
            "tsv" => (Style::TabDelimited, false),
            "pipes" => (Style::PipeDelimited, false),
            "multi" if commas == Style::Form => (Style::Form, true),
            other => {
                let other = shown(other);
                self.remarks
                    .warn("invalid-style", at.key("collectionFormat"), || {
                        format!("{other} is not possible here; commas are used")
                    });
                (commas, false)
            }
        };
        Serialization {
            style,
            explode,
            allow_reserved: false,
            content: None,
        }
    }

    /// `consumes` or `produces` of an operation, else those of the document: lower case, without
    /// parameters, legal, each once.
    pub(super) fn media_type_names(
        &mut self,
        operation: &'d Object<'d>,
        key: &str,
        at: Place<'_>,
    ) -> Vec<String> {
        let document = self.document.as_object();
        let (holder, at) = match document {
            Some(document) if !operation.contains_key(key) => (document, Place::ROOT),
            _ => (operation, at),
        };
        let list_at = at.key(key);
        let mut out: Vec<String> = Vec::new();
        let names = self.array(holder, key, at);
        for (index, name) in names.iter().take(MAX_MEDIA_TYPES).enumerate() {
            match name.as_str().and_then(essence) {
                Some(essence) if out.contains(&essence) => {}
                Some(essence) => out.push(essence),
                None => self
                    .remarks
                    .warn("invalid-media-type", list_at.index(index), || {
                        "this is no media type; it is left out".to_owned()
                    }),
            }
        }
        out
    }

    /// The media types of an answer, which all have its one schema.
    pub(super) fn swagger_answer(
        &mut self,
        response: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
        produced: &[String],
    ) -> Vec<(String, Value)> {
        let Some(schema) = response.get("schema") else {
            return Vec::new();
        };
        if schema.get("type").is_some_and(|kind| kind == "file") {
            let bytes = ["application/octet-stream".to_owned()];
            let media_types = if produced.is_empty() {
                &bytes
            } else {
                produced
            };
            let any = || Value::Object(Map::new());
            return media_types
                .iter()
                .map(|name| (name.clone(), any()))
                .collect();
        }
        let json = ["application/json".to_owned()];
        let media_types = if produced.is_empty() { &json } else { produced };
        let shared = shared || media_types.len() > 1;
        let schema = self.part_schema(schema, at.key("schema"), shared);
        let one = |media_type: &String| (media_type.clone(), schema.clone());
        media_types.iter().map(one).collect()
    }

    fn charge_shared(&mut self, shared: bool, bytes: usize) -> Result<(), Skip> {
        if shared {
            self.charge(256 + bytes)
        } else {
            Ok(())
        }
    }
}

impl Form {
    /// The fields as one object; a file needs `multipart/form-data`.
    fn into_body(self, consumed: &[String]) -> Option<RequestBody> {
        if self.properties.is_empty() {
            return None;
        }
        let takes = |media_type: &str| consumed.iter().any(|known| known == media_type);
        let multipart = self.has_file || (takes(MULTIPART) && !takes(FORM));
        let required = !self.required.is_empty();
        let mut schema = json!({"type": "object", "properties": self.properties});
        if required {
            schema["required"] = Value::Array(self.required);
        }
        Some(RequestBody {
            description: None,
            required,
            content: vec![BodyContent {
                media_type: if multipart { MULTIPART } else { FORM }.to_owned(),
                schema,
                encoding: self.encoding,
                prefix_encoding: Vec::new(),
                item_encoding: None,
                xml: None,
                hints: self.hints,
            }],
        })
    }
}
