//! Why there is no answer, and what that says of the API.

use mcphub_core::tool::Tool;

/// Why there is no answer, as the model is told.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) text: String,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Something that the API did not do: the request cannot be made, or the gateway has no room.
    Ours,
    /// There was no connection, so that nothing was sent.
    Unsent,
    /// The connection broke before there was an answer.
    Broken,
    /// The answer broke off, or there was none in time.
    Unfinished,
}

/// Those of the gateway are told as they are.
impl From<String> for Unanswered {
    fn from(text: String) -> Self {
        Self {
            text,
            cause: Cause::Ours,
        }
    }
}

impl Unanswered {
    pub(super) fn unsent(text: String) -> Self {
        let cause = Cause::Unsent;
        Self { text, cause }
    }

    pub(super) fn broken(text: String) -> Self {
        let cause = Cause::Broken;
        Self { text, cause }
    }

    pub(super) fn unfinished(text: String) -> Self {
        let cause = Cause::Unfinished;
        Self { text, cause }
    }

    /// Whether the same request may go again at once: the API never saw it, or twice is as good as
    /// once.
    pub(super) fn may_go_again(&self, tool: &Tool) -> bool {
        match self.cause {
            Cause::Unsent => true,
            Cause::Broken => tool.is_repeatable(),
            Cause::Ours | Cause::Unfinished => false,
        }
    }

    /// The same as what is wrong with the API, where something is.
    pub(super) fn trouble(&self) -> Option<Box<str>> {
        (self.cause != Cause::Ours).then(|| self.text.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use mcphub_core::schema::Schema;
    use mcphub_core::spec::Method;
    use mcphub_core::tool::ToolName;
    use serde_json::json;

    use super::*;

    fn tool(method: Method) -> Tool {
        let binding = json!({"method": "GET", "path": "/", "accept": "*/*"});
        Tool {
            name: ToolName::new("t").unwrap(),
            title: None,
            description: String::new(),
            input: Schema::from_object(serde_json::Map::new()),
            output: None,
            annotations: method.into(),
            tags: Vec::new(),
            binding: serde_json::from_value(binding).unwrap(),
        }
    }

    #[test]
    fn what_the_api_may_have_done_goes_again_only_where_that_is_safe() {
        let (read, write) = (tool(Method::Get), tool(Method::Post));
        for (unanswered, again) in [
            (Unanswered::unsent(String::new()), [true, true]),
            (Unanswered::broken(String::new()), [true, false]),
            (Unanswered::unfinished(String::new()), [false, false]),
            (String::new().into(), [false, false]),
        ] {
            let told = [&read, &write].map(|tool| unanswered.may_go_again(tool));
            assert_eq!(told, again, "{unanswered:?}");
        }
    }
}
