//! Names of tools: legal, unique, and the same when other operations come or go.

use std::collections::{HashMap, HashSet};

use mcphub_core::spec::Operation;
use mcphub_core::tool::ToolName;

use crate::hash::{cut, hash8};

/// One name for each operation; `None` where `max` leaves no room for one more.
pub(super) fn names(operations: &[Operation], max: usize) -> Vec<Option<ToolName>> {
    let mut names: Vec<String> = operations.iter().map(base).collect();
    // All members of a collision are renamed, so that none depends on which came first.
    rename_equal(&mut names, |name, index| {
        let route = route(&operations[index]);
        if name == route {
            name.to_owned()
        } else {
            format!("{name}_{route}")
        }
    });
    for name in &mut names {
        *name = cut(name, max);
    }
    rename_equal(&mut names, |name, index| {
        let operation = &operations[index];
        let hash = hash8(&format!(
            "{} {} {}",
            operation.method.as_str(),
            operation.path,
            operation.pointer
        ));
        let room = max.saturating_sub(hash.len() + 1);
        let head = name.get(..room.min(name.len())).unwrap_or_default();
        cut(
            &if head.is_empty() {
                hash
            } else {
                format!("{head}_{hash}")
            },
            max,
        )
    });
    // Only where `max` has no room for a hash can two still be equal.
    let mut taken = HashSet::new();
    let mut number = 1;
    names
        .into_iter()
        .map(|mut name| {
            while taken.contains(&name) {
                number += 1;
                name = format!("{}{number}", cut(&name, max.saturating_sub(6)));
                if name.len() > max {
                    return None;
                }
            }
            let legal = ToolName::new(&name).ok()?;
            taken.insert(name);
            Some(legal)
        })
        .collect()
}

fn rename_equal(names: &mut [String], rename: impl Fn(&str, usize) -> String) {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for name in names.iter() {
        *count.entry(name).or_default() += 1;
    }
    let equal: Vec<usize> = (0..names.len())
        .filter(|index| count[names[*index].as_str()] > 1)
        .collect();
    for index in equal {
        names[index] = rename(&names[index], index);
    }
}

fn base(operation: &Operation) -> String {
    let asked = operation.hints.name.as_deref();
    let id = asked.or(operation.id.as_deref());
    let id = id.map(legal).unwrap_or_default();
    if id.is_empty() { route(operation) } else { id }
}

/// `GET /pets/{petId}` as `get_pets_by_petId`.
fn route(operation: &Operation) -> String {
    let method = legal(&operation.method.key().to_ascii_lowercase());
    let mut text = method.clone();
    let path = operation.path.split('?').next().unwrap_or_default();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if segment.starts_with('{') && segment.ends_with('}') {
            text.push_str("_by");
        }
        let segment = legal(segment);
        if !segment.is_empty() {
            text.push('_');
            text.push_str(&segment);
        }
    }
    if text == method {
        text.push_str("_root");
    }
    text
}

/// The text with every run of other characters than `[A-Za-z0-9_-]` as one `_`, none at the ends.
fn legal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '_' | '-') {
            out.push(character);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_matches('_').to_owned()
}
