//! What a client sees at one endpoint.

use std::sync::{Arc, OnceLock};

use ahash::AHashMap;
use mcphub_core::principal::{Denial, Permissions};
use mcphub_core::server::ServerName;
use mcphub_core::virtual_server::{Pattern, VirtualServer};
use serde_json::Value;

use super::instructions;
use super::kind::Kind;
use super::name;
use super::pages::{Page, Pages, PagesBuilder};
use super::parameter::HeaderParameter;
use super::part::{self, Names, Part, Parts, Source};
use super::restricted::Restricted;
use super::search::Search;
use super::snapshot::Member;
use super::uri;
use super::virtual_server::{self, Preset};
use crate::members::quoted;
use crate::upstream::{About, Upstream};

/// What one endpoint has: its lists as finished text, and where each request goes.
#[derive(Debug)]
pub struct View {
    pub(super) routes: Arc<Routes>,
    pub(super) lists: [Pages; Kind::ALL.len()],
    digest: OnceLock<String>,
    about: About,
    capabilities: Value,
    instructions: String,
    pub(super) page_size: usize,
    /// What the one who looks may do, where that is not everything.
    pub(super) permissions: Option<Arc<Permissions>>,
    pub(super) restricted: Restricted,
    /// The tools, where they are found rather than listed.
    pub(super) search: Option<Search>,
    /// The view of that kind, where this is the other.
    pub(super) searching: OnceLock<Arc<View>>,
}

/// Where the requests of an endpoint go, whoever makes them.
#[derive(Debug)]
pub(super) struct Routes {
    tools: Names,
    prompts: Names,
    servers: Servers,
    /// The resources that may be asked for, where not all are.
    selected: Option<Vec<Pattern>>,
    /// What is told to a model in place of what is said of the servers.
    told: Option<String>,
    /// Of an endpoint that has not all servers.
    origins: Vec<Arc<Origin>>,
}

/// What an endpoint says of one of its servers.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) server: ServerName,
    pub(super) about: About,
    /// Its part of the instructions.
    pub(super) text: String,
}

/// Where requests go that name no tool and no prompt.
#[derive(Debug)]
enum Servers {
    /// To the server that a URI names; names of tools and prompts begin with it, too.
    All(Parts),
    /// To the server that a URI names, of a virtual one.
    Chosen(AHashMap<ServerName, Arc<dyn Upstream>>),
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
    /// Whether it is a tool whose annotations say that it only reads.
    pub reads: bool,
    /// Whether twice is as good as once: it only reads, or its annotations say that it is idempotent.
    pub repeatable: bool,
    /// Arguments that are not the caller's.
    pub(crate) preset: Option<Arc<Preset>>,
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// The endpoint has no such thing.
    Unknown,
    /// It may not be used, because of this rule.
    Denied {
        /// The server.
        server: ServerName,
        /// The tool's own name there; `None` for all else that a server has.
        tool: Option<Box<str>>,
        /// The rule.
        denial: Denial,
    },
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
            reads: false,
            repeatable: false,
            preset: None,
        }
    }
}

impl View {
    /// The view of these servers, in their order, with prefixed names.
    pub(super) fn all(parts: &[Arc<Part>], page_size: usize) -> Self {
        let parts = Parts::new(parts);
        let lists = Kind::ALL.map(|kind| Pages::of(kind, &parts.all, page_size));
        Routes {
            tools: Names::default(),
            prompts: Names::default(),
            servers: Servers::All(parts),
            selected: None,
            told: None,
            origins: Vec::new(),
        }
        .view(lists, page_size)
    }

    /// The view of one server with its own names.
    pub(super) fn one(source: Source<'_>, origin: Arc<Origin>, page_size: usize) -> Self {
        let mut view = ViewBuilder::new(page_size);
        view.add(source, origin);
        let servers = Servers::One(source.server.clone(), Arc::clone(source.upstream));
        view.finish(servers)
    }

    /// The view of a virtual server.
    pub(super) fn chosen(members: &[Member<'_>], server: &VirtualServer, page_size: usize) -> Self {
        let mut view = ViewBuilder::new(page_size);
        let members = members
            .iter()
            .filter(|member| virtual_server::has_server(server, member));
        let members: Vec<_> = members.collect();
        for member in &members {
            view.choose(member, server);
        }
        let servers = members
            .iter()
            .map(|member| (member.server.clone(), Arc::clone(member.upstream)));
        view.selected = Some(server.resources.clone());
        view.told.clone_from(&server.instructions);
        view.finish(Servers::Chosen(servers.collect()))
    }

    /// Where the calls of a tool go.
    ///
    /// # Errors
    /// Why they go nowhere.
    pub fn route(&self, name: &str) -> Result<&Route, NoRoute> {
        let route = self.routes.tool(name).ok_or(NoRoute::Unknown)?;
        match &self.permissions {
            None => Ok(route),
            Some(permissions) => permissions
                .decide(&route.server, &route.own, route.reads)
                .map(|()| route)
                .map_err(|denial| NoRoute::Denied {
                    server: route.server.clone(),
                    tool: Some(route.own.clone()),
                    denial,
                }),
        }
    }

    /// Where requests for a prompt go.
    ///
    /// # Errors
    /// Why they go nowhere.
    pub fn prompt(&self, name: &str) -> Result<&Route, NoRoute> {
        let route = self.routes.prompt(name).ok_or(NoRoute::Unknown)?;
        self.may_use(&route.server, true).map(|()| route)
    }

    /// Where requests for a resource go: the URI says it, for it may be that of a template, or one
    /// that no list has.
    ///
    /// # Errors
    /// Why they go nowhere.
    pub fn resource(&self, uri: &str) -> Result<Route, NoRoute> {
        let route = self.routes.resource(uri).ok_or(NoRoute::Unknown)?;
        self.may_use(&route.server, true).map(|()| route)
    }

    /// Whether what a server has besides tools may be used; `reads` says that doing so changes
    /// nothing.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn may_use(&self, server: &ServerName, reads: bool) -> Result<(), NoRoute> {
        self.permit(server, |permissions| {
            permissions.decide_whole(server, reads)
        })
    }

    /// Whether anything of a server may be used.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn reaches(&self, server: &ServerName) -> Result<(), NoRoute> {
        self.permit(server, |permissions| permissions.reaches(server))
    }

    fn permit(
        &self,
        server: &ServerName,
        decide: impl FnOnce(&Permissions) -> Result<(), Denial>,
    ) -> Result<(), NoRoute> {
        let decided = self.permissions.as_deref().map_or(Ok(()), decide);
        decided.map_err(|denial| NoRoute::Denied {
            server: server.clone(),
            tool: None,
            denial,
        })
    }

    /// The only server, where all requests of this endpoint go to one.
    pub fn alone(&self) -> Option<(&ServerName, &Arc<dyn Upstream>)> {
        match &self.routes.servers {
            Servers::One(server, upstream) => Some((server, upstream)),
            Servers::All(_) | Servers::Chosen(_) => None,
        }
    }

    /// The view of one of its servers, where it has all.
    pub(super) fn part(&self, server: &ServerName) -> Option<&Arc<Self>> {
        match &self.routes.servers {
            Servers::All(parts) => parts.get(server.as_str()).map(|part| part.one()),
            Servers::Chosen(_) | Servers::One(..) => None,
        }
    }

    /// A server of the endpoint.
    pub fn server(&self, name: &str) -> Option<(&ServerName, &Arc<dyn Upstream>)> {
        match &self.routes.servers {
            Servers::One(server, upstream) => {
                (server.as_str() == name).then_some((server, upstream))
            }
            _ => self.routes.server(&ServerName::new(name).ok()?),
        }
    }

    /// The URI under which this endpoint has a resource of a server.
    pub fn public_uri(&self, server: &ServerName, own: &str) -> String {
        match &self.routes.servers {
            Servers::One(..) => own.to_owned(),
            Servers::All(_) | Servers::Chosen(_) => uri::public(server, own),
        }
    }

    /// The first page of a list, or the one of a `nextCursor`. `None` for any other cursor, also one
    /// of a list that has changed since: its pages would not fit together.
    pub fn page(&self, kind: Kind, cursor: Option<&str>) -> Option<&Page> {
        self.list(kind).page(cursor)
    }

    /// How many tools there are, whoever may call them.
    pub(crate) fn tool_count(&self) -> usize {
        match &self.routes.servers {
            Servers::All(parts) => parts.all.iter().map(|part| part.tools.len()).sum(),
            Servers::Chosen(_) | Servers::One(..) => self.routes.tools.len(),
        }
    }

    /// The tools, where they are found rather than listed.
    pub(crate) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    /// 32 hex digits that change with the lists: 16 for tools, 8 for prompts, 8 for resources and
    /// templates.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let [tools, prompts, resources, templates] = &self.lists;
            [
                tools.digest(16),
                prompts.digest(8),
                resources.digest(4),
                templates.digest(4),
            ]
            .concat()
        })
    }

    /// Whether the one who looks may not do everything.
    pub fn is_restricted(&self) -> bool {
        self.permissions.is_some()
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

    /// A view of all that there is.
    pub(super) fn of(
        routes: Arc<Routes>,
        lists: [Pages; Kind::ALL.len()],
        about: About,
        instructions: String,
        page_size: usize,
    ) -> Self {
        Self {
            routes,
            digest: OnceLock::new(),
            capabilities: about.capabilities(),
            about,
            instructions,
            lists,
            page_size,
            permissions: None,
            restricted: Restricted::default(),
            search: None,
            searching: OnceLock::new(),
        }
    }

    pub(super) fn list(&self, kind: Kind) -> &Pages {
        let [tools, prompts, resources, templates] = &self.lists;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources => resources,
            Kind::ResourceTemplates => templates,
        }
    }
}

impl Routes {
    /// Where the calls of a tool go.
    pub(super) fn tool(&self, name: &str) -> Option<&Route> {
        match self.part(name) {
            None => self.tools.get(name),
            Some(part) => part.tools.get(name),
        }
    }

    /// Where requests for a prompt go.
    pub(super) fn prompt(&self, name: &str) -> Option<&Route> {
        match self.part(name) {
            None => self.prompts.get(name),
            Some(part) => part.prompts.get(name),
        }
    }

    /// The part of the server that a name begins with; none where names need no prefix, and for a
    /// name without one.
    fn part(&self, name: &str) -> Option<&Part> {
        let Servers::All(parts) = &self.servers else {
            return None;
        };
        let (server, _) = name.split_once('_')?;
        parts.get(server).map(Arc::as_ref)
    }

    fn server(&self, name: &ServerName) -> Option<(&ServerName, &Arc<dyn Upstream>)> {
        match &self.servers {
            Servers::All(parts) => {
                let part = parts.get(name.as_str())?;
                Some((&part.server, &part.upstream))
            }
            Servers::Chosen(servers) => servers.get_key_value(name),
            Servers::One(server, upstream) => (server == name).then_some((server, upstream)),
        }
    }

    fn view(self, lists: [Pages; Kind::ALL.len()], page_size: usize) -> View {
        let mut about = About::default();
        for origin in self.origins() {
            about.join(&origin.about);
        }
        let instructions = self.instructions(|_| true);
        View::of(Arc::new(self), lists, about, instructions, page_size)
    }

    /// Where requests for a resource go, by its URI or by that of a template.
    pub(super) fn resource(&self, uri: &str) -> Option<Route> {
        match &self.servers {
            Servers::One(server, upstream) => Some(Route::new(server, uri, upstream)),
            Servers::All(_) | Servers::Chosen(_) => {
                let (server, own) = uri::own(uri)?;
                let (server, upstream) = self.server(&ServerName::new(server).ok()?)?;
                let selected = self.selected.as_deref();
                selected
                    .is_none_or(|selected| Pattern::any(selected, server, &own))
                    .then(|| Route::new(server, own, upstream))
            }
        }
    }

    /// What the endpoint says of each of its servers, in their order.
    pub(super) fn origins(&self) -> impl Iterator<Item = &Origin> + Clone {
        let all: &[Arc<Part>] = match &self.servers {
            Servers::All(parts) => &parts.all,
            Servers::Chosen(_) | Servers::One(..) => &[],
        };
        let of_parts = all.iter().map(|part| &part.origin);
        of_parts.chain(self.origins.iter().map(|origin| &**origin))
    }

    /// What the endpoint tells a model about those of its servers that are seen.
    pub(super) fn instructions(&self, sees: impl Fn(&ServerName) -> bool) -> String {
        let mut seen = self.origins().filter(|origin| sees(&origin.server));
        if let Some(told) = self.told.as_ref().filter(|_| seen.clone().next().is_some()) {
            return told.clone();
        }
        match &self.servers {
            Servers::One(..) => seen.next().map(|origin| origin.text.clone()),
            Servers::All(_) | Servers::Chosen(_) => {
                let mut seen = seen.map(|origin| &*origin.text).peekable();
                let none = self.origins().next().is_none();
                (none || seen.peek().is_some()).then(|| instructions::all(seen))
            }
        }
        .unwrap_or_else(|| instructions::NOTHING_ALLOWED.to_owned())
    }
}

struct ViewBuilder {
    page_size: usize,
    tools: Names,
    prompts: Names,
    lists: [PagesBuilder; Kind::ALL.len()],
    origins: Vec<Arc<Origin>>,
    selected: Option<Vec<Pattern>>,
    told: Option<String>,
}

impl ViewBuilder {
    fn new(page_size: usize) -> Self {
        Self {
            page_size,
            tools: Names::new(),
            prompts: Names::new(),
            lists: Kind::ALL.map(|kind| PagesBuilder::new(kind, page_size)),
            origins: Vec::new(),
            selected: None,
            told: None,
        }
    }

    /// Adds the only server.
    fn add(&mut self, source: Source<'_>, origin: Arc<Origin>) {
        self.origins.push(origin);
        for (kind, pages) in Kind::ALL.into_iter().zip(&mut self.lists) {
            pages.begin(source.listing.list(kind));
            let names = match kind {
                Kind::Prompts => &mut self.prompts,
                _ => &mut self.tools,
            };
            part::write(source, kind, false, names, |it| it(pages.next()));
        }
    }

    /// Adds what is chosen of a server.
    fn choose(&mut self, member: &Member<'_>, chosen: &VirtualServer) {
        let server = member.server;
        let link = |own: &str| quoted(&uri::public(server, own));
        let mut text = Vec::new();
        self.origins.push(Arc::new(Origin {
            server: server.clone(),
            about: virtual_server::about(chosen, member),
            text: instructions::line(member),
        }));
        for (kind, pages) in Kind::ALL.into_iter().zip(&mut self.lists) {
            let routes = match kind {
                Kind::Tools => &mut self.tools,
                Kind::Prompts => &mut self.prompts,
                Kind::Resources | Kind::ResourceTemplates => {
                    for selected in virtual_server::select(chosen, member, kind) {
                        let item = &selected.item;
                        text.clear();
                        item.write(&link(&item.key), link, &mut text);
                        pages.push(&String::from_utf8_lossy(&text));
                    }
                    continue;
                }
            };
            for selected in virtual_server::select(chosen, member, kind) {
                let item = &selected.item;
                let full = match selected.name {
                    Some(name) => name.to_owned(),
                    None => format!("{server}_{}", item.key),
                };
                let taken = |name: &str| routes.contains_key(name);
                let Some(name) = name::public_name(&full, name::MAX_PREFIXED, taken) else {
                    continue;
                };
                text.clear();
                // A legal name needs no escapes.
                item.write(&format!("\"{name}\""), link, &mut text);
                pages.push(&String::from_utf8_lossy(&text));
                let route = Route {
                    preset: selected.change.and_then(Preset::of).map(Arc::new),
                    ..part::route(member.source(), item)
                };
                routes.insert(name.into(), route);
            }
        }
    }

    fn finish(self, servers: Servers) -> View {
        let lists = self.lists.map(PagesBuilder::finish);
        Routes {
            tools: self.tools,
            prompts: self.prompts,
            servers,
            selected: self.selected,
            told: self.told,
            origins: self.origins,
        }
        .view(lists, self.page_size)
    }
}
