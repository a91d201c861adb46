//! The arguments of a tool, as a typed function in any language takes them.

use std::collections::HashMap;

use mcphub_core::spec::Location;
use mcphub_core::tool::{BodyBinding, BodySource, HttpBinding, Tool};
use serde_json::Value;

/// One argument that the binding uses and a client gives.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    pub(super) name: &'a str,
    /// Its schema, where the tool's has one.
    pub(super) schema: Option<&'a Value>,
    pub(super) required: bool,
    /// Whether only the binding, not the schema, says that it is required.
    pub(super) unsaid: bool,
}

/// The arguments in the order of the schema, each once.
pub(super) fn arguments(tool: &Tool) -> Vec<Argument<'_>> {
    let used = used(&tool.binding);
    let schemas: HashMap<&str, &Value> = tool.input.properties().collect();
    let in_order = tool.input.properties().map(|(name, _)| name);
    let in_order = in_order.filter(|name| used.contains(name));
    let others = used.iter().copied();
    let others = others.filter(|name| !schemas.contains_key(name));
    let mut names: Vec<&str> = Vec::new();
    for name in in_order.chain(others) {
        if !names.contains(&name) && !tool.binding.presets.contains_key(name) {
            names.push(name);
        }
    }
    let arguments = names.into_iter().map(|name| {
        let said = tool.input.requires(name);
        let required = said || is_required(&tool.binding, name);
        Argument {
            name,
            schema: schemas.get(name).copied(),
            required,
            unsaid: required && !said,
        }
    });
    arguments.collect()
}

/// The argument that becomes a member of the body, where a client gives it.
pub(super) fn member_argument<'b>(binding: &'b HttpBinding, member: &str) -> Option<&'b str> {
    let Some(BodySource::Members(members)) = binding.body.as_ref().map(|body| &body.source) else {
        return None;
    };
    let mut arguments = members.iter();
    let found = arguments.find(|it| it.name == member)?.argument.as_str();
    (!binding.presets.contains_key(found)).then_some(found)
}

fn used(binding: &HttpBinding) -> Vec<&str> {
    let outside = binding.parameters.iter().map(|p| p.argument.as_str());
    let body: Vec<&str> = match binding.body.as_ref().map(|body| &body.source) {
        Some(BodySource::Argument(argument)) => vec![argument],
        Some(BodySource::Members(members)) => members.iter().map(|m| m.argument.as_str()).collect(),
        _ => Vec::new(),
    };
    let headers = binding.body.iter().flat_map(BodyBinding::part_headers);
    let headers = headers.map(|header| header.argument.as_str());
    let answer = binding.answer.arguments();
    outside.chain(body).chain(headers).chain(answer).collect()
}

fn is_required(binding: &HttpBinding, argument: &str) -> bool {
    let outside = binding
        .parameters
        .iter()
        .any(|p| p.argument == argument && (p.required || p.location == Location::Path));
    let whole = |body: &BodyBinding| {
        body.required && body.source == BodySource::Argument(argument.to_owned())
    };
    outside || binding.body.as_ref().is_some_and(whole)
}
