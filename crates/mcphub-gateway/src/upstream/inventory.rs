//! What a server offers.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::UpstreamTool;
use crate::federation::Kind;
use crate::members::{Members, is_object};

/// All that a server offers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Inventory {
    /// Its tools, in its order.
    pub tools: Vec<UpstreamTool>,
    /// Its prompts, by their `name`.
    pub prompts: Vec<UpstreamTool>,
    /// Its resources, by their `uri`.
    pub resources: Vec<UpstreamTool>,
    /// Its templates of resources, by their `uriTemplate`.
    pub templates: Vec<UpstreamTool>,
    /// What it says of itself.
    pub about: About,
}

/// What a server says of itself besides its lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// It has prompts.
    pub prompts: bool,
    /// It has resources.
    pub resources: bool,
    /// It tells when a resource changed.
    pub subscribe: bool,
    /// It completes arguments.
    pub completions: bool,
    /// It sends log messages.
    pub logging: bool,
    /// Its extensions with their settings, JSON on one line each, at most 64.
    pub extensions: Vec<(String, String)>,
    /// What it tells a model about itself.
    pub instructions: Option<String>,
}

/// The most extensions that are taken of one server.
const MAX_EXTENSIONS: usize = 64;

impl Inventory {
    /// That of a server which has tools and nothing else.
    pub fn of_tools(tools: Vec<UpstreamTool>) -> Self {
        Self {
            tools,
            ..Self::default()
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> &[UpstreamTool] {
        match kind {
            Kind::Tools => &self.tools,
            Kind::Prompts => &self.prompts,
            Kind::Resources => &self.resources,
            Kind::ResourceTemplates => &self.templates,
        }
    }
}

impl About {
    /// Reads the member `capabilities` of `initialize` or `server/discover`. What is not as MCP has
    /// it counts as absent.
    pub(crate) fn read(capabilities: &RawValue) -> Self {
        let Ok(members) = Members::read(capabilities.get()) else {
            return Self::default();
        };
        let has = |name: &str| members.get(name).is_some_and(is_object);
        let subscribe = members
            .get("resources")
            .and_then(|raw| Members::read(raw.get()).ok())
            .is_some_and(|resources| resources.get("subscribe").map(RawValue::get) == Some("true"));
        let extensions = members
            .get("extensions")
            .and_then(|raw| Members::read(raw.get()).ok())
            .map(|extensions| {
                let named = |(name, raw): (&Cow<'_, str>, &RawValue)| {
                    (name.to_string(), raw.get().replace(['\n', '\r'], " "))
                };
                extensions.iter().take(MAX_EXTENSIONS).map(named).collect()
            });
        Self {
            prompts: has("prompts"),
            resources: has("resources"),
            subscribe,
            completions: has("completions"),
            logging: has("logging"),
            extensions: extensions.unwrap_or_default(),
            instructions: None,
        }
    }

    /// Adds what another server can do. The settings of an extension are those of the first.
    pub(crate) fn join(&mut self, other: &Self) {
        self.prompts |= other.prompts;
        self.resources |= other.resources;
        self.subscribe |= other.subscribe;
        self.completions |= other.completions;
        self.logging |= other.logging;
        for extension in &other.extensions {
            if self.extensions.len() < MAX_EXTENSIONS
                && !self.extensions.iter().any(|(name, _)| *name == extension.0)
            {
                self.extensions.push(extension.clone());
            }
        }
    }

    /// The member `capabilities` that an endpoint with these abilities has. All lists announce
    /// their changes.
    pub(crate) fn capabilities(&self) -> Value {
        let mut all = json!({"tools": {"listChanged": true}});
        if self.prompts {
            all["prompts"] = json!({"listChanged": true});
        }
        if self.resources {
            all["resources"] = json!({"listChanged": true, "subscribe": self.subscribe});
        }
        if self.completions {
            all["completions"] = json!({});
        }
        if self.logging {
            all["logging"] = json!({});
        }
        for (name, settings) in &self.extensions {
            all["extensions"][name] = serde_json::from_str(settings).unwrap_or_default();
        }
        all
    }
}
