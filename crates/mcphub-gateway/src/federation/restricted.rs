//! What somebody sees of an endpoint who may not do everything there.
//!
//! It is cut out of the finished lists, so that an endpoint where nobody is restricted pays nothing
//! for it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mcphub_core::principal::Permissions;
use mcphub_core::server::ServerName;
use moka::sync::Cache;
use serde_json::value::RawValue;

use super::kind::Kind;
use super::pages::PagesBuilder;
use super::view::View;
use crate::members::Members;
use crate::upstream::About;

/// The most restrictions of one view that are kept. Of more, those that were not used for longest
/// are made anew.
const MAX: u64 = 256;

/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// The restrictions of a view that were made already, as long as it is the one that is served.
#[derive(Default)]
pub(super) struct Restricted(OnceLock<Cache<Arc<Permissions>, Arc<View>>>);

impl Restricted {
    fn views(&self) -> &Cache<Arc<Permissions>, Arc<View>> {
        let cache = || {
            Cache::builder()
                .max_capacity(MAX)
                .time_to_idle(IDLE)
                .build()
        };
        self.0.get_or_init(cache)
    }
}

impl View {
    /// What somebody sees of it who may do no more than this: lists without all else, and the rule
    /// that denies it for a request that asks for it all the same. Made once for all who may do the
    /// same.
    pub fn restricted(self: &Arc<Self>, permissions: &Arc<Permissions>) -> Arc<Self> {
        if permissions.is_everything() {
            return Arc::clone(self);
        }
        let made = self.restricted.views();
        made.get_with_by_ref(permissions, || Arc::new(self.restrict(permissions)))
    }

    fn restrict(&self, permissions: &Arc<Permissions>) -> Self {
        let mut seen = HashSet::new();
        let lists = Kind::ALL.map(|kind| {
            let mut pages = PagesBuilder::new(kind, self.page_size);
            for definition in self.list(kind).definitions() {
                if let Some(server) = self.allowed(permissions, kind, definition) {
                    seen.insert(server);
                    pages.push(definition.get());
                }
            }
            pages.finish()
        });
        let mut about = About::default();
        for origin in self.routes.origins() {
            let whole = permissions.decide_whole(&origin.server, true).is_ok();
            if whole {
                seen.insert(origin.server.clone());
            }
            if !seen.contains(&origin.server) {
                continue;
            }
            about.join(&About {
                prompts: origin.about.prompts && whole,
                resources: origin.about.resources && whole,
                subscribe: origin.about.subscribe && whole,
                completions: origin.about.completions && whole,
                ..origin.about.clone()
            });
        }
        let instructions = self.routes.instructions(|server| seen.contains(server));
        let routes = Arc::clone(&self.routes);
        let mut view = Self::of(routes, lists, about, instructions, self.page_size);
        view.permissions = Some(Arc::clone(permissions));
        view
    }

    /// The server of what a list has, if it may be used.
    fn allowed(
        &self,
        permissions: &Permissions,
        kind: Kind,
        definition: &RawValue,
    ) -> Option<ServerName> {
        let members = Members::read(definition.get()).ok()?;
        let key = members.string(kind.key()).ok()??;
        match kind {
            Kind::Tools => {
                let route = self.routes.tool(&key)?;
                let decided = permissions.decide(&route.server, &route.own, route.reads);
                decided.ok().map(|()| route.server.clone())
            }
            Kind::Prompts | Kind::Resources | Kind::ResourceTemplates => {
                let server = if kind == Kind::Prompts {
                    self.routes.prompt(&key)?.server.clone()
                } else {
                    self.routes.resource(&key)?.server
                };
                permissions
                    .decide_whole(&server, true)
                    .ok()
                    .map(|()| server)
            }
        }
    }
}

impl fmt::Debug for Restricted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restricted").finish_non_exhaustive()
    }
}
