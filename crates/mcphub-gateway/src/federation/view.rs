//! What a client sees at one endpoint.

use std::collections::HashMap;
use std::sync::Arc;

use mcphub_core::server::ServerName;
use serde_json::Value;

use super::kind::Kind;
use super::name;
use super::pages::{Page, Pages, PagesBuilder};
use super::parameter::HeaderParameter;
use super::snapshot::Member;
use super::uri;
use crate::members::quoted;
use crate::upstream::{About, Upstream};

/// What one endpoint has: its lists as finished text, and where each request goes.
#[derive(Debug)]
pub struct View {
    tools: HashMap<Box<str>, Route>,
    prompts: HashMap<Box<str>, Route>,
    servers: Servers,
    lists: [Pages; Kind::ALL.len()],
    digest: String,
    about: About,
    capabilities: Value,
    instructions: String,
}

/// Where requests go that name no tool and no prompt.
#[derive(Debug)]
enum Servers {
    /// To the server that a URI names.
    All(HashMap<ServerName, Arc<dyn Upstream>>),
    /// To the only one.
    One(ServerName, Arc<dyn Upstream>),
}

/// Where requests for one thing go.
#[derive(Debug, Clone)]
pub struct Route {
    /// The server.
    pub server: ServerName,
    /// Its own name or URI there.
    pub own: Box<str>,
    /// The server's upstream.
    pub upstream: Arc<dyn Upstream>,
    /// The arguments of a tool that a server over HTTP wants to have as headers too.
    pub parameters: Arc<[HeaderParameter]>,
}

impl Route {
    /// Where a request about something else than a tool goes.
    pub(crate) fn new(
        server: &ServerName,
        own: impl Into<Box<str>>,
        upstream: &Arc<dyn Upstream>,
    ) -> Self {
        Self {
            server: server.clone(),
            own: own.into(),
            upstream: Arc::clone(upstream),
            parameters: Arc::default(),
        }
    }
}

impl View {
    /// The view of these servers with prefixed names.
    pub(super) fn all(members: &[Member<'_>], instructions: String, page_size: usize) -> Self {
        let mut view = ViewBuilder::new(page_size);
        for member in members {
            view.add(member, true);
        }
        let servers = members
            .iter()
            .map(|member| (member.server.clone(), Arc::clone(member.upstream)));
        view.finish(instructions, Servers::All(servers.collect()))
    }

    /// The view of one server with its own names.
    pub(super) fn one(member: &Member<'_>, instructions: String, page_size: usize) -> Self {
        let mut view = ViewBuilder::new(page_size);
        view.add(member, false);
        let servers = Servers::One(member.server.clone(), Arc::clone(member.upstream));
        view.finish(instructions, servers)
    }

    /// Where the calls of a tool go.
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.tools.get(name)
    }

    /// Where requests for a prompt go.
    pub fn prompt(&self, name: &str) -> Option<&Route> {
        self.prompts.get(name)
    }

    /// Where requests for a resource go: the URI says it, for it may be that of a template, or one
    /// that no list has.
    pub fn resource(&self, uri: &str) -> Option<Route> {
        match &self.servers {
            Servers::One(server, upstream) => Some(Route::new(server, uri, upstream)),
            Servers::All(servers) => {
                let (server, own) = uri::own(uri)?;
                let (server, upstream) = servers.get_key_value(&ServerName::new(server).ok()?)?;
                Some(Route::new(server, own, upstream))
            }
        }
    }

    /// The only server, where all requests of this endpoint go to one.
    pub fn alone(&self) -> Option<(&ServerName, &Arc<dyn Upstream>)> {
        match &self.servers {
            Servers::One(server, upstream) => Some((server, upstream)),
            Servers::All(_) => None,
        }
    }

    /// A server of the endpoint.
    pub fn server(&self, name: &str) -> Option<(&ServerName, &Arc<dyn Upstream>)> {
        match &self.servers {
            Servers::One(server, upstream) => {
                (server.as_str() == name).then_some((server, upstream))
            }
            Servers::All(servers) => servers.get_key_value(&ServerName::new(name).ok()?),
        }
    }

    /// The URI under which this endpoint has a resource of a server.
    pub fn public_uri(&self, server: &ServerName, own: &str) -> String {
        match &self.servers {
            Servers::One(..) => own.to_owned(),
            Servers::All(_) => uri::public(server, own),
        }
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are no tools.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// The first page of a list, or the one of a `nextCursor`. `None` for any other cursor, also one
    /// of a list that has changed since: its pages would not fit together.
    pub fn page(&self, kind: Kind, cursor: Option<&str>) -> Option<&Page> {
        self.list(kind).page(cursor)
    }

    /// 32 hex digits that change with the lists: 16 for tools, 8 for prompts, 8 for resources and
    /// templates.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the servers of the endpoint can do besides their tools.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The member `capabilities` of `initialize` and `server/discover`.
    pub fn capabilities(&self) -> &Value {
        &self.capabilities
    }

    /// What the endpoint tells a model about itself.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }

    fn list(&self, kind: Kind) -> &Pages {
        let [tools, prompts, resources, templates] = &self.lists;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources => resources,
            Kind::ResourceTemplates => templates,
        }
    }
}

struct ViewBuilder {
    tools: HashMap<Box<str>, Route>,
    prompts: HashMap<Box<str>, Route>,
    lists: [PagesBuilder; Kind::ALL.len()],
    about: About,
}

impl ViewBuilder {
    fn new(page_size: usize) -> Self {
        Self {
            tools: HashMap::new(),
            prompts: HashMap::new(),
            lists: Kind::ALL.map(|kind| PagesBuilder::new(kind, page_size)),
            about: About::default(),
        }
    }

    fn add(&mut self, member: &Member<'_>, prefixed: bool) {
        let server = member.server;
        let prefix = if prefixed {
            format!("{server}_")
        } else {
            String::new()
        };
        let link = |own: &str| {
            quoted(&if prefixed {
                uri::public(server, own)
            } else {
                own.to_owned()
            })
        };
        let Self {
            tools,
            prompts,
            lists,
            about,
        } = self;
        about.join(&member.listing.about);
        for (kind, pages) in Kind::ALL.into_iter().zip(lists) {
            let list = member.listing.list(kind);
            pages.begin(&prefix, list);
            if kind.by_uri() {
                for item in &list.items {
                    item.write(&link(&item.key), link, pages.next());
                }
                continue;
            }
            let routes = match kind {
                Kind::Prompts => &mut *prompts,
                _ => &mut *tools,
            };
            let max = if prefixed {
                name::MAX_PREFIXED
            } else {
                name::MAX_OWN
            };
            for item in &list.items {
                let full = format!("{prefix}{}", item.key);
                let taken = |name: &str| routes.contains_key(name);
                let Some(name) = name::public_name(&full, max, taken) else {
                    continue;
                };
                // A legal name needs no escapes.
                item.write(&format!("\"{name}\""), link, pages.next());
                let route = Route {
                    server: server.clone(),
                    own: item.key.clone(),
                    upstream: Arc::clone(member.upstream),
                    parameters: Arc::clone(&item.parameters),
                };
                routes.insert(name.into(), route);
            }
        }
    }

    fn finish(self, instructions: String, servers: Servers) -> View {
        let lists = self.lists.map(PagesBuilder::finish);
        let [tools, prompts, resources, templates] = &lists;
        let digest = [
            tools.digest(16),
            prompts.digest(8),
            resources.digest(4),
            templates.digest(4),
        ]
        .concat();
        View {
            tools: self.tools,
            prompts: self.prompts,
            servers,
            digest,
            capabilities: self.about.capabilities(),
            about: self.about,
            instructions,
            lists,
        }
    }
}
