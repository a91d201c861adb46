//! A list in pages, as finished text.

use std::fmt::Write;

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
    pages: Vec<Page>,
    digest: String,
}

impl Pages {
    pub(super) fn page(&self, cursor: Option<&str>) -> Option<&Page> {
        let Some(cursor) = cursor else {
            return self.pages.first();
        };
        let (digest, index) = cursor.split_once('-')?;
        let index: usize = index.parse().ok()?;
        (digest == self.digest && index > 0)
            .then(|| self.pages.get(index))
            .flatten()
    }

    /// The text of each page.
    pub(super) fn texts(&self) -> Vec<Bytes> {
        self.pages.iter().map(|page| page.result.clone()).collect()
    }

    /// The definitions in the list, in its order.
    pub(super) fn definitions(&self, kind: Kind) -> impl Iterator<Item = &RawValue> {
        self.pages
            .iter()
            .flat_map(move |page| page.definitions(kind))
    }

    /// The first of 16 hex digits that change with the list.
    pub(super) fn digest(&self, digits: usize) -> &str {
        self.digest.get(..digits).unwrap_or_default()
    }
}

pub(super) struct PagesBuilder {
    kind: Kind,
    /// Full ones.
    pages: Vec<Vec<u8>>,
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
            page: opened(kind),
            count: 0,
            hash: Sha256::new(),
            page_size: page_size.max(1),
        }
    }

    /// Notes whose definitions follow.
    pub(super) fn begin(&mut self, prefix: &str, list: &List) {
        if !list.items.is_empty() {
            self.hash.update(prefix.as_bytes());
            self.hash.update(list.digest);
        }
    }

    /// Where the next definition is to be appended.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if self.count == self.page_size {
            self.pages
                .push(std::mem::replace(&mut self.page, opened(self.kind)));
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
        self.pages.push(self.page);
        let mut digest = String::with_capacity(16);
        for byte in &self.hash.finalize()[..8] {
            // Writing to a String cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        let count = self.pages.len();
        let pages = self
            .pages
            .into_iter()
            .enumerate()
            .map(|(index, mut page)| {
                page.push(b']');
                if index + 1 < count {
                    page.extend_from_slice(
                        format!(r#","nextCursor":"{digest}-{}""#, index + 1).as_bytes(),
                    );
                }
                page.push(b'}');
                Page {
                    result: page.into(),
                }
            })
            .collect();
        Pages { pages, digest }
    }
}

fn opened(kind: Kind) -> Vec<u8> {
    format!(r#"{{"{}":["#, kind.member()).into_bytes()
}
