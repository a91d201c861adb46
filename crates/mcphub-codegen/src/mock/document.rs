//! The examples of a document, as it has them.

use serde_json::Value;

/// The longest chain of references.
const MAX_CHAIN: usize = 16;

/// A document, for its examples.
#[derive(Debug)]
pub(super) struct Examples(Value);

impl Examples {
    pub(super) fn new(document: Value) -> Self {
        Self(document)
    }

    /// The example of an answer, given where its operation stands.
    pub(super) fn find(&self, operation: &str, status: &str, media_type: &str) -> Option<Value> {
        let operation = self.follow(self.operation(operation)?)?;
        let responses = operation.get("responses")?.as_object()?;
        let same = |(known, _): &(&String, &Value)| known.eq_ignore_ascii_case(status);
        let (_, response) = responses.iter().find(same)?;
        let response = self.follow(response)?;
        // Swagger 2.0, Response Object, `examples`: by media type.
        let old = response
            .get("examples")
            .and_then(|examples| examples.get(media_type));
        if let Some(example) = old {
            return Some(example.clone());
        }
        let content = response.get("content")?.as_object()?;
        let same = |(known, _): &(&String, &Value)| {
            let essence = known.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case(media_type)
        };
        let (_, media) = content.iter().find(same)?;
        let media = self.follow(media)?;
        if let Some(example) = media.get("example") {
            return Some(example.clone());
        }
        let (_, first) = media.get("examples")?.as_object()?.iter().next()?;
        let first = self.follow(first)?;
        let value = first.get("value").or_else(|| first.get("dataValue"));
        value.cloned()
    }

    /// What a pointer names; a path item on the way may be a reference.
    fn operation(&self, pointer: &str) -> Option<&Value> {
        if let Some(found) = self.0.pointer(pointer) {
            return Some(found);
        }
        let (item, method) = pointer.rsplit_once('/')?;
        self.follow(self.0.pointer(item)?)?.get(method)
    }

    fn follow<'v>(&'v self, mut value: &'v Value) -> Option<&'v Value> {
        for _ in 0..MAX_CHAIN {
            match value.get("$ref").and_then(Value::as_str) {
                Some(reference) => value = self.0.pointer(reference.strip_prefix('#')?)?,
                None => return Some(value),
            }
        }
        None
    }
}
