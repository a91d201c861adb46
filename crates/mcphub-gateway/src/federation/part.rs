//! What one server adds to a snapshot. It is made when the server changes, and every snapshot until
//! then shares it: a change of one server costs what that server has, however many others there are.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use ahash::{AHashMap, AHashSet};
use mcphub_core::server::ServerName;

use super::kind::Kind;
use super::listing::{Listed, Listing};
use super::pages::{Segment, SegmentBuilder};
use super::snapshot::Member;
use super::view::{Origin, Route, View};
use super::{instructions, name, uri};
use crate::members::quoted;
use crate::upstream::{About, Upstream};

/// Where requests go, by the names that an endpoint has.
pub(super) type Names = AHashMap<Box<str>, Route>;

/// One server, ready for snapshots.
#[derive(Debug)]
pub struct Part {
    pub(super) server: ServerName,
    pub(super) upstream: Arc<dyn Upstream>,
    listing: Arc<Listing>,
    page_size: usize,
    /// What the endpoint says that has this server alone.
    alone: Arc<Origin>,
    /// That endpoint, made for the first who asks for it.
    one: OnceLock<Arc<View>>,
    pub(super) tools: Names,
    pub(super) prompts: Names,
    lists: [Segment; Kind::ALL.len()],
    pub(super) origin: Origin,
}

/// The parts of all servers.
#[derive(Debug)]
pub(super) struct Parts {
    /// In the order of their servers' names.
    pub(super) all: Arc<[Arc<Part>]>,
    by_name: AHashSet<Named>,
}

/// A part that is found by the name of its server.
#[derive(Debug)]
struct Named(Arc<Part>);

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        self.0.server.as_str()
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.server.as_str().hash(state);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0.server == other.0.server
    }
}

impl Eq for Named {}

impl Parts {
    pub(super) fn new(parts: &[Arc<Part>]) -> Self {
        let by_name = parts.iter().map(|part| Named(Arc::clone(part)));
        Self {
            all: parts.into(),
            by_name: by_name.collect(),
        }
    }

    pub(super) fn get(&self, server: &str) -> Option<&Arc<Part>> {
        self.by_name.get(server).map(|Named(part)| part)
    }
}

impl Part {
    /// What a server adds to snapshots whose pages have at most `page_size` tools.
    pub fn new(member: &Member<'_>, page_size: usize) -> Self {
        let (mut tools, mut prompts) = (Names::new(), Names::new());
        let prefix = prefix(member.server);
        let lists = Kind::ALL.map(|kind| {
            let list = member.listing.list(kind);
            let mut segment = SegmentBuilder::new(list.text_len(prefix.len()));
            let names = match kind {
                Kind::Prompts => &mut prompts,
                _ => &mut tools,
            };
            write(member.source(), kind, true, names, |it| it(segment.next()));
            segment.finish()
        });
        Self {
            server: member.server.clone(),
            upstream: Arc::clone(member.upstream),
            listing: Arc::clone(member.listing),
            page_size,
            alone: Arc::new(Origin::new(member, instructions::one(member))),
            one: OnceLock::new(),
            tools,
            prompts,
            lists,
            origin: Origin::new(member, instructions::line(member)),
        }
    }

    /// The endpoint that has this server alone.
    pub(super) fn one(&self) -> &Arc<View> {
        self.one.get_or_init(|| {
            let source = Source {
                server: &self.server,
                listing: &self.listing,
                upstream: &self.upstream,
            };
            Arc::new(View::one(source, Arc::clone(&self.alone), self.page_size))
        })
    }

    /// What it was made of.
    pub(crate) fn listing(&self) -> &Arc<Listing> {
        &self.listing
    }

    pub(super) fn list(&self, kind: Kind) -> &Segment {
        let [tools, prompts, resources, templates] = &self.lists;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources => resources,
            Kind::ResourceTemplates => templates,
        }
    }

    /// Changes with what the server has in a list, and with its name.
    pub(super) fn digest(&self, kind: Kind) -> &[u8; 32] {
        let list = self.listing.list(kind);
        self.list(kind).digest(&prefix(&self.server), list)
    }
}

fn prefix(server: &ServerName) -> String {
    format!("{server}_")
}

impl Origin {
    pub(super) fn new(member: &Member<'_>, text: String) -> Self {
        let mut about = About::default();
        about.join(&member.listing.about);
        Self {
            server: member.server.clone(),
            about,
            text,
        }
    }
}

/// A server with what it lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) server: &'a ServerName,
    pub(super) listing: &'a Listing,
    pub(super) upstream: &'a Arc<dyn Upstream>,
}

impl<'a> Member<'a> {
    pub(super) fn source(&self) -> Source<'a> {
        Source {
            server: self.server,
            listing: self.listing,
            upstream: self.upstream,
        }
    }
}

/// Writes what a list of a server has, each with its name or URI at an endpoint of many servers, or
/// of this one, and notes where requests for it go. `next` is given what writes one definition.
pub(super) fn write(
    source: Source<'_>,
    kind: Kind,
    prefixed: bool,
    names: &mut Names,
    mut next: impl FnMut(&dyn Fn(&mut Vec<u8>)),
) {
    let server = source.server;
    let link = |own: &str| {
        quoted(&if prefixed {
            uri::public(server, own)
        } else {
            own.to_owned()
        })
    };
    let items = &source.listing.list(kind).items;
    if kind.by_uri() {
        for item in items {
            next(&|out| item.write(&link(&item.key), link, out));
        }
        return;
    }
    let max = if prefixed {
        name::MAX_PREFIXED
    } else {
        name::MAX_OWN
    };
    names.reserve(items.len());
    for item in items {
        let full = if prefixed {
            format!("{server}_{}", item.key)
        } else {
            item.key.to_string()
        };
        // Names of other servers begin with other prefixes.
        let taken = |name: &str| names.contains_key(name);
        let Some(name) = name::public_name(&full, max, taken) else {
            continue;
        };
        // A legal name needs no escapes.
        next(&|out| item.write(&format!("\"{name}\""), link, out));
        names.insert(name.into(), route(source, item));
    }
}

/// Where requests for what a server lists go.
pub(super) fn route(source: Source<'_>, item: &Listed) -> Route {
    Route {
        parameters: Arc::clone(&item.parameters),
        reads: item.reads,
        repeatable: item.repeatable,
        ..Route::new(source.server, item.key.clone(), source.upstream)
    }
}
