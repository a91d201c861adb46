//! What a client sees at one endpoint.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use mcphub_core::server::ServerName;
use sha2::{Digest, Sha256};

use super::listing::Listing;
use super::name;
use super::snapshot::Member;
use crate::upstream::Upstream;

/// The tools of one endpoint: their list as finished text, and where each call goes.
#[derive(Debug)]
pub struct View {
    routes: HashMap<Box<str>, Route>,
    pages: Vec<Page>,
    digest: String,
    instructions: String,
}

/// Where the calls of a tool go.
#[derive(Debug, Clone)]
pub struct Route {
    /// The server.
    pub server: ServerName,
    /// The tool's own name there.
    pub tool: Box<str>,
    /// The server's upstream.
    pub upstream: Arc<dyn Upstream>,
}

/// One page of `tools/list`.
#[derive(Debug, Clone)]
pub struct Page {
    /// The result: `{"tools":[…]}`, with `nextCursor` where there is another page. It is the same
    /// in every revision of MCP but for members that the newest adds.
    pub result: Bytes,
}

impl View {
    /// The view of these servers with prefixed names.
    pub(super) fn all(members: &[Member<'_>], instructions: String, page_size: usize) -> Self {
        let mut view = ViewBuilder::new(page_size);
        for member in members {
            let prefix = format!("{}_", member.server);
            view.add(member, member.listing, &prefix, name::MAX_PREFIXED);
        }
        view.finish(instructions)
    }

    /// The view of one server with its own names.
    pub(super) fn one(member: &Member<'_>, instructions: String, page_size: usize) -> Self {
        let mut view = ViewBuilder::new(page_size);
        view.add(member, member.listing, "", name::MAX_OWN);
        view.finish(instructions)
    }

    /// Where the calls of a tool go.
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.get(name)
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The first page, or the one of a `nextCursor`. `None` for any other cursor, also one of a
    /// list that has changed since: its pages would not fit together.
    pub fn page(&self, cursor: Option<&str>) -> Option<&Page> {
        let Some(cursor) = cursor else {
            return self.pages.first();
        };
        let (digest, index) = cursor.split_once('-')?;
        let index: usize = index.parse().ok()?;
        (digest == self.digest && index > 0)
            .then(|| self.pages.get(index))
            .flatten()
    }

    /// 16 hex digits that change with the list.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the endpoint tells a model about itself.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }
}

struct ViewBuilder {
    routes: HashMap<Box<str>, Route>,
    pages: Vec<(Vec<u8>, usize)>,
    hash: Sha256,
    page_size: usize,
}

impl ViewBuilder {
    fn new(page_size: usize) -> Self {
        Self {
            routes: HashMap::new(),
            pages: vec![(Vec::new(), 0)],
            hash: Sha256::new(),
            page_size: page_size.max(1),
        }
    }

    fn add(&mut self, member: &Member<'_>, listing: &Listing, prefix: &str, max: usize) {
        self.hash.update(prefix.as_bytes());
        self.hash.update(listing.digest);
        for tool in &listing.tools {
            let full = format!("{prefix}{}", tool.name);
            let Some(name) = name::public_name(&full, max, |name| self.routes.contains_key(name))
            else {
                continue;
            };
            if self
                .pages
                .last()
                .is_some_and(|(_, count)| *count == self.page_size)
            {
                self.pages.push((Vec::new(), 0));
            }
            if let Some((page, count)) = self.pages.last_mut() {
                page.extend_from_slice(if *count == 0 { br#"{"tools":["# } else { b"," });
                tool.write(&name, page);
                *count += 1;
            }
            let route = Route {
                server: member.server.clone(),
                tool: tool.name.clone(),
                upstream: Arc::clone(member.upstream),
            };
            self.routes.insert(name.into(), route);
        }
    }

    fn finish(self, instructions: String) -> View {
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
            .map(|(index, (mut page, tools))| {
                page.extend_from_slice(if tools == 0 { br#"{"tools":[]"# } else { b"]" });
                if index + 1 < count {
                    page.extend_from_slice(
                        format!(r#","nextCursor":"{digest}-{}""#, index + 1).as_bytes(),
                    );
                }
                page.push(b'}');
                Page {
                    result: page.into(),
                }
            });
        View {
            pages: pages.collect(),
            routes: self.routes,
            digest,
            instructions,
        }
    }
}
