//! Swagger 2.0 and OpenAPI 3.0, 3.1 and 3.2 documents become an [`ApiSpec`].
//!
//! The document is read to a JSON value and walked tolerantly: what is wrong is left out with a
//! diagnostic that says where, and costs one operation at most. One file per object of the
//! specification, and `swagger` for what 2.0 has elsewhere; `schema/` turns Schema Objects of every
//! version into JSON Schema 2020-12.
//! Nothing in here knows about tools.

mod answer_hint;
mod bundle;
mod content;
mod dialect;
mod extension;
mod identifier;
mod media_type;
mod node;
mod operation;
mod parameter;
mod path;
mod path_item;
mod place;
mod read;
mod reference;
mod remark;
mod schema;
mod security;
mod server;
mod swagger;
mod tag;
mod xml;
mod yaml;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use mcphub_core::Result;
use mcphub_core::spec::{ApiSpec, Dialect, Document, Parameter, Parsed, SpecParser};

pub use bundle::bundle;
use identifier::Identifiers;
use node::{Node, Object};
use place::Place;
use read::read;
pub(crate) use read::read_value;
use remark::Remarks;
use schema::Schemas;

/// Reads Swagger 2.0 and OpenAPI 3.0, 3.1 and 3.2 in JSON or YAML. Later versions 3.x are read as
/// 3.2, with a remark.
///
/// # Errors
/// - `TooLarge` when the document has more bytes than [`ParserSettings::max_document`], or more
///   operations than [`ParserSettings::max_operations`].
/// - `InvalidDocument` when it is neither JSON nor YAML (with line and column), when it is no
///   OpenAPI document (with what was found instead), or when it nests deeper than 128 levels.
/// - `Unsupported` for versions before 2.0 and after 3.
#[derive(Debug, Clone, Default)]
pub struct OpenApiParser {
    settings: ParserSettings,
}

/// The bounds of [`OpenApiParser`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ParserSettings {
    /// The largest document in bytes, also after YAML aliases are replaced. Default 64 MiB.
    pub max_document: usize,
    /// The most operations in one document. Default 50,000.
    pub max_operations: usize,
}

impl Default for ParserSettings {
    fn default() -> Self {
        Self {
            max_document: 64 << 20,
            max_operations: 50_000,
        }
    }
}

impl OpenApiParser {
    /// A parser with these bounds.
    pub fn new(settings: ParserSettings) -> Self {
        Self { settings }
    }
}

impl SpecParser for OpenApiParser {
    fn parse(&self, document: &Document) -> Result<Parsed> {
        let (value, size) = read(&document.bytes, &self.settings).map_err(|error| {
            error
                .during("openapi::parse")
                .with("source", &document.source)
        })?;
        let mut remarks = Remarks::default();
        let (root, dialect) = dialect::dialect(&value, &mut remarks).map_err(|error| {
            error
                .during("openapi::parse")
                .with("source", &document.source)
        })?;
        let mut walk = Walk {
            document: &value,
            dialect,
            remarks,
            schemas: Schemas::new(&value, dialect),
            parents: HashMap::new(),
            extended: contains(&document.bytes, "x-mcp"),
            identifiers: None,
            referred: HashMap::new(),
            shared_parameters: HashMap::new(),
            allowance: document.bytes.len().saturating_mul(ALLOWANCE) + (ALLOWANCE << 20),
            shared: false,
        };
        if walk.reference_siblings() {
            walk.identifiers = Identifiers::read(&value, &document.bytes, &document.source);
            walk.schema_dialect(root, "jsonSchemaDialect", Place::ROOT);
            walk.document_draft(root);
        }
        let mut spec = walk.info(root, &document.source);
        spec.document_bytes = size;
        spec.servers = if walk.is_swagger() {
            walk.swagger_servers(root, &document.source)
        } else {
            walk.servers(root.get("servers"), Place::ROOT.key("servers"))
        };
        if spec.servers.is_empty() {
            // OpenAPI 3.0.4, OpenAPI Object: without `servers` the default is `/`.
            spec.servers.push("/".to_owned());
        }
        walk.parents = walk.tag_parents(root);
        spec.security_schemes = walk.security_schemes(root);
        let security = walk.security(
            root.get("security"),
            Place::ROOT.key("security"),
            &spec.security_schemes,
        );
        spec.operations = walk
            .paths(
                root,
                &spec.security_schemes,
                &security.unwrap_or_default(),
                self.settings.max_operations,
            )
            .map_err(|error| {
                error
                    .during("openapi::parse")
                    .with("source", &document.source)
            })?;
        spec.definitions = walk.definitions();
        Ok(Parsed {
            spec,
            diagnostics: walk.remarks.finish(),
        })
    }
}

/// How many times its own size a document may take up through references to shared parts that are
/// copied for each use: descriptions, parameters, short schemas.
const ALLOWANCE: usize = 16;

/// One walk over one document.
#[derive(Debug)]
struct Walk<'d> {
    document: &'d Node<'d>,
    dialect: Dialect,
    remarks: Remarks,
    schemas: Schemas<'d>,
    /// The tags that tags belong to.
    parents: HashMap<&'d str, &'d str>,
    /// Whether the document has `x-mcp` anywhere.
    extended: bool,
    /// What parts of the document call themselves, if any does.
    identifiers: Option<Identifiers<'d>>,
    /// What references were found to name.
    referred: HashMap<&'d str, (&'d Node<'d>, Arc<str>)>,
    /// The parameters that were referred to, by where they stand; `None` for one that is left out.
    shared_parameters: HashMap<Arc<str>, Option<Arc<Parameter>>>,
    /// Bytes that may still be copied from shared parts.
    allowance: usize,
    /// Whether the path item being walked was reached by reference.
    shared: bool,
}

/// Why something cannot be used, and with it the operation that needs it.
#[derive(Debug)]
struct Skip {
    code: &'static str,
    message: String,
    pointer: Option<String>,
}

impl Skip {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            pointer: None,
        }
    }

    /// Where the cause stands; the innermost place stays.
    fn at(mut self, place: Place<'_>) -> Self {
        self.pointer.get_or_insert_with(|| place.pointer());
        self
    }
}

impl<'d> Walk<'d> {
    fn info(&mut self, root: &'d Object<'d>, source: &str) -> ApiSpec {
        let at = Place::ROOT.key("info");
        let info = self.object(root, "info", Place::ROOT);
        let mut text = |key| {
            info.and_then(|info| self.text(info, key, at))
                .map(Cow::into_owned)
        };
        ApiSpec {
            title: text("title")
                .filter(|title| !title.trim().is_empty())
                .unwrap_or_else(|| name_of(source)),
            version: text("version").unwrap_or_default(),
            description: text("description"),
            dialect: self.dialect,
            ..ApiSpec::default()
        }
    }

    /// A member that should be an object.
    fn object(
        &mut self,
        parent: &'d Object<'d>,
        key: &str,
        at: Place<'_>,
    ) -> Option<&'d Object<'d>> {
        match parent.get(key)? {
            Node::Object(object) => Some(object),
            other => {
                self.remarks.wrong_type(at.key(key), "an object", other);
                None
            }
        }
    }

    /// A member that should be an array.
    fn array(&mut self, parent: &'d Object<'d>, key: &str, at: Place<'_>) -> &'d [Node<'d>] {
        match parent.get(key) {
            None => &[],
            Some(Node::Array(items)) => items,
            Some(other) => {
                self.remarks.wrong_type(at.key(key), "an array", other);
                &[]
            }
        }
    }

    /// A member that should be a string; a number stands for its text, as YAML makes one of `1.0`.
    fn text(&mut self, parent: &'d Object<'d>, key: &str, at: Place<'_>) -> Option<Cow<'d, str>> {
        match parent.get(key)? {
            Node::String(text) => Some(Cow::Borrowed(text)),
            Node::Number(number) => {
                self.remarks.info("wrong-type", at.key(key), || {
                    format!("expected a string; {number} is read as one")
                });
                Some(Cow::Owned(number.to_string()))
            }
            Node::Null => None,
            other => {
                self.remarks.wrong_type(at.key(key), "a string", other);
                None
            }
        }
    }

    /// A member that should be a boolean.
    fn flag(&mut self, parent: &'d Object<'d>, key: &str, at: Place<'_>) -> Option<bool> {
        match parent.get(key)? {
            Node::Bool(flag) => Some(*flag),
            Node::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Node::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            other => {
                self.remarks.wrong_type(at.key(key), "a boolean", other);
                None
            }
        }
    }

    fn is_swagger(&self) -> bool {
        self.dialect == Dialect::Swagger20
    }

    /// Whether members beside a `$ref` count (from 3.1 on).
    fn reference_siblings(&self) -> bool {
        !matches!(self.dialect, Dialect::Swagger20 | Dialect::OpenApi30)
    }

    /// Takes note of bytes that are copied from a shared part.
    fn charge(&mut self, bytes: usize) -> std::result::Result<(), Skip> {
        match self.allowance.checked_sub(bytes) {
            Some(rest) => {
                self.allowance = rest;
                Ok(())
            }
            None => Err(Skip::new(
                "expansion-limit",
                format!(
                    "the document's references make it more than {ALLOWANCE} times larger; repeat less"
                ),
            )),
        }
    }
}

/// Whether a text has a word.
fn contains(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(text, word.as_bytes()).is_some()
}

/// A title for an API that has none: the file's name without its ending.
fn name_of(source: &str) -> String {
    let path = source
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if stem.is_empty() {
        "API".to_owned()
    } else {
        stem.to_owned()
    }
}

#[cfg(test)]
mod tests;
