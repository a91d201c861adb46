//! YAML as documents mostly have it, read in one pass: block mappings and sequences, scalars in
//! every style, flow collections. Directives, anchors, aliases, tags, explicit keys, merge keys,
//! tabs between tokens, other line ends than `\n`, keys that stand twice, and whatever is not
//! well-formed are left to the general reader, with the whole document.
//!
//! A value that is read here is the one that the general reader has.

use std::borrow::Cow;

use super::super::node::{Node, Object};
use super::scalar;

/// The deepest nesting, below what the general reader allows.
const MAX_DEPTH: usize = 100;
/// The longest key on one line (YAML 1.2.2, 7.4.2 allows 1024 characters).
const MAX_KEY: usize = 1000;

/// Reads a document of at most `nodes` nodes; `None` says that it is one for the general reader.
pub(super) fn read(text: &str, nodes: usize) -> Option<Node<'_>> {
    if !is_ordinary(text) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        column: None,
        depth: 0,
        nodes,
        members: Vec::new(),
        items: Vec::new(),
    };
    reader.document()
}

/// Whether there are only characters that need no rules of their own: no control characters but
/// the ends of lines and tabs, no other ends of lines, no marks of byte order.
fn is_ordinary(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (pieces, rest) = bytes.as_chunks::<32>();
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(*byte, b'\n' | b'\t') || *byte == 0x7f;
    let controls = |piece: &[u8]| piece.iter().fold(false, |any, byte| any | is_control(byte));
    if controls(rest) || pieces.iter().any(|piece| controls(piece)) {
        return false;
    }
    // The first bytes of those beyond ASCII.
    memchr::memchr3_iter(0xc2, 0xe2, 0xef, bytes).all(|at| {
        !matches!(
            bytes.get(at..).unwrap_or_default(),
            [0xc2, 0x80..=0x9f, ..]
                | [0xe2, 0x80, 0xa8 | 0xa9, ..]
                | [0xef, 0xbb, 0xbf, ..]
                | [0xef, 0xbf, 0xbe | 0xbf, ..]
        )
    })
}

/// Where a document is read. Whatever answers `None` leaves it in no particular state.
pub(super) struct Reader<'d> {
    pub(super) text: &'d str,
    pub(super) bytes: &'d [u8],
    /// The place of the next byte.
    pub(super) at: usize,
    /// The column of the next line that has content, once the one before has ended; `None` at the
    /// end of the document.
    column: Option<usize>,
    depth: usize,
    /// How many nodes there still may be.
    nodes: usize,
    /// What was read of collections that have not ended, so that each takes the room that it needs.
    members: Vec<(Cow<'d, str>, Node<'d>)>,
    items: Vec<Node<'d>>,
}

impl<'d> Reader<'d> {
    fn document(&mut self) -> Option<Node<'d>> {
        self.skip_to_content();
        if self.column == Some(0) && self.rest().starts_with("---\n") {
            self.at += 3;
            self.end_line()?;
        } else {
            self.check_marker()?;
        }
        let column = self.column?;
        let node = match self.peek()? {
            b'-' => self.sequence(column)?,
            _ => {
                let name = self.key()??;
                self.mapping(column, name)?
            }
        };
        self.column.is_none().then_some(node)
    }

    /// A node that begins at this column; its scalars are deeper than `parent`.
    fn block(&mut self, column: usize, parent: usize) -> Option<Node<'d>> {
        if self.is_dash() {
            return self.sequence(column);
        }
        match self.key()? {
            Some(name) => self.mapping(column, name),
            None => self.scalar(parent),
        }
    }

    /// A sequence whose dashes stand at this column, the first of them here.
    fn sequence(&mut self, column: usize) -> Option<Node<'d>> {
        self.enter()?;
        let start = self.items.len();
        while self.is_dash() {
            let dash = self.at;
            self.at += 1;
            self.skip_spaces();
            let item = if self.is_line_over() {
                self.end_line()?;
                match self.column {
                    Some(below) if below > column => self.block(below, column)?,
                    _ => self.null()?,
                }
            } else {
                self.block(column + self.at - dash, column)?
            };
            self.items.push(item);
            if self.column != Some(column) {
                break;
            }
        }
        self.leave(column)?;
        Some(Node::Array(self.items.split_off(start)))
    }

    /// A mapping whose keys stand at this column; the first was read.
    fn mapping(&mut self, column: usize, first: Cow<'d, str>) -> Option<Node<'d>> {
        self.enter()?;
        let start = self.members.len();
        let mut name = first;
        loop {
            let node = self.member(column)?;
            self.members.push((name, node));
            if self.column != Some(column) {
                break;
            }
            name = self.key()??;
        }
        self.leave(column)?;
        self.object(start)
    }

    /// What belongs to a key at this column.
    fn member(&mut self, column: usize) -> Option<Node<'d>> {
        self.skip_spaces();
        if !self.is_line_over() {
            return self.scalar(column);
        }
        self.end_line()?;
        match self.column {
            Some(below) if below > column => self.block(below, column),
            Some(below) if below == column && self.is_dash() => self.sequence(column),
            _ => self.null(),
        }
    }

    /// A key with its colon, if one begins here; nothing is read otherwise.
    fn key(&mut self) -> Option<Option<Cow<'d, str>>> {
        let start = self.at;
        let name = match self.peek()? {
            b'"' | b'\'' => self.quoted(None),
            _ if self.is_plain() => {
                let text = self.plain_line();
                match self.peek() {
                    Some(b':') => Some(scalar::key(text)?),
                    _ => None,
                }
            }
            _ => None,
        };
        match name {
            Some(name) if self.peek() == Some(b':') && self.ends_token(self.at + 1) => {
                if self.at - start > MAX_KEY {
                    return None;
                }
                self.at += 1;
                Some(Some(name))
            }
            _ => {
                self.at = start;
                Some(None)
            }
        }
    }

    /// A scalar or a flow collection, and the end of its line.
    fn scalar(&mut self, parent: usize) -> Option<Node<'d>> {
        self.count()?;
        let node = match self.peek()? {
            // Their line has ended.
            b'|' | b'>' => {
                let text = self.block_scalar(parent)?;
                self.skip_to_content();
                self.check_marker()?;
                return Some(Node::String(Cow::Owned(text)));
            }
            b'[' | b'{' => self.flow(parent)?,
            b'"' | b'\'' => Node::String(self.quoted(Some(parent))?),
            _ => self.plain(parent)?,
        };
        self.end_line()?;
        Some(node)
    }

    /// A flow collection, or a scalar in one.
    fn flow(&mut self, parent: usize) -> Option<Node<'d>> {
        match self.peek()? {
            b'[' => self.flow_sequence(parent),
            b'{' => self.flow_mapping(parent),
            b'"' | b'\'' => {
                self.count()?;
                Some(Node::String(self.quoted(Some(parent))?))
            }
            _ => {
                self.count()?;
                scalar::resolve(self.flow_plain()?)
            }
        }
    }

    fn flow_sequence(&mut self, parent: usize) -> Option<Node<'d>> {
        self.enter()?;
        let start = self.items.len();
        self.at += 1;
        loop {
            self.skip_flow_space(parent)?;
            if self.peek()? == b']' {
                break;
            }
            let item = self.flow(parent)?;
            self.items.push(item);
            if self.flow_ends(parent, b']')? {
                break;
            }
        }
        self.at += 1;
        self.depth -= 1;
        Some(Node::Array(self.items.split_off(start)))
    }

    fn flow_mapping(&mut self, parent: usize) -> Option<Node<'d>> {
        self.enter()?;
        let start = self.members.len();
        self.at += 1;
        loop {
            self.skip_flow_space(parent)?;
            let name = match self.peek()? {
                b'}' => break,
                b'"' | b'\'' => self.quoted(None)?,
                _ => scalar::key(self.flow_plain()?)?,
            };
            if !self.rest().starts_with(": ") {
                return None;
            }
            self.at += 1;
            self.skip_flow_space(parent)?;
            let node = self.flow(parent)?;
            self.members.push((name, node));
            if self.flow_ends(parent, b'}')? {
                break;
            }
        }
        self.at += 1;
        self.depth -= 1;
        self.object(start)
    }

    /// Whether the collection ends here rather than to go on behind a comma.
    fn flow_ends(&mut self, parent: usize, end: u8) -> Option<bool> {
        self.skip_flow_space(parent)?;
        let byte = self.peek()?;
        if byte == b',' {
            self.at += 1;
        }
        (byte == end || byte == b',').then_some(byte == end)
    }

    /// What was read since `start`, as an object. Of keys that stand twice the general reader
    /// knows which counts.
    fn object(&mut self, start: usize) -> Option<Node<'d>> {
        let members = self.members.split_off(start);
        let count = members.len();
        let object = Object::new(members);
        (object.len() == count).then_some(Node::Object(object))
    }

    fn null(&mut self) -> Option<Node<'d>> {
        self.count()?;
        Some(Node::Null)
    }

    fn count(&mut self) -> Option<()> {
        self.nodes = self.nodes.checked_sub(1)?;
        Some(())
    }

    fn enter(&mut self) -> Option<()> {
        self.count()?;
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    /// Ends a block collection. No line below it may be deeper.
    fn leave(&mut self, column: usize) -> Option<()> {
        self.depth -= 1;
        (self.column <= Some(column)).then_some(())
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'d str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether a token before this place is at its end.
    pub(super) fn ends_token(&self, at: usize) -> bool {
        matches!(self.bytes.get(at), None | Some(b' ' | b'\n'))
    }

    /// Whether this is the dash of an item.
    fn is_dash(&self) -> bool {
        self.peek() == Some(b'-') && self.ends_token(self.at + 1)
    }

    /// Whether nothing but a comment is left of the line.
    fn is_line_over(&self) -> bool {
        match self.peek() {
            None | Some(b'\n') => true,
            Some(b'#') => self.at > 0 && self.bytes.get(self.at - 1) == Some(&b' '),
            _ => false,
        }
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Space in a flow collection, with ends of lines; what follows them is deeper than `parent`, but
    /// a bracket that closes may stand below the key.
    fn skip_flow_space(&mut self, parent: usize) -> Option<()> {
        self.skip_spaces();
        while self.peek() == Some(b'\n') {
            let line = self.at + 1;
            self.at = line;
            self.skip_spaces();
            let needed = match self.peek() {
                Some(b'\n') => 0,
                Some(b']' | b'}') => parent,
                _ => parent + 1,
            };
            if self.at - line < needed {
                return None;
            }
        }
        Some(())
    }

    /// The end of a line, and what is before the next content.
    pub(super) fn end_line(&mut self) -> Option<()> {
        self.skip_spaces();
        if !self.is_line_over() {
            return None;
        }
        self.skip_line();
        self.skip_to_content();
        self.check_marker()
    }

    pub(super) fn skip_line(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
    }

    /// From the beginning of a line to the next content.
    fn skip_to_content(&mut self) {
        loop {
            let line = self.at;
            self.skip_spaces();
            match self.peek() {
                Some(b'\n') => self.at += 1,
                Some(b'#') => self.skip_line(),
                None => return self.column = None,
                Some(_) => return self.column = Some(self.at - line),
            }
        }
    }

    /// Markers of documents begin their line.
    fn check_marker(&self) -> Option<()> {
        let is_marker = self.column == Some(0)
            && (self.rest().starts_with("---") || self.rest().starts_with("..."));
        (!is_marker).then_some(())
    }
}
