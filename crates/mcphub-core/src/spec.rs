//! Parse: an API document becomes an [`ApiSpec`], whatever dialect it was written in.

mod hint;
mod method;
mod page;
mod security;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

pub use hint::{ArgumentHints, FieldsHint, PagesHint, ToolHints};
pub use method::{Method, MethodName};
pub use page::{NextPage, PageLocation};
pub use security::{OAuthFlow, SecurityScheme};

use crate::Result;

/// An API document as it was received.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where it came from: a path or an http(s) URL. Relative server URLs resolve against it.
    pub source: String,
    /// The bytes: JSON or YAML in UTF-8.
    pub bytes: Bytes,
}

impl Document {
    /// The lower-case hex SHA-256 of the bytes.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads documents. A pure function of the bytes: no I/O, no clock.
///
/// # Behavior
/// - A document that is not of a known dialect is an `InvalidDocument` error that says what was
///   expected and where reading stopped.
/// - Whatever is wrong below one operation skips that operation with an error diagnostic that has
///   a JSON pointer; it never fails the document.
/// - Time and memory are bounded by the size of the document.
pub trait SpecParser: Send + Sync + Debug + 'static {
    /// Reads one document.
    fn parse(&self, document: &Document) -> Result<Parsed>;
}

/// Loads the other documents that a document refers to.
///
/// # Behavior
/// - An address that is not allowed is refused before anything is opened, with an error that says
///   how to allow it.
/// - What is loaded is bounded.
#[async_trait]
pub trait DocumentLoader: Send + Sync + Debug {
    /// The bytes at a `file:`, `http:` or `https:` address without a fragment.
    async fn load(&self, address: &Url) -> Result<Bytes>;
}

/// What parsing gives: the value, and everything the document itself gets wrong.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The API.
    pub spec: ApiSpec,
    /// In document order.
    pub diagnostics: Vec<Diagnostic>,
}

/// One remark about a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable kebab-case identifier, such as `dangling-reference`.
    pub code: String,
    /// Where: an RFC 6901 JSON pointer into the document.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something was repaired or left out; the operation works.
    Warning,
    /// An operation was skipped.
    Error,
}

/// An HTTP API, independent of the dialect of its document. References are resolved; schemas are
/// JSON Schema 2020-12 whose `$ref`s are all `#/$defs/NAME` with NAME in `definitions`.
#[derive(Debug, Clone, Default)]
pub struct ApiSpec {
    /// `info.title`, or a name made from the source.
    pub title: String,
    /// `info.version`, as text.
    pub version: String,
    /// `info.description`.
    pub description: Option<String>,
    /// What the document was written in.
    pub dialect: Dialect,
    /// Base URLs in order of preference, variables replaced by their defaults, possibly relative.
    pub servers: Vec<String>,
    /// The bytes of the document as JSON without white space.
    pub document_bytes: usize,
    /// In document order.
    pub operations: Vec<Operation>,
    /// By name.
    pub security_schemes: IndexMap<String, SecurityScheme>,
    /// The shared schemas that operations reach, by the name under `$defs`.
    pub definitions: IndexMap<Arc<str>, Arc<Value>>,
}

/// The description language of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Dialect {
    /// Swagger 2.0.
    #[serde(rename = "swagger-2.0")]
    Swagger20,
    /// OpenAPI 3.0.x.
    #[default]
    #[serde(rename = "openapi-3.0")]
    OpenApi30,
    /// OpenAPI 3.1.x.
    #[serde(rename = "openapi-3.1")]
    OpenApi31,
    /// OpenAPI 3.2.x, and what comes after it with the same major version.
    #[serde(rename = "openapi-3.2")]
    OpenApi32,
}

impl Dialect {
    /// The identifier used in output: `swagger-2.0`, `openapi-3.0`, `openapi-3.1`, `openapi-3.2`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Swagger20 => "swagger-2.0",
            Self::OpenApi30 => "openapi-3.0",
            Self::OpenApi31 => "openapi-3.1",
            Self::OpenApi32 => "openapi-3.2",
        }
    }
}

/// One method on one path.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `operationId`.
    pub id: Option<String>,
    /// The HTTP method.
    pub method: Method,
    /// The path template, such as `/pets/{petId}`.
    pub path: String,
    /// A short line.
    pub summary: Option<String>,
    /// A longer text, CommonMark.
    pub description: Option<String>,
    /// For grouping.
    pub tags: Vec<String>,
    /// Whether callers should stop using it.
    pub deprecated: bool,
    /// Path-level and operation-level parameters merged (OpenAPI 3.0.4, Path Item Object). One that
    /// the document shares between operations is shared.
    pub parameters: Vec<Arc<Parameter>>,
    /// What it reads.
    pub body: Option<RequestBody>,
    /// What it answers, in document order.
    pub responses: Vec<Response>,
    /// Alternatives; each is a set of scheme names that are needed together. An empty list or an
    /// empty set means that no credential is needed.
    pub security: Vec<Vec<String>>,
    /// Base URLs that replace those of the document, if any.
    pub servers: Vec<String>,
    /// What it says of its tool.
    pub hints: ToolHints,
    /// Where it stands in the document.
    pub pointer: String,
}

/// A parameter outside the body.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name on the wire.
    pub name: String,
    /// Where it goes.
    pub location: Location,
    /// For the model.
    pub description: Option<String>,
    /// Whether a call needs it. Always true in a path.
    pub required: bool,
    /// Whether callers should stop using it.
    pub deprecated: bool,
    /// JSON Schema of the value.
    pub schema: Value,
    /// How the value is written.
    pub serialization: Serialization,
    /// An example value, if the document has one.
    pub example: Option<Value>,
    /// What it says of its argument.
    pub hints: ArgumentHints,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Location {
    Path,
    Query,
    Header,
    Cookie,
    /// The whole query string (OpenAPI 3.2.0, Parameter Locations); the parameter has `content`.
    QueryString,
}

/// How a value is written (OpenAPI 3.0.4, Parameter Object and Encoding Object).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Serialization {
    /// The style.
    pub style: Style,
    /// Whether arrays and objects become one item per value.
    pub explode: bool,
    /// Whether reserved characters pass unescaped (RFC 6570, 3.2.3). Query only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_reserved: bool,
    /// A media type whose text is the value: the parameter has `content` instead of a style.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// `style` of a parameter (OpenAPI 3.0.4, Style Values).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Style {
    Matrix,
    Label,
    Simple,
    Form,
    SpaceDelimited,
    PipeDelimited,
    /// Swagger 2.0 alone has it (`tsv`).
    TabDelimited,
    DeepObject,
    /// As `form`, for cookies whose values are sent as they are (OpenAPI 3.2.0, Style Values).
    Cookie,
}

/// What an operation reads.
#[derive(Debug, Clone)]
pub struct RequestBody {
    /// For the model.
    pub description: Option<String>,
    /// Whether a call needs it.
    pub required: bool,
    /// In document order.
    pub content: Vec<BodyContent>,
}

/// One media type of a request body.
#[derive(Debug, Clone)]
pub struct BodyContent {
    /// Such as `application/json`, without parameters, lower case.
    pub media_type: String,
    /// JSON Schema of the value.
    pub schema: Value,
    /// How members are written, by name; for form bodies. Only what the document states.
    pub encoding: IndexMap<String, Encoding>,
    /// How the first parts of a list are written (3.2.0, `prefixEncoding`).
    pub prefix_encoding: Vec<Encoding>,
    /// How the parts of a list after them are written (3.2.0, `itemEncoding`).
    pub item_encoding: Option<Encoding>,
    /// How values become XML, where the media type is XML.
    pub xml: Option<XmlShape>,
    /// What the members say of their arguments, by name.
    pub hints: IndexMap<String, ArgumentHints>,
}

/// How a member of a form is written (OpenAPI 3.0.4, Encoding Object).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// How a urlencoded form writes it.
    pub serialization: Option<Serialization>,
    /// The media type of a part of a multipart body.
    pub media_type: Option<String>,
    /// The headers of a part, by name, without `Content-Type`.
    pub headers: IndexMap<String, PartHeader>,
}

/// A header of a part of a multipart body (OpenAPI 3.0.4, Header Object).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeader {
    /// For the model.
    pub description: Option<String>,
    /// Whether the part needs it.
    pub required: bool,
    /// JSON Schema of the value.
    pub schema: Value,
    /// Whether members of an object are written `name=value`.
    pub explode: bool,
}

/// How JSON values become XML (OpenAPI 3.0.4, 3.1.1 and 3.2.0, XML Object).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XmlShape {
    /// The whole value; its element is named `root` where the document has no name.
    pub root: XmlNode,
    /// What nodes refer to, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub types: IndexMap<String, XmlNode>,
}

/// How one value becomes XML. A value that no node describes is an element named by its member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct XmlNode {
    /// Of the element or attribute, without prefix; that of the member where absent. On an array it
    /// names the element around the items and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A namespace URI, declared on the element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What it becomes.
    #[serde(skip_serializing_if = "XmlKind::is_element")]
    pub kind: XmlKind,
    /// Whether an element stands around the items of an array.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wrapped: bool,
    /// The members of an object.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub members: IndexMap<String, XmlNode>,
    /// The items of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<XmlNode>>,
    /// Of [`XmlShape::types`]: they say what this node does not, the first first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
}

/// What a value becomes in XML (OpenAPI 3.2.0, XML Object, `nodeType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum XmlKind {
    /// An element.
    #[default]
    Element,
    /// An attribute of the element around it.
    Attribute,
    /// Text of the element around it.
    Text,
    /// A CDATA section of the element around it.
    CData,
}

impl XmlKind {
    /// Whether it is an element.
    pub fn is_element(&self) -> bool {
        *self == Self::Element
    }
}

/// One answer of an operation.
#[derive(Debug, Clone)]
pub struct Response {
    /// `200`, `2XX`, `default`.
    pub status: String,
    /// For a person.
    pub description: Option<String>,
    /// Media types with the JSON Schema of the value, in document order.
    pub content: Vec<(String, Value)>,
    /// Whether it has the header `Link` (RFC 8288).
    pub has_link: bool,
}

impl Response {
    /// Whether this describes success.
    pub fn is_success(&self) -> bool {
        self.status.starts_with('2')
    }
}
