//! How the arguments of a tool become an HTTP request.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AnswerBinding;
use crate::spec::{Location, Method, Serialization, XmlShape};

/// How arguments become an HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpBinding {
    /// The HTTP method.
    pub method: Method,
    /// The path template, such as `/pets/{petId}`.
    pub path: String,
    /// A base URL of this operation alone, before those of the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Parameters outside the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterBinding>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyBinding>,
    /// Arguments that no client gives: what every call sends, by the name that the parameters and
    /// the body have for it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub presets: IndexMap<String, Value>,
    /// Alternatives; each is a set of scheme names needed together. Empty: no credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<Vec<String>>,
    /// The value of the `Accept` header.
    pub accept: String,
    /// How a JSON answer becomes `structuredContent`.
    #[serde(default, skip_serializing_if = "OutputShape::is_none")]
    pub output: OutputShape,
    /// What becomes of an answer before it is a result.
    #[serde(default, skip_serializing_if = "AnswerBinding::is_plain")]
    pub answer: AnswerBinding,
}

/// One argument that goes outside the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParameterBinding {
    /// The name in the tool's input schema.
    pub argument: String,
    /// The name on the wire.
    pub name: String,
    /// Where it goes.
    #[serde(rename = "in")]
    pub location: Location,
    /// Whether a call needs it.
    pub required: bool,
    /// How the value is written.
    #[serde(flatten)]
    pub serialization: Serialization,
}

/// How arguments become the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyBinding {
    /// The value of the `Content-Type` header.
    pub media_type: String,
    /// How the value is written.
    pub format: BodyFormat,
    /// Whether a call needs it.
    pub required: bool,
    /// Where the value comes from.
    pub source: BodySource,
    /// How values become XML; [`BodyFormat::Xml`] alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xml: Option<XmlShape>,
    /// How the items of a list become parts; [`BodyFormat::Multipart`] alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartListBinding>,
}

impl BodyBinding {
    /// The headers of parts, in the order of the parts.
    pub fn part_headers(&self) -> impl Iterator<Item = &PartHeaderBinding> {
        let members = match &self.source {
            BodySource::Members(members) => members.as_slice(),
            BodySource::Argument(_) => &[],
        };
        let named = members.iter().flat_map(|member| &member.part);
        let lists = self.parts.iter();
        let listed = lists.flat_map(|list| list.prefix.iter().chain([&list.items]));
        named.chain(listed).flat_map(|part| &part.headers)
    }
}

/// The parts of a multipart body by their position (OpenAPI 3.2.0, Encoding By Position).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartListBinding {
    /// The first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<PartBinding>,
    /// Those after them.
    #[serde(default)]
    pub items: PartBinding,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BodyFormat {
    /// `application/json` and `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/…`, YAML, XML without a described structure: the argument is a string.
    Text,
    /// `multipart/form-data` (RFC 7578) and other multipart types (RFC 2046, 5.1): the members of an
    /// object by name, or the items of a list in order.
    Multipart,
    /// Any other media type: the argument is the bytes in base64.
    Binary,
    /// NDJSON, JSON Lines and `application/json-seq`: the argument is a list.
    JsonLines,
    /// `application/xml` and `…+xml`, made from values.
    Xml,
}

/// Where the value of a body comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BodySource {
    /// One argument holds the whole value.
    Argument(String),
    /// The body is an object; each member is an argument.
    Members(Vec<MemberBinding>),
}

/// One argument that becomes a member of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberBinding {
    /// The name in the tool's input schema.
    pub argument: String,
    /// The name in the body.
    pub name: String,
    /// How a form body writes it, where the document says. By default an array repeats the name
    /// and an object is JSON text (OpenAPI 3.0.4, Encoding Object).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialization: Option<Serialization>,
    /// How a multipart body writes it, where that is not plain from the value: an object is JSON,
    /// a list is one part for each item, anything else is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartBinding>,
}

/// One part of a multipart body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartBinding {
    /// Whether the argument is a file: its bytes in base64, or an object with these as `data` and,
    /// where they matter, `filename` and `contentType`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub file: bool,
    /// The media type that the part states. Of a file `application/octet-stream` by default. A
    /// value that is no file is JSON text when this is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What else is said of the part, in headers of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<PartHeaderBinding>,
}

/// One argument that goes into a header of a part, in the style `simple` (OpenAPI 3.0.4, Encoding
/// Object, `headers`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartHeaderBinding {
    /// The name in the tool's input schema, or of a preset.
    pub argument: String,
    /// The name on the wire.
    pub name: String,
    /// Whether a part needs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether members of an object are written `name=value`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explode: bool,
}

/// How a JSON answer becomes `structuredContent`, which clients before 2026-07-28 accept as an
/// object only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OutputShape {
    /// The tool has no output schema.
    #[default]
    None,
    /// The answer is an object and is passed as it is.
    Object,
    /// The answer is something else and is passed as `{"result": …}`.
    Wrapped,
}

impl OutputShape {
    /// Whether there is no structured answer.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}
