//! A list in pages, as finished text.

use std::fmt::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::listing::List;
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
    pages: Vec<Sheet>,
    digest: String,
}

/// The text of a page in pieces, which others have too, until somebody asks for the page.
#[derive(Debug, Clone)]
struct Sheet {
    pieces: Vec<Bytes>,
    page: OnceLock<Page>,
}

impl Sheet {
    /// As large as a page, so that putting it together takes less than a millisecond for most.
    fn page(&self) -> &Page {
        self.page.get_or_init(|| Page {
            result: self.pieces.concat().into(),
        })
    }
}

impl Pages {
    /// The list that has these one after the other.
    pub(super) fn of<'a>(
        kind: Kind,
        segments: impl IntoIterator<Item = &'a Segment>,
        page_size: usize,
    ) -> Self {
        let page_size = page_size.max(1);
        let mut hash = Sha256::new();
        let (mut pages, mut page, mut count) = (Vec::new(), Vec::new(), 0);
        for segment in segments.into_iter().filter(|it| !it.starts.is_empty()) {
            hash.update(segment.digest);
            let mut at = 0;
            while at < segment.starts.len() {
                if count == page_size {
                    pages.push(std::mem::take(&mut page));
                    count = 0;
                }
                let next = segment.starts.len().min(at + page_size - count);
                if count > 0 {
                    page.push(Bytes::from_static(b","));
                }
                page.push(segment.slice(at, next));
                count += next - at;
                at = next;
            }
        }
        pages.push(page);
        Self::finished(kind, pages, hash)
    }

    /// Pages with what is before and after their definitions.
    fn finished(kind: Kind, pages: Vec<Vec<Bytes>>, hash: Sha256) -> Self {
        let mut digest = String::with_capacity(16);
        for byte in hash.finalize().iter().take(8) {
            // Writing to a String cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        let (count, head) = (pages.len(), Bytes::from(opened(kind)));
        let sheet = |(index, definitions): (usize, Vec<Bytes>)| {
            let tail = match index + 1 {
                next if next < count => format!(r#"],"nextCursor":"{digest}-{next}"}}"#),
                _ => "]}".to_owned(),
            };
            let mut pieces = Vec::with_capacity(definitions.len() + 2);
            pieces.push(head.clone());
            pieces.extend(definitions);
            pieces.push(tail.into());
            Sheet {
                pieces,
                page: OnceLock::new(),
            }
        };
        let pages = pages.into_iter().enumerate().map(sheet).collect();
        Self { pages, digest }
    }

    pub(super) fn page(&self, cursor: Option<&str>) -> Option<&Page> {
        let Some(cursor) = cursor else {
            return self.pages.first().map(Sheet::page);
        };
        let (digest, index) = cursor.split_once('-')?;
        let index: usize = index.parse().ok()?;
        (digest == self.digest && index > 0)
            .then(|| self.pages.get(index).map(Sheet::page))
            .flatten()
    }

    /// The text of each page.
    pub(super) fn texts(&self) -> Vec<Bytes> {
        let pages = self.pages.iter().map(Sheet::page);
        pages.map(|page| page.result.clone()).collect()
    }

    /// The definitions in the list, in its order.
    pub(super) fn definitions(&self, kind: Kind) -> impl Iterator<Item = &RawValue> {
        self.pages
            .iter()
            .flat_map(move |sheet| sheet.page().definitions(kind))
    }

    /// The first of 16 hex digits that change with the list.
    pub(super) fn digest(&self, digits: usize) -> &str {
        self.digest.get(..digits).unwrap_or_default()
    }
}

/// What one server has in a list: definitions with commas between them.
#[derive(Debug)]
pub(super) struct Segment {
    text: Bytes,
    /// Where each definition begins.
    starts: Vec<usize>,
    digest: [u8; 32],
}

impl Segment {
    /// The definitions from one to before another.
    fn slice(&self, from: usize, to: usize) -> Bytes {
        let start = |at: usize| self.starts.get(at).copied();
        let begin = start(from).unwrap_or(self.text.len());
        // Without the comma.
        let end = start(to).map_or(self.text.len(), |next| next - 1);
        self.text.slice(begin..end)
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

    /// What was written of a list, under names with this prefix.
    pub(super) fn finish(mut self, prefix: &str, list: &List) -> Segment {
        // It stays as long as the server lists this.
        self.text.shrink_to_fit();
        self.starts.shrink_to_fit();
        let mut hash = Sha256::new();
        hash.update(prefix.as_bytes());
        hash.update(list.digest);
        Segment {
            text: self.text.into(),
            starts: self.starts,
            digest: hash.finalize().into(),
        }
    }
}

/// A list that is written for one endpoint alone.
pub(super) struct PagesBuilder {
    kind: Kind,
    /// Full ones.
    pages: Vec<Vec<Bytes>>,
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
            self.hash.update(list.digest);
        }
    }

    /// Where the next definition is to be appended.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if self.count == self.page_size {
            let full = std::mem::take(&mut self.page);
            self.pages.push(vec![full.into()]);
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
        self.pages.push(vec![self.page.into()]);
        Pages::finished(self.kind, self.pages, self.hash)
    }
}

fn opened(kind: Kind) -> String {
    format!(r#"{{"{}":["#, kind.member())
}
