//! Everything that is served at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcphub_core::server::ServerName;
use mcphub_core::tool::{ApiInfo, ToolSet};
use mcphub_core::virtual_server::VirtualServer;

use super::listing::Listing;
use super::part::Part;
use super::view::View;
use crate::upstream::Upstream;

/// All views at one moment. Immutable: a request that holds one is not disturbed by changes.
#[derive(Debug)]
pub struct Snapshot {
    all: Arc<View>,
    virtual_servers: BTreeMap<ServerName, Arc<View>>,
}

/// Which tools an endpoint has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of all servers, with prefixed names.
    All,
    /// Those of one server, with their own names, or of a virtual one.
    Server(ServerName),
    /// Three that find, describe and call those of all servers, or of one.
    Found(Option<ServerName>),
}

impl Scope {
    /// The same with tools that are found rather than listed.
    #[must_use]
    pub fn found(self) -> Self {
        match self {
            Self::All => Self::Found(None),
            Self::Server(name) => Self::Found(Some(name)),
            found @ Self::Found(_) => found,
        }
    }
}

/// One server as it goes into a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its name.
    pub server: &'a ServerName,
    /// The API behind it.
    pub api: &'a ApiInfo,
    /// What its tools were made of, where mcphub made them.
    pub plan: Option<&'a ToolSet>,
    /// What it lists.
    pub listing: &'a Arc<Listing>,
    /// Where its calls go.
    pub upstream: &'a Arc<dyn Upstream>,
}

impl Snapshot {
    /// A snapshot of these servers with at most `page_size` tools in a page.
    ///
    /// Lists are in the order of the servers' names, and of each server's own list. The same
    /// members give the same names, whatever their order.
    pub fn new(members: &[Member<'_>], page_size: usize) -> Self {
        Self::with_virtual(members, &[], page_size)
    }

    /// The same with these virtual servers, which go before servers of their names.
    pub fn with_virtual(
        members: &[Member<'_>],
        virtual_servers: &[VirtualServer],
        page_size: usize,
    ) -> Self {
        let mut members = members.to_vec();
        members.sort_by(|a, b| a.server.cmp(b.server));
        members.dedup_by(|a, b| a.server == b.server);
        let parts = members.iter().map(|it| Arc::new(Part::new(it, page_size)));
        let parts: Vec<_> = parts.collect();
        Self::of(&parts, &members, virtual_servers, page_size)
    }

    /// The same of parts that were made before: one for each member, both in the order of their
    /// servers' names. It costs a few operations for each server, and no more for its tools but
    /// those that virtual servers have.
    pub fn of(
        parts: &[Arc<Part>],
        members: &[Member<'_>],
        virtual_servers: &[VirtualServer],
        page_size: usize,
    ) -> Self {
        let chosen = virtual_servers.iter().map(|server| {
            let view = View::chosen(members, server, page_size);
            (server.name.clone(), Arc::new(view))
        });
        Self {
            virtual_servers: chosen.collect(),
            all: Arc::new(View::all(parts, page_size)),
        }
    }

    /// The view of a scope; `None` when there is no such server.
    pub fn view(&self, scope: &Scope) -> Option<&Arc<View>> {
        let view = self.listed(scope)?;
        Some(match scope {
            Scope::Found(_) => view.searching(),
            Scope::All | Scope::Server(_) => view,
        })
    }

    /// The view of a scope with all tools listed.
    pub(crate) fn listed(&self, scope: &Scope) -> Option<&Arc<View>> {
        match scope {
            Scope::All | Scope::Found(None) => Some(&self.all),
            Scope::Server(name) | Scope::Found(Some(name)) => {
                let chosen = self.virtual_servers.get(name);
                chosen.or_else(|| self.all.part(name))
            }
        }
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
