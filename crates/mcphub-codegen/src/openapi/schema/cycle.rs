//! Schemas that stand for themselves.
//!
//! A recursive schema is fine when a step into the value lies in between (`properties`, `items`).
//! Without one (`A: {$ref: A}`, or a parent that lists its children in `oneOf` while they name it
//! in `allOf`) a validator never ends. The reference that closes such a loop is taken out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::keyword::reference;

/// Takes out the references that close a loop; the definitions that had one, in order.
pub(super) fn break_cycles(names: &[Arc<str>], schemas: &mut [Value]) -> Vec<usize> {
    let index: HashMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_ref(), index))
        .collect();
    let mut edges = vec![Vec::new(); schemas.len()];
    for (schema, edges) in schemas.iter().zip(&mut edges) {
        in_place(schema, &mut |name| edges.extend(index.get(name)));
    }
    let mut closing: BTreeMap<usize, HashSet<&str>> = BTreeMap::new();
    for (from, to) in closing_edges(&edges) {
        closing.entry(from).or_default().insert(&names[to]);
    }
    for (from, targets) in &closing {
        cut(&mut schemas[*from], targets);
    }
    closing.into_keys().collect()
}

/// Edges that lead back into the path from the root of a depth-first search.
fn closing_edges(edges: &[Vec<usize>]) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    let mut closing = Vec::new();
    for root in 0..edges.len() {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        // Without recursion: a document decides how long the path is.
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(target) = edges[node].get(*next).copied() else {
                marks[node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[target] {
                Mark::New => {
                    marks[target] = Mark::Open;
                    path.push((target, 0));
                }
                Mark::Open => closing.push((node, target)),
                Mark::Done => {}
            }
        }
    }
    closing
}

/// Visits the definitions that a schema applies to the same value.
fn in_place<'v>(schema: &'v Value, visit: &mut impl FnMut(&'v str)) {
    let Value::Object(schema) = schema else {
        return;
    };
    if let Some(name) = reference(schema) {
        visit(name);
    }
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => {
                items.iter().for_each(|item| in_place(item, visit))
            }
            ("not" | "if" | "then" | "else", value) => in_place(value, visit),
            ("dependentSchemas", Value::Object(members)) => {
                members.values().for_each(|member| in_place(member, visit))
            }
            _ => {}
        }
    }
}

/// Takes out what refers to one of `names` in place. What is left accepts more, never less.
fn cut(schema: &mut Value, names: &HashSet<&str>) {
    let Value::Object(schema) = schema else {
        return;
    };
    if reference(schema).is_some_and(|name| names.contains(name)) {
        schema.shift_remove("$ref");
    }
    // Exactly one of several has no meaning once one of them accepts everything.
    if schema
        .get("oneOf")
        .and_then(Value::as_array)
        .is_some_and(|items| items.iter().any(|item| refers(item, names)))
    {
        rename(schema, "oneOf", "anyOf");
    }
    if schema
        .get("not")
        .is_some_and(|negated| refers(negated, names))
    {
        schema.shift_remove("not");
    }
    if schema
        .get("if")
        .is_some_and(|condition| refers(condition, names))
    {
        for key in ["if", "then", "else"] {
            schema.shift_remove(key);
        }
    }
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => {
                items.iter_mut().for_each(|item| cut(item, names))
            }
            ("then" | "else", value) => cut(value, names),
            ("dependentSchemas", Value::Object(members)) => {
                members.values_mut().for_each(|member| cut(member, names))
            }
            _ => {}
        }
    }
}

fn refers(schema: &Value, names: &HashSet<&str>) -> bool {
    let mut found = false;
    in_place(schema, &mut |name| found |= names.contains(name));
    found
}

fn rename(schema: &mut Map<String, Value>, from: &str, to: &str) {
    let Some(items) = schema.shift_remove(from) else {
        return;
    };
    match schema.get_mut(to) {
        // Both were demanded; the weaker one of the two stays.
        Some(_) => {}
        None => {
            schema.insert(to.to_owned(), items);
        }
    }
}
