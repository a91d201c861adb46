//! Everything that is served at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcphub_core::server::ServerName;
use mcphub_core::tool::ApiInfo;

use super::listing::Listing;
use super::view::View;
use crate::upstream::Upstream;

/// All views at one moment. Immutable: a request that holds one is not disturbed by changes.
#[derive(Debug)]
pub struct Snapshot {
    all: Arc<View>,
    servers: BTreeMap<ServerName, Arc<View>>,
}

/// Which tools an endpoint has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of all servers, with prefixed names.
    All,
    /// Those of one server, with their own names.
    Server(ServerName),
}

/// One server as it goes into a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its name.
    pub server: &'a ServerName,
    /// The API behind it.
    pub api: &'a ApiInfo,
    /// What it lists.
    pub listing: &'a Listing,
    /// Where its calls go.
    pub upstream: &'a Arc<dyn Upstream>,
}

impl Snapshot {
    /// A snapshot of these servers with at most `page_size` tools in a page.
    ///
    /// Lists are in the order of the servers' names, and of each server's own list. The same
    /// members give the same names, whatever their order.
    pub fn new(members: &[Member<'_>], page_size: usize) -> Self {
        let mut members = members.to_vec();
        members.sort_by(|a, b| a.server.cmp(b.server));
        members.dedup_by(|a, b| a.server == b.server);
        let all = View::all(&members, page_size);
        let servers = members.iter().map(|member| {
            let view = View::one(member, page_size);
            (member.server.clone(), Arc::new(view))
        });
        Self {
            servers: servers.collect(),
            all: Arc::new(all),
        }
    }

    /// The view of a scope; `None` when there is no such server.
    pub fn view(&self, scope: &Scope) -> Option<&Arc<View>> {
        match scope {
            Scope::All => Some(&self.all),
            Scope::Server(name) => self.servers.get(name),
        }
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
