//! JSON values become XML as a document's XML Objects say (OpenAPI 3.0.4, 3.1.1 and 3.2.0).
//!
//! Where these say nothing: `null` and what is left out have no element; a value without a
//! description is an element named by its member; arrays repeat it; nothing is indented.

use std::borrow::Cow;
use std::sync::LazyLock;

use indexmap::IndexMap;
use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesCData, BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::QName;
use serde_json::value::RawValue;

use super::style;
use crate::spec::{XmlKind, XmlNode, XmlShape};
use crate::{Error, Result};

/// The name of the outermost element where the document has none.
const ROOT: &str = "root";
/// How deep elements nest, as the arguments' reader has it.
const MAX_DEPTH: usize = 128;
/// How many types one node has, with those of its types.
const MAX_TYPES: usize = 32;

/// What is written.
pub(super) enum Value<'a> {
    /// Any value.
    Whole(&'a RawValue),
    /// The members of an object.
    Members(IndexMap<&'a str, &'a RawValue>),
}

/// A whole document.
///
/// # Errors
/// `InvalidInput` for names and characters that XML has not, and for values over 128 levels deep.
pub(super) fn document(shape: Option<&XmlShape>, value: Value<'_>) -> Result<Vec<u8>> {
    let shape = shape.unwrap_or(&PLAIN);
    let mut xml = Xml::new(shape)?;
    let view = xml.view(&shape.root);
    let name = view.name.unwrap_or(ROOT);
    match value {
        Value::Whole(raw) => xml.element(name, &view, raw)?,
        Value::Members(members) => xml.object(name, &view, &members)?,
    }
    Ok(xml.out.into_inner())
}

static PLAIN: LazyLock<XmlShape> = LazyLock::new(XmlShape::default);
static NONE: LazyLock<XmlNode> = LazyLock::new(XmlNode::default);

/// A node together with what it refers to.
struct View<'a> {
    name: Option<&'a str>,
    namespace: Option<&'a str>,
    prefix: Option<&'a str>,
    kind: XmlKind,
    wrapped: bool,
    items: Option<&'a XmlNode>,
    /// All of them.
    nodes: Vec<&'a XmlNode>,
}

impl<'a> View<'a> {
    fn member(&self, name: &str) -> &'a XmlNode {
        let found = self.nodes.iter().find_map(|node| node.members.get(name));
        found.unwrap_or(&NONE)
    }
}

struct Xml<'a> {
    shape: &'a XmlShape,
    out: Writer<Vec<u8>>,
    depth: usize,
}

impl<'a> Xml<'a> {
    fn new(shape: &'a XmlShape) -> Result<Self> {
        let mut xml = Self {
            shape,
            out: Writer::new(Vec::new()),
            depth: 0,
        };
        xml.put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(xml)
    }

    fn view(&self, node: &'a XmlNode) -> View<'a> {
        let mut nodes = vec![node];
        let mut next = 0;
        while let Some(node) = nodes.get(next).copied() {
            next += 1;
            let room = MAX_TYPES.saturating_sub(nodes.len());
            let types = node.types.iter().take(room);
            nodes.extend(types.filter_map(|name| self.shape.types.get(name)));
        }
        View {
            name: nodes.iter().find_map(|node| node.name.as_deref()),
            namespace: nodes.iter().find_map(|node| node.namespace.as_deref()),
            prefix: nodes.iter().find_map(|node| node.prefix.as_deref()),
            kind: nodes
                .iter()
                .map(|node| node.kind)
                .find(|kind| !kind.is_element())
                .unwrap_or_default(),
            wrapped: nodes.iter().any(|node| node.wrapped),
            items: nodes.iter().find_map(|node| node.items.as_deref()),
            nodes,
        }
    }

    /// What a member of an object becomes inside its element, or an item inside its array's.
    fn child(&mut self, member: &str, view: &View<'a>, raw: &RawValue) -> Result<()> {
        match raw.get().as_bytes().first() {
            Some(b'n') => Ok(()),
            _ if view.kind == XmlKind::Text => self.text(raw),
            _ if view.kind == XmlKind::CData => {
                let text = legal(style::scalar(raw)?)?;
                for section in BytesCData::escaped(&text) {
                    self.put(Event::CData(section))?;
                }
                Ok(())
            }
            Some(b'[') if view.wrapped => self.element(view.name.unwrap_or(member), view, raw),
            // 3.0.4, XML Object: without `wrapped`, the name of an array has no effect.
            Some(b'[') => self.items(member, view, raw),
            _ => self.element(view.name.unwrap_or(member), view, raw),
        }
    }

    fn element(&mut self, name: &str, view: &View<'a>, raw: &RawValue) -> Result<()> {
        match raw.get().as_bytes().first() {
            Some(b'{') => {
                let members = style::members(raw)?;
                let members = members.iter().map(|(name, raw)| (name.as_str(), *raw));
                self.object(name, view, &members.collect())
            }
            kind => {
                let start = start(name, view)?;
                let end = start.to_end().into_owned();
                self.open(start)?;
                match kind {
                    Some(b'[') => self.items(name, view, raw)?,
                    Some(b'n') => {}
                    _ => self.text(raw)?,
                }
                self.close(end)
            }
        }
    }

    fn items(&mut self, name: &str, array: &View<'a>, raw: &RawValue) -> Result<()> {
        let items = style::items(raw)?;
        let view = self.view(array.items.unwrap_or(&NONE));
        for item in items {
            self.child(view.name.unwrap_or(name), &view, item)?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        name: &str,
        view: &View<'a>,
        members: &IndexMap<&str, &RawValue>,
    ) -> Result<()> {
        let mut start = start(name, view)?;
        let mut children = Vec::with_capacity(members.len());
        for (member, raw) in members {
            let view = self.view(view.member(member));
            if view.kind != XmlKind::Attribute {
                children.push((*member, view, *raw));
            } else if raw.get() != "null" {
                let name = qualified(view.name.unwrap_or(member), view.prefix)?;
                declare(&mut start, view.namespace, view.prefix)?;
                attribute(&mut start, &name, &style::scalar(raw)?)?;
            }
        }
        let end = start.to_end().into_owned();
        self.open(start)?;
        for (member, view, raw) in children {
            self.child(member, &view, raw)?;
        }
        self.close(end)
    }

    fn text(&mut self, raw: &RawValue) -> Result<()> {
        let text = legal(style::scalar(raw)?)?;
        // XML 1.0, 2.11: a reader makes a line feed of a carriage return.
        let text = partial_escape(text).replace('\r', "&#13;");
        self.put(Event::Text(BytesText::from_escaped(text)))
    }

    fn open(&mut self, start: BytesStart<'_>) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::invalid("the value nests too deeply"));
        }
        self.put(Event::Start(start))
    }

    fn close(&mut self, end: BytesEnd<'_>) -> Result<()> {
        self.depth -= 1;
        self.put(Event::End(end))
    }

    fn put(&mut self, event: Event<'_>) -> Result<()> {
        self.out
            .write_event(event)
            .map_err(|error| Error::internal("a body cannot be written").caused_by(error))
    }
}

fn start(name: &str, view: &View<'_>) -> Result<BytesStart<'static>> {
    let mut start = BytesStart::new(qualified(name, view.prefix)?);
    declare(&mut start, view.namespace, view.prefix)?;
    Ok(start)
}

/// Declares a namespace, once on an element.
fn declare(
    start: &mut BytesStart<'_>,
    namespace: Option<&str>,
    prefix: Option<&str>,
) -> Result<()> {
    let Some(namespace) = namespace else {
        return Ok(());
    };
    let name = match prefix.filter(|prefix| !prefix.is_empty()) {
        Some(prefix) => format!("xmlns:{prefix}"),
        None => "xmlns".to_owned(),
    };
    let there = start
        .attributes()
        .flatten()
        .any(|attribute| attribute.key.as_ref() == name);
    if there {
        return Ok(());
    }
    attribute(start, &name, namespace)
}

fn attribute(start: &mut BytesStart<'_>, name: &str, value: &str) -> Result<()> {
    let value = legal(value.into())?;
    let value = partial_escape(value)
        .replace('"', "&quot;")
        .replace('\t', "&#9;")
        .replace('\n', "&#10;")
        .replace('\r', "&#13;");
    start.push_attribute(Attribute {
        key: QName(name),
        value: value.into(),
    });
    Ok(())
}

fn qualified(name: &str, prefix: Option<&str>) -> Result<String> {
    let name = match prefix.filter(|prefix| !prefix.is_empty()) {
        Some(prefix) => format!("{prefix}:{name}"),
        None => name.to_owned(),
    };
    // XML 1.0, 2.3; all beyond Latin-1 signs counts as a letter.
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c >= '\u{c0}';
    let legal = name.starts_with(first)
        && name
            .chars()
            .all(|c| first(c) || c.is_ascii_digit() || matches!(c, '-' | '.' | ':' | '\u{b7}'));
    if legal {
        return Ok(name);
    }
    let name: String = name.chars().take(64).collect();
    Err(Error::invalid(format!(
        "`{name}` cannot be the name of an XML element or attribute"
    )))
}

/// XML 1.0, 2.2: which characters there are.
fn legal(text: Cow<'_, str>) -> Result<Cow<'_, str>> {
    let illegal = |c: char| {
        (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(illegal) {
        return Err(Error::invalid("it has characters that XML cannot hold"));
    }
    Ok(text)
}
