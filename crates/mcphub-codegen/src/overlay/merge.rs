//! How an update is merged into what it is for (Overlay 1.1.0, Action Object).

use mcphub_core::Result;
use serde_json::Value;

use super::invalid;

/// Merges an update into what an action selected.
///
/// # Errors
/// `InvalidDocument` when the two do not go together.
pub(super) fn merge(target: &mut Value, update: &Value, at: &str) -> Result<()> {
    match (target, update) {
        (Value::Array(items), Value::Array(new)) => items.extend(new.iter().cloned()),
        (Value::Array(items), one) => items.push(one.clone()),
        (target, update) => return member(target, update, at),
    }
    Ok(())
}

/// Merges a member of an update into the member of that name.
fn member(target: &mut Value, update: &Value, at: &str) -> Result<()> {
    match (target, update) {
        (Value::Object(members), Value::Object(new)) => {
            for (key, value) in new {
                match members.get_mut(key) {
                    Some(known) => {
                        let key = key.replace('~', "~0").replace('/', "~1");
                        member(known, value, &format!("{at}/{key}"))?;
                    }
                    None => {
                        members.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(items), Value::Array(new)) => items.extend(new.iter().cloned()),
        // As in the specification's own example: `components:` with nothing after it.
        (Value::Object(_) | Value::Array(_), Value::Null) => {}
        // What was left empty may become anything.
        (target @ Value::Null, new) => *target = new.clone(),
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
            return Err(
                invalid("an object, an array and a plain value do not merge").with("pointer", at),
            );
        }
        (target, new) => *target = new.clone(),
    }
    Ok(())
}
