//! What of a server goes into a virtual one, and under which name.

use std::borrow::Cow;
use std::collections::HashSet;

use mcphub_core::virtual_server::{Pattern, ToolChange, VirtualServer};

use super::edit;
use crate::federation::kind::Kind;
use crate::federation::listing::Listed;
use crate::federation::snapshot::Member;
use crate::upstream::About;

/// Something that a virtual server has.
pub(in crate::federation) struct Selected<'a> {
    /// As its server lists it, or changed.
    pub(in crate::federation) item: Cow<'a, Listed>,
    /// The name that it is given, of a tool.
    pub(in crate::federation) name: Option<&'a str>,
    pub(in crate::federation) change: Option<&'a ToolChange>,
}

/// Whether anything of a server may be here.
pub(in crate::federation) fn has_server(chosen: &VirtualServer, member: &Member<'_>) -> bool {
    let all = [&chosen.tools, &chosen.prompts, &chosen.resources];
    all.into_iter()
        .flatten()
        .any(|pattern| pattern.server() == member.server)
}

/// What is selected of a list of a server, in its order. A tool whose definition cannot be
/// changed as it has to be is left out.
pub(in crate::federation) fn select<'a>(
    chosen: &'a VirtualServer,
    member: &Member<'a>,
    kind: Kind,
) -> impl Iterator<Item = Selected<'a>> {
    let server = member.server;
    let patterns = match kind {
        Kind::Tools => &chosen.tools,
        Kind::Prompts => &chosen.prompts,
        Kind::Resources | Kind::ResourceTemplates => &chosen.resources,
    };
    let by_plan = match kind {
        Kind::Tools => by_plan(chosen, member),
        _ => HashSet::new(),
    };
    let items = member.listing.list(kind).items.iter();
    let selected = items.filter(move |item| {
        Pattern::any(patterns, server, &item.key) || by_plan.contains(&*item.key)
    });
    selected.filter_map(move |item| {
        let key = (server.clone(), item.key.to_string());
        let change = chosen.changes.get(&key).filter(|_| kind == Kind::Tools);
        let name = change.and_then(|change| change.name.as_ref());
        let changed = change.map(|change| edit::changed(item.definition(), change).and_then(|it| item.redefined(it)));
        let item = match changed {
            None => Cow::Borrowed(item),
            Some(Some(changed)) => Cow::Owned(changed),
            Some(None) => {
                tracing::warn!(%server, tool = &*item.key, "a tool cannot be changed as the virtual server asks and is left out");
                return None;
            }
        };
        let name = name.map(|name| name.as_str());
        Some(Selected { item, name, change })
    })
}

/// The names of tools that are selected by what they were made of.
fn by_plan<'a>(chosen: &VirtualServer, member: &Member<'a>) -> HashSet<&'a str> {
    let patterns = chosen
        .tools
        .iter()
        .filter(|it| it.is_of_plan(member.server));
    let patterns: Vec<&Pattern> = patterns.collect();
    let tools = member.plan.filter(|_| !patterns.is_empty());
    let tools = tools.into_iter().flat_map(|plan| &plan.tools);
    let selected = tools.filter(|tool| patterns.iter().any(|it| it.selects(tool)));
    selected.map(|tool| tool.name.as_str()).collect()
}

/// What of what a server says of itself holds here.
pub(in crate::federation) fn about(chosen: &VirtualServer, member: &Member<'_>) -> About {
    let about = &member.listing.about;
    let any = |patterns: &[Pattern]| patterns.iter().any(|it| it.server() == member.server);
    let (prompts, resources) = (any(&chosen.prompts), any(&chosen.resources));
    About {
        prompts: about.prompts && prompts,
        resources: about.resources && resources,
        subscribe: about.subscribe && resources,
        completions: about.completions && (prompts || resources),
        logging: about.logging,
        ..About::default()
    }
}
