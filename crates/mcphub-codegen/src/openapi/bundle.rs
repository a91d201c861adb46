//! A document in several files becomes one.
//!
//! What a document refers to is loaded by the host and put below `x-mcphub-documents`, and each
//! reference to it becomes one into the same document. So parsing stays a pure function, and a
//! stored document can be read again without the files that it was made of. A reference that
//! cannot be loaded stays as it is, with the reason below `x-mcphub-unread`.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use mcphub_core::spec::{Document, DocumentLoader};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};
use url::Url;

use super::ParserSettings;
use super::read::read_value;

/// Where the other documents stand.
pub(super) const DOCUMENTS: &str = "x-mcphub-documents";

/// Why a reference was not loaded, by its text.
pub(super) const UNREAD: &str = "x-mcphub-unread";

/// The most documents that are loaded for one.
const MAX_DOCUMENTS: usize = 10_000;

/// How many are loaded at once.
const AT_ONCE: usize = 8;

/// Gives a document that refers to no other: what it refers to, and what that refers to, is loaded
/// and made part of it, at most 10,000 documents and [`ParserSettings::max_document`] bytes
/// together. One that refers to nothing outside, or whose `source` is neither an absolute path nor
/// a URL, comes back as it is.
///
/// # Errors
/// As [`SpecParser::parse`](mcphub_core::spec::SpecParser::parse) where the document cannot be
/// read at all. What cannot be loaded is no error: the reference stays, and parsing says why it
/// leads nowhere.
pub async fn bundle(
    document: Document,
    loader: &dyn DocumentLoader,
    settings: &ParserSettings,
) -> Result<Document> {
    if !refers_outside(&document.bytes) {
        return Ok(document);
    }
    let Some(address) = address(&document.source) else {
        return Ok(document);
    };
    let mut root = read_value(&document.bytes, settings).map_err(|error| {
        error
            .during("openapi::bundle")
            .with("source", &document.source)
    })?;
    if !root.is_object() {
        return Ok(document);
    }
    let own = root.get("$self").and_then(Value::as_str);
    let mut bundle = Bundle {
        root: address.clone(),
        own: own.and_then(|own| address.join(own).ok()),
        parts: HashMap::new(),
        left: settings.max_document.saturating_sub(document.bytes.len()),
    };
    let mut wanted = Vec::new();
    bundle.collect(&mut root, &address, &mut wanted);
    while !wanted.is_empty() {
        let loading = wanted.into_iter().map(|address| async {
            let loaded = loader.load(&address).await;
            (address, loaded)
        });
        let loaded: Vec<_> = stream::iter(loading).buffered(AT_ONCE).collect().await;
        wanted = Vec::new();
        for (address, loaded) in loaded {
            bundle.add(address, loaded, settings, &mut wanted);
        }
    }
    Ok(Document {
        bytes: bundle.finish(root).into(),
        ..document
    })
}

/// The documents so far.
struct Bundle {
    root: Url,
    /// What the document calls itself (OpenAPI 3.2.0, `$self`).
    own: Option<Url>,
    /// By address; the name it gets, and the document or why there is none.
    parts: HashMap<Url, Part>,
    /// Bytes that may still be loaded.
    left: usize,
}

struct Part {
    name: String,
    /// In which order they were met.
    index: usize,
    document: std::result::Result<Value, String>,
}

impl Bundle {
    fn is_root(&self, address: &Url) -> bool {
        *address == self.root || self.own.as_ref() == Some(address)
    }

    /// Takes note of what a document refers to and is not there yet.
    fn collect(&mut self, document: &mut Value, base: &Url, wanted: &mut Vec<Url>) {
        references(document, false, &mut |reference| {
            let Some((address, _)) = outside(reference, base) else {
                return;
            };
            if self.is_root(&address) || self.parts.contains_key(&address) {
                return;
            }
            let document = if self.parts.len() < MAX_DOCUMENTS {
                wanted.push(address.clone());
                Ok(Value::Null)
            } else {
                Err(format!("more than {MAX_DOCUMENTS} documents are not read"))
            };
            let part = Part {
                name: name(&address, &self.root),
                index: self.parts.len(),
                document,
            };
            self.parts.insert(address, part);
        });
    }

    fn add(
        &mut self,
        address: Url,
        loaded: Result<bytes::Bytes>,
        settings: &ParserSettings,
        wanted: &mut Vec<Url>,
    ) {
        let read = loaded.and_then(|bytes| {
            self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
                Error::new(
                    ErrorKind::TooLarge,
                    format!(
                        "the documents together have more than {} bytes",
                        settings.max_document
                    ),
                )
            })?;
            read_value(&bytes, settings)
        });
        let document = match read {
            Ok(mut document) => {
                self.collect(&mut document, &address, wanted);
                Ok(document)
            }
            Err(error) => Err(error.report()),
        };
        if let Some(part) = self.parts.get_mut(&address) {
            part.document = document;
        }
    }

    /// The one document, as JSON.
    fn finish(mut self, mut root: Value) -> Vec<u8> {
        let mut unread = Map::new();
        let mut parts: Vec<(Url, usize, Option<Value>)> = self
            .parts
            .iter_mut()
            .map(|(address, part)| {
                let document = part.document.as_mut().ok().map(Value::take);
                (address.clone(), part.index, document)
            })
            .collect();
        parts.sort_by_key(|(_, index, _)| *index);
        let address = self.root.clone();
        self.rewrite(&mut root, &address, &mut unread);
        let mut documents = Map::with_capacity(parts.len());
        for (address, _, document) in parts {
            if let (Some(mut document), Some(part)) = (document, self.parts.get(&address)) {
                self.rewrite(&mut document, &address, &mut unread);
                documents.insert(part.name.clone(), document);
            }
        }
        if let Value::Object(root) = &mut root {
            root.insert(DOCUMENTS.to_owned(), Value::Object(documents));
            root.insert(UNREAD.to_owned(), Value::Object(unread));
        }
        root.to_string().into_bytes()
    }

    fn rewrite(&self, document: &mut Value, base: &Url, unread: &mut Map<String, Value>) {
        references(document, false, &mut |reference| {
            if let Some(pointer) = reference.strip_prefix('#') {
                // That of a document by itself stays; an anchor is found by its name.
                let part = self.parts.get(base);
                let is_pointer = pointer.is_empty() || pointer.starts_with('/');
                if let Some(part) = part.filter(|_| is_pointer) {
                    *reference = part.reference(pointer);
                }
                return;
            }
            let Some((address, fragment)) = outside(reference, base) else {
                return;
            };
            if self.is_root(&address) {
                *reference = format!("#{fragment}");
                return;
            }
            let is_pointer = fragment.is_empty() || fragment.starts_with('/');
            match self.parts.get(&address) {
                Some(Part {
                    document: Err(why), ..
                }) => {
                    unread.insert(reference.clone(), why.as_str().into());
                }
                // An anchor is found by the address of its document.
                Some(part) if is_pointer => *reference = part.reference(&fragment),
                _ => {}
            }
        });
    }
}

impl Part {
    fn reference(&self, pointer: &str) -> String {
        let name = self.name.replace('~', "~0").replace('/', "~1");
        format!("#/{DOCUMENTS}/{name}{pointer}")
    }
}

/// Where a document came from.
pub(super) fn address(source: &str) -> Option<Url> {
    match Url::parse(source) {
        Ok(mut url) if matches!(url.scheme(), "http" | "https" | "file") => {
            url.set_fragment(None);
            Some(url)
        }
        _ => Url::from_file_path(source).ok(),
    }
}

/// The document that a reference leads to, and where in it, unless that is the same document.
fn outside(reference: &str, base: &Url) -> Option<(Url, String)> {
    if reference.starts_with('#') {
        return None;
    }
    let mut address = base.join(reference).ok()?;
    if !matches!(address.scheme(), "http" | "https" | "file") {
        return None;
    }
    let fragment = address.fragment().unwrap_or_default().to_owned();
    address.set_fragment(None);
    Some((address, fragment))
}

/// What a document is called beside the first one: its path from there, or its whole address.
fn name(address: &Url, root: &Url) -> String {
    let name = match root.make_relative(address) {
        Some(path) if !path.starts_with("..") && !path.is_empty() => path,
        _ => address.to_string(),
    };
    percent_encoding::percent_decode_str(&name)
        .decode_utf8()
        .map_or(name.clone(), |name| name.into_owned())
}

/// Whether the text has a `$ref` that does not begin with `#`, by a look at the text alone.
fn refers_outside(bytes: &[u8]) -> bool {
    const KEY: &[u8] = b"$ref";
    let before = |byte: &u8| matches!(byte, b'"' | b'\'' | b':' | b' ' | b'\t' | b'\r' | b'\n');
    memchr::memmem::find_iter(bytes, KEY).any(|at| {
        let mut value = bytes[at + KEY.len()..].iter();
        value
            .find(|byte| !before(byte))
            .is_some_and(|first| *first != b'#')
    })
}

/// Members whose own members are named by the author, so that none of them is a keyword.
fn has_names(key: &str) -> bool {
    matches!(
        key,
        "properties"
            | "patternProperties"
            | "dependentSchemas"
            | "definitions"
            | "$defs"
            | "schemas"
            | "responses"
            | "parameters"
            | "requestBodies"
            | "headers"
            | "securitySchemes"
            | "securityDefinitions"
            | "links"
            | "callbacks"
            | "pathItems"
            | "mediaTypes"
            | "paths"
            | "webhooks"
            | "content"
            | "encoding"
    )
}

/// Visits each reference. In example data `$ref` is data.
fn references(value: &mut Value, names: bool, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::Array(items) => {
            for item in items {
                references(item, false, visit);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => visit(reference),
                    (_, value) if names => references(value, false, visit),
                    ("example" | "examples" | "default" | "enum" | "const", _) => {}
                    (key, value) => references(value, has_names(key) && value.is_object(), visit),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "tests/bundle.rs"]
mod tests;
