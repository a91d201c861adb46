//! Values become XML as the XML Objects of the API's document say (OpenAPI 3.0.4, 3.1.1 and 3.2.0).
//!
//! Where these say nothing: `null` and what is left out have no element; a value without a
//! description is an element named by its member; lists repeat it; nothing is indented.

use std::collections::HashMap;

use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesCData, BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::QName;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::serialization::{self, Result, ValueError};

/// The name of the outermost element where the document has none.
const ROOT: &str = "root";
/// How deep elements nest.
const MAX_DEPTH: usize = 128;
/// How many types one node has, with those of its types.
const MAX_TYPES: usize = 32;

/// How a body becomes XML: `xml` in the file of a tool's schemas.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shape {
    root: Node,
    types: HashMap<String, Node>,
}

/// An element, or what stands in its place. `types` say what it does not.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Node {
    name: Option<String>,
    namespace: Option<String>,
    prefix: Option<String>,
    kind: Kind,
    wrapped: bool,
    members: HashMap<String, Node>,
    items: Option<Box<Node>>,
    types: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Element,
    Attribute,
    Text,
    CData,
}

impl Shape {
    /// The shape in a file of schemas; a plain one where there is none.
    pub(crate) fn of(schemas: &str) -> Self {
        #[derive(Default, Deserialize)]
        struct File {
            #[serde(default)]
            xml: Shape,
        }
        serde_json::from_str::<File>(schemas)
            .unwrap_or_default()
            .xml
    }
}

/// A whole document. Fails for names and characters that XML has not, and for values over 128
/// levels deep.
pub(crate) fn document(shape: &Shape, value: &Value) -> Result<Vec<u8>> {
    let mut xml = Xml {
        shape,
        none: &Node::default(),
        out: Writer::new(Vec::new()),
        depth: 0,
    };
    xml.put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let view = xml.view(&shape.root);
    xml.element(view.name.unwrap_or(ROOT), &view, value)?;
    Ok(xml.out.into_inner())
}

/// A node together with its types.
struct View<'a> {
    name: Option<&'a str>,
    namespace: Option<&'a str>,
    prefix: Option<&'a str>,
    kind: Kind,
    wrapped: bool,
    items: Option<&'a Node>,
    nodes: Vec<&'a Node>,
}

struct Xml<'a> {
    shape: &'a Shape,
    none: &'a Node,
    out: Writer<Vec<u8>>,
    depth: usize,
}

impl<'a> Xml<'a> {
    fn view(&self, node: &'a Node) -> View<'a> {
        let mut nodes = vec![node];
        let mut next = 0;
        while let Some(node) = nodes.get(next).copied() {
            next += 1;
            let room = MAX_TYPES.saturating_sub(nodes.len());
            let types = node.types.iter().take(room);
            nodes.extend(types.filter_map(|name| self.shape.types.get(name)));
        }
        let kinds = nodes.iter().map(|node| node.kind);
        View {
            name: nodes.iter().find_map(|node| node.name.as_deref()),
            namespace: nodes.iter().find_map(|node| node.namespace.as_deref()),
            prefix: nodes.iter().find_map(|node| node.prefix.as_deref()),
            kind: kinds
                .into_iter()
                .find(|kind| *kind != Kind::Element)
                .unwrap_or_default(),
            wrapped: nodes.iter().any(|node| node.wrapped),
            items: nodes.iter().find_map(|node| node.items.as_deref()),
            nodes,
        }
    }

    fn member(&self, view: &View<'a>, name: &str) -> View<'a> {
        let found = view.nodes.iter().find_map(|node| node.members.get(name));
        self.view(found.unwrap_or(self.none))
    }

    /// What a member of an object becomes inside its element, or an item inside its array's.
    fn child(&mut self, member: &str, view: &View<'a>, value: &Value) -> Result<()> {
        match value {
            Value::Null => Ok(()),
            _ if view.kind == Kind::Text => self.text(value),
            _ if view.kind == Kind::CData => {
                let text = legal(serialization::scalar(value)?)?;
                let mut sections = BytesCData::escaped(&text);
                sections.try_for_each(|section| self.put(Event::CData(section)))
            }
            // 3.0.4, XML Object: without `wrapped`, the name of an array has no effect.
            Value::Array(items) if !view.wrapped => self.items(member, view, items),
            _ => self.element(view.name.unwrap_or(member), view, value),
        }
    }

    fn element(&mut self, name: &str, view: &View<'a>, value: &Value) -> Result<()> {
        if let Value::Object(members) = value {
            return self.object(name, view, members);
        }
        let start = start(name, view)?;
        let end = start.to_end().into_owned();
        self.open(start)?;
        match value {
            Value::Null => {}
            Value::Array(items) => self.items(name, view, items)?,
            _ => self.text(value)?,
        }
        self.close(end)
    }

    fn items(&mut self, name: &str, array: &View<'a>, items: &[Value]) -> Result<()> {
        let view = self.view(array.items.unwrap_or(self.none));
        let name = view.name.unwrap_or(name);
        items
            .iter()
            .try_for_each(|item| self.child(name, &view, item))
    }

    fn object(&mut self, name: &str, view: &View<'a>, members: &Map<String, Value>) -> Result<()> {
        let mut start = start(name, view)?;
        let mut children = Vec::with_capacity(members.len());
        for (member, value) in members {
            let view = self.member(view, member);
            if view.kind != Kind::Attribute {
                children.push((member, view, value));
            } else if !value.is_null() {
                let name = qualified(view.name.unwrap_or(member), view.prefix)?;
                declare(&mut start, view.namespace, view.prefix)?;
                attribute(&mut start, &name, serialization::scalar(value)?)?;
            }
        }
        let end = start.to_end().into_owned();
        self.open(start)?;
        for (member, view, value) in children {
            self.child(member, &view, value)?;
        }
        self.close(end)
    }

    fn text(&mut self, value: &Value) -> Result<()> {
        let text = legal(serialization::scalar(value)?)?;
        // XML 1.0, 2.11: a reader makes a line feed of a carriage return.
        let text = partial_escape(text.as_str()).replace('\r', "&#13;");
        self.put(Event::Text(BytesText::from_escaped(text)))
    }

    fn open(&mut self, start: BytesStart<'_>) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the value nests too deeply".into());
        }
        self.put(Event::Start(start))
    }

    fn close(&mut self, end: BytesEnd<'_>) -> Result<()> {
        self.depth -= 1;
        self.put(Event::End(end))
    }

    fn put(&mut self, event: Event<'_>) -> Result<()> {
        let written = self.out.write_event(event);
        written.map_err(|_| "cannot be written as XML".into())
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
    let mut known = start.attributes().flatten();
    if known.any(|attribute| attribute.key.as_ref() == name) {
        return Ok(());
    }
    attribute(start, &name, namespace.to_owned())
}

fn attribute(start: &mut BytesStart<'_>, name: &str, value: String) -> Result<()> {
    let value = partial_escape(legal(value)?)
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
    let later = |c: char| first(c) || c.is_ascii_digit() || "-.:\u{b7}".contains(c);
    if name.starts_with(first) && name.chars().all(later) {
        return Ok(name);
    }
    let name: String = name.chars().take(64).collect();
    Err(ValueError(format!(
        "`{name}` cannot be the name of an XML element or attribute"
    )))
}

/// XML 1.0, 2.2: which characters there are.
fn legal(text: String) -> Result<String> {
    let illegal = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        c => c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}'),
    };
    if text.contains(illegal) {
        return Err("it has characters that XML cannot hold".into());
    }
    Ok(text)
}
