//! A list in pages, as finished text.

use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::listing::List;
use super::part::Part;
use crate::members::Members;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The result, such as `{"tools":[…]}`, with `nextCursor` where there is another page. It is
    /// the same in every revision of MCP but for members that the newest adds.
    pub result: Bytes,
}

impl Page {
    fn definitions(&self, kind: Kind) -> Vec<&RawValue> {
        let text = str::from_utf8(&self.result).ok();
        let members = text.and_then(|text| Members::read(text).ok());
        let list = members.and_then(|members| members.get(kind.member()));
        list.and_then(|list| serde_json::from_str(list.get()).ok())
            .unwrap_or_default()
    }
}

/// All pages of a list: at least one.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    kind: Kind,
    pages: Vec<Sheet>,
    /// 16 hex digits that change with the list, once somebody asked.
    digest: OnceLock<String>,
    /// What they are of, where they are of parts.
    parts: Arc<[Arc<Part>]>,
}

/// What a page has, which is put together by the first who asks for it.
#[derive(Debug, Clone)]
struct Sheet {
    definitions: Definitions,
    page: OnceLock<Page>,
}

/// The definitions of a page.
#[derive(Debug, Clone)]
enum Definitions {
    /// Those of parts, from one to before another.
    Parts(Range<Place>),
    Text(Bytes),
}

/// A definition among those of parts: the number of its part, and its own there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    part: usize,
    at: usize,
}

impl Pages {
    /// The list that has those of these parts one after the other.
    pub(super) fn of(kind: Kind, parts: &Arc<[Arc<Part>]>, page_size: usize) -> Self {
        let page_size = page_size.max(1);
        let begin = Place { part: 0, at: 0 };
        let (mut pages, mut from, mut count) = (Vec::new(), begin, 0);
        for (number, part) in parts.iter().enumerate() {
            let definitions = part.list(kind).starts.len();
            let mut at = 0;
            while at < definitions {
                if count == page_size {
                    let next = Place { part: number, at };
                    pages.push(Definitions::Parts(from..next));
                    (from, count) = (next, 0);
                }
                let next = definitions.min(at + page_size - count);
                count += next - at;
                at = next;
            }
        }
        let end = Place {
            part: parts.len(),
            at: 0,
        };
        pages.push(Definitions::Parts(from..end));
        let parts = Arc::clone(parts);
        Self::made(kind, pages, OnceLock::new(), parts)
    }

    fn made(
        kind: Kind,
        pages: Vec<Definitions>,
        digest: OnceLock<String>,
        parts: Arc<[Arc<Part>]>,
    ) -> Self {
        let sheet = |definitions| Sheet {
            definitions,
            page: OnceLock::new(),
        };
        Self {
            kind,
            pages: pages.into_iter().map(sheet).collect(),
            digest,
            parts,
        }
    }

    pub(super) fn page(&self, cursor: Option<&str>) -> Option<&Page> {
        let Some(cursor) = cursor else {
            return self.at(0);
        };
        let (digest, index) = cursor.split_once('-')?;
        let index: usize = index.parse().ok()?;
        (digest == self.digest(16) && index > 0)
            .then(|| self.at(index))
            .flatten()
    }

    /// As large as a page, so that putting it together takes less than a millisecond for most.
    fn at(&self, index: usize) -> Option<&Page> {
        let sheet = self.pages.get(index)?;
        Some(sheet.page.get_or_init(|| {
            let head = format!(r#"{{"{}":["#, self.kind.member());
            let tail = match index + 1 {
                next if next < self.pages.len() => {
                    format!(r#"],"nextCursor":"{}-{next}"}}"#, self.digest(16))
                }
                _ => "]}".to_owned(),
            };
            let pieces = self.pieces(&sheet.definitions);
            let length: usize = pieces.iter().map(|piece| piece.len() + 1).sum();
            let mut text = Vec::with_capacity(head.len() + length + tail.len());
            text.extend_from_slice(head.as_bytes());
            for (number, piece) in pieces.into_iter().enumerate() {
                if number > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(piece);
            }
            text.extend_from_slice(tail.as_bytes());
            Page {
                result: text.into(),
            }
        }))
    }

    /// The definitions of a page in pieces: commas are between those of one piece, and belong between two.
    fn pieces<'a>(&'a self, definitions: &'a Definitions) -> Vec<&'a [u8]> {
        let Range { start, end } = match definitions {
            Definitions::Text(text) => return vec![text],
            Definitions::Parts(range) => range,
        };
        let parts = self.parts.iter().enumerate().skip(start.part);
        let parts = parts.take(end.part + 1 - start.part);
        let pieces = parts.map(|(number, part)| {
            let segment = part.list(self.kind);
            let from = if number == start.part { start.at } else { 0 };
            let to = if number == end.part {
                end.at
            } else {
                segment.starts.len()
            };
            segment.slice(from, to)
        });
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Page> {
        (0..self.pages.len()).filter_map(|index| self.at(index))
    }

    /// The text of each page.
    pub(super) fn texts(&self) -> Vec<Bytes> {
        self.all().map(|page| page.result.clone()).collect()
    }

    /// The definitions in the list, in its order.
    pub(super) fn definitions(&self) -> impl Iterator<Item = &RawValue> {
        self.all().flat_map(|page| page.definitions(self.kind))
    }

    /// The first of 16 hex digits that change with the list. Whoever asks first reads what all
    /// definitions mean that nobody has asked about before.
    pub(super) fn digest(&self, digits: usize) -> &str {
        let digest = self.digest.get_or_init(|| {
            let mut hash = Sha256::new();
            for part in &*self.parts {
                if !part.list(self.kind).starts.is_empty() {
                    hash.update(part.digest(self.kind));
                }
            }
            hex(hash)
        });
        digest.get(..digits).unwrap_or_default()
    }
}

/// The first 16 digits.
fn hex(hash: Sha256) -> String {
    let mut digits = String::with_capacity(16);
    for byte in hash.finalize().iter().take(8) {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// What one server has in a list: definitions with commas between them.
#[derive(Debug)]
pub(super) struct Segment {
    text: Box<[u8]>,
    /// Where each definition begins.
    pub(super) starts: Box<[usize]>,
    digest: OnceLock<[u8; 32]>,
}

impl Segment {
    /// The definitions from one to before another.
    fn slice(&self, from: usize, to: usize) -> &[u8] {
        let start = |at: usize| self.starts.get(at).copied();
        let begin = start(from).unwrap_or(self.text.len());
        // Without the comma.
        let end = start(to).map_or(self.text.len(), |next| next.saturating_sub(1));
        self.text.get(begin..end).unwrap_or_default()
    }

    /// Of a list that was written under names with this prefix.
    pub(super) fn digest(&self, prefix: &str, list: &List) -> &[u8; 32] {
        self.digest.get_or_init(|| {
            let mut hash = Sha256::new();
            hash.update(prefix.as_bytes());
            hash.update(list.digest());
            hash.finalize().into()
        })
    }
}

#[derive(Debug)]
pub(super) struct SegmentBuilder {
    text: Vec<u8>,
    starts: Vec<usize>,
}

impl SegmentBuilder {
    /// For so many bytes; more are taken, too.
    pub(super) fn new(size: usize) -> Self {
        Self {
            text: Vec::with_capacity(size),
            starts: Vec::new(),
        }
    }

    /// Where the next definition is to be appended.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if !self.starts.is_empty() {
            self.text.push(b',');
        }
        self.starts.push(self.text.len());
        &mut self.text
    }

    /// What was written of a list.
    pub(super) fn finish(self) -> Segment {
        Segment {
            text: self.text.into(),
            starts: self.starts.into(),
            digest: OnceLock::new(),
        }
    }
}

/// A list that is written for one endpoint alone.
pub(super) struct PagesBuilder {
    kind: Kind,
    /// Full ones.
    pages: Vec<Definitions>,
    /// The one that is written, and how many are in it.
    page: Vec<u8>,
    count: usize,
    hash: Sha256,
    page_size: usize,
}

impl PagesBuilder {
    pub(super) fn new(kind: Kind, page_size: usize) -> Self {
        Self {
            kind,
            pages: Vec::new(),
            page: Vec::new(),
            count: 0,
            hash: Sha256::new(),
            page_size: page_size.max(1),
        }
    }

    /// Notes whose definitions follow.
    pub(super) fn begin(&mut self, list: &List) {
        if !list.items.is_empty() {
            self.hash.update(list.digest());
        }
    }

    /// Where the next definition is to be appended.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if self.count == self.page_size {
            let full = std::mem::take(&mut self.page);
            self.pages.push(Definitions::Text(full.into()));
            self.count = 0;
        }
        if self.count > 0 {
            self.page.push(b',');
        }
        self.count += 1;
        &mut self.page
    }

    /// Appends a definition as it is.
    pub(super) fn push(&mut self, definition: &str) {
        self.hash.update(definition);
        self.hash.update([0]);
        self.next().extend_from_slice(definition.as_bytes());
    }

    pub(super) fn finish(mut self) -> Pages {
        self.pages.push(Definitions::Text(self.page.into()));
        let digest = OnceLock::from(hex(self.hash));
        Pages::made(self.kind, self.pages, digest, Arc::default())
    }
}
