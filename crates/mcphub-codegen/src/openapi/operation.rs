//! Operation Object.

use std::borrow::Cow;

use indexmap::IndexMap;
use mcphub_core::spec::{Method, Operation, SecurityScheme};

use super::node::Node;
use super::path_item::Members;
use super::place::Place;
use super::{Skip, Walk};

/// The longest path template in bytes, as servers have it.
const MAX_PATH: usize = 8_192;

/// What an operation inherits.
pub(super) struct Surroundings<'s, 'd> {
    pub(super) path: &'s str,
    pub(super) schemes: &'s IndexMap<String, SecurityScheme>,
    pub(super) security: &'s [Vec<String>],
    pub(super) item: Members<'s, 'd>,
}

impl<'d> Walk<'d> {
    /// Reads one operation that stands at `at`; its `pointer` is the caller's to set.
    ///
    /// # Errors
    /// What it cannot be called without is wrong.
    pub(super) fn operation(
        &mut self,
        method: Method,
        operation: &'d Node<'d>,
        at: Place<'_>,
        around: &Surroundings<'_, 'd>,
    ) -> Result<Operation, Skip> {
        // No version has a reference here, but large APIs in many files are written so.
        let target = self.follow(operation, at)?;
        let at = target.place(at);
        let Some(object) = target.object() else {
            return Err(Skip::new(
                "invalid-operation",
                "an operation is an object with `responses`",
            )
            .at(at));
        };
        if around.path.len() > MAX_PATH {
            let message = format!("its path has more than {MAX_PATH} bytes");
            return Err(Skip::new("invalid-path", message).at(at));
        }
        if self.shared || target.shared() {
            // A path item that several paths share is copied for each.
            let bytes = |key| object.get(key).and_then(Node::as_str).map_or(0, str::len);
            self.charge(256 + bytes("description") + bytes("summary"))?;
        }
        let mut text = |key| {
            self.text(object, key, at)
                .map(Cow::into_owned)
                .filter(|text| !text.trim().is_empty())
        };
        let (id, mut summary, mut description) =
            (text("operationId"), text("summary"), text("description"));
        if summary.is_none() && description.is_none() {
            // 3.0.4, Path Item Object: these apply to all of its operations.
            (summary, description) = (
                self.inherited("summary", around),
                self.inherited("description", around),
            );
            let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            self.charge(bytes(&summary) + bytes(&description))?;
        }
        let hints = self.tool_hints(object, at, &around.item)?;
        let (tagged, tagged_at) = self.tags_of(object, at, at.key("x-mcp"));
        let mut tags = self.tags(tagged, tagged_at);
        if let Some(group) = self.group_hint(object, at, &around.item)? {
            tags.retain(|tag| *tag != group);
            tags.insert(0, group);
        }
        let parameters = self.parameters(object, at, around)?;
        let body = match object.get("requestBody") {
            _ if self.is_swagger() => self.swagger_body(object, at, around)?,
            Some(body) => self.request_body(body, at.key("requestBody"))?,
            None => None,
        };
        let responses = self.responses(object, at);
        let security = match object.get("security") {
            Some(security) => self.security(Some(security), at.key("security"), around.schemes),
            None => None,
        };
        let mut servers = self.servers(object.get("servers"), at.key("servers"));
        if let (true, Some((item, place))) = (servers.is_empty(), around.item.with("servers")) {
            servers = self.servers(item.get("servers"), place.key("servers"));
        }
        Ok(Operation {
            id,
            method,
            path: around.path.to_owned(),
            summary,
            description,
            tags,
            deprecated: self.flag(object, "deprecated", at).unwrap_or_default(),
            parameters,
            body,
            responses,
            security: security.unwrap_or_else(|| around.security.to_vec()),
            servers,
            hints,
            pointer: String::new(),
        })
    }

    /// What the path item says for all of its operations.
    fn inherited(&mut self, key: &str, around: &Surroundings<'_, 'd>) -> Option<String> {
        let (item, place) = around.item.with(key)?;
        let text = self.text(item, key, place)?.into_owned();
        Some(text).filter(|text| !text.trim().is_empty())
    }
}
