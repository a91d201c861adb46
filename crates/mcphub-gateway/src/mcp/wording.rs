//! Results and messages of a server in the words of the endpoint: its URIs, and the ids of tasks and
//! the states that it gives, each marked for whom it is given to ([`mark`](super::mark)).

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::conversation::{Conversation, INPUT_REQUIRED};
use super::mark::{Marked, Marker};
use super::routing::TOOLS_CALL;
use super::routing::{self, COMPLETE, PROMPTS_GET, RESOURCES_READ};
use crate::federation::links;
use crate::members::{Members, place, quoted, splice, string};
use crate::upstream::Response;

/// The member of `_meta` that names a task (2025-11-25, Tasks, Related Task Metadata).
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// What a server of 2026-07-28 wants to be given with a retry.
pub(super) const STATE: &str = "requestState";

const TASK_ID: &str = "taskId";

/// The most tasks of a list whose ids are looked at; those after them are good for nobody.
const MAX_TASKS: usize = 10_000;

/// Another text for an id or a state.
type Other<'a> = &'a dyn Fn(Marked, &str) -> Option<String>;

impl Conversation {
    /// A result with the URIs and ids that the endpoint has.
    pub(super) fn in_our_words<'r>(&self, result: &'r str) -> Cow<'r, str> {
        let mut text = Cow::Borrowed(result);
        if self.view.alone().is_none() {
            let link = |own: &str| self.view.public_uri(&self.route.server, own);
            if let Some(linked) = links::replaced(&text, link) {
                text = Cow::Owned(linked);
            }
        }
        let method = &*self.forward.method;
        let known = [TOOLS_CALL, PROMPTS_GET, RESOURCES_READ, COMPLETE].contains(&method)
            || method.starts_with(routing::TASKS);
        if let Some(marked) = in_result(&text, known, &|kind, own| self.public(kind, own)) {
            text = Cow::Owned(marked);
        }
        text
    }

    /// The `params` of a notification with the ids that the endpoint has.
    pub(super) fn told<'r>(&self, method: &str, params: &'r str) -> Cow<'r, str> {
        // Of a task itself in 2026-07-28, and in 2025-11-25.
        let of_task = matches!(method, "notifications/tasks" | "notifications/tasks/status");
        let public = |kind: Marked, own: &str| self.public(kind, own);
        in_message(params, of_task, &public).map_or(Cow::Borrowed(params), Cow::Owned)
    }

    /// What a client answers to a request of the server, with the server's own ids.
    pub(super) fn answer_for_server(&self, response: Response) -> Response {
        let marker = self.marker();
        let own = |kind: Marked, public: &str| {
            let public = match self.view.alone() {
                Some(_) => public,
                None => public
                    .strip_prefix(self.route.server.as_str())?
                    .strip_prefix('/')?,
            };
            marker.own(kind, public).map(str::to_owned)
        };
        match response {
            Response::Result(result) => {
                let edited = in_message(result.get(), false, &own);
                let edited = edited.and_then(|text| RawValue::from_string(text).ok());
                Response::Result(edited.unwrap_or(result))
            }
            Response::Error(error) => Response::Error(error),
        }
    }

    /// What the client is given for an id or a state: at an endpoint of many servers the id of a
    /// task begins with the server's name.
    fn public(&self, kind: Marked, own: &str) -> Option<String> {
        let marked = self.marker().public(kind, own);
        Some(match (kind, self.view.alone()) {
            (Marked::Task, None) => format!("{}/{marked}", self.route.server),
            _ => marked,
        })
    }

    fn marker(&self) -> Marker<'_> {
        self.gateway.marks.of(&self.route.server, self.who)
    }
}

/// `_meta` without its braces, with the task that it names as its server calls it. `None` where it
/// names none.
pub(super) fn related(meta: &str, own: Other<'_>) -> Option<String> {
    if !meta.contains(TASK_ID) {
        return None;
    }
    let text = format!("{{\"_meta\":{{{meta}}}}}");
    let edited = in_message(&text, false, own)?;
    let inner = edited.strip_prefix("{\"_meta\":{")?.strip_suffix("}}")?;
    Some(inner.to_owned())
}

/// A result with other ids: those of a task that was made or asked for, of a list of tasks, of the
/// task that it is about, and the state of one that asks. Of a method that is not `known` only what
/// says of itself that it is one of these: an extension may mean something else.
fn in_result(text: &str, known: bool, other: Other<'_>) -> Option<String> {
    if !has(text) {
        return None;
    }
    let members = Members::read(text).ok()?;
    let kind = members.string("resultType").ok().flatten();
    let mut edits = Edits::of(text, other);
    if known || kind.as_deref() == Some("task") {
        edits.task(&members);
        edits.task_in(members.get("task"));
        let tasks = members.get("tasks");
        let tasks =
            tasks.and_then(|tasks| serde_json::from_str::<Vec<&RawValue>>(tasks.get()).ok());
        for task in tasks.unwrap_or_default().into_iter().take(MAX_TASKS) {
            edits.task_in(Some(task));
        }
    }
    if kind.as_deref() == Some(INPUT_REQUIRED) {
        edits.add(Marked::State, members.get(STATE));
    }
    edits.related(&members);
    edits.made()
}

/// `params`, or a result, with another id of the task that it is about; of the task that it is, too,
/// where it is one.
fn in_message(text: &str, is_task: bool, other: Other<'_>) -> Option<String> {
    if !has(text) {
        return None;
    }
    let members = Members::read(text).ok()?;
    let mut edits = Edits::of(text, other);
    if is_task {
        edits.task(&members);
    }
    edits.related(&members);
    edits.made()
}

fn has(text: &str) -> bool {
    text.contains("\"taskId\"") || text.contains("\"requestState\"")
}

/// What changes in a text.
struct Edits<'a> {
    text: &'a str,
    other: Other<'a>,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    fn of(text: &'a str, other: Other<'a>) -> Self {
        Self {
            text,
            other,
            edits: Vec::new(),
        }
    }

    fn task(&mut self, task: &Members<'_>) {
        self.add(Marked::Task, task.get(TASK_ID));
    }

    fn task_in(&mut self, raw: Option<&RawValue>) {
        if let Some(task) = raw.and_then(|raw| Members::read(raw.get()).ok()) {
            self.task(&task);
        }
    }

    fn related(&mut self, members: &Members<'_>) {
        let meta = members.get("_meta");
        if let Some(meta) = meta.and_then(|meta| Members::read(meta.get()).ok()) {
            self.task_in(meta.get(RELATED));
        }
    }

    fn add(&mut self, kind: Marked, raw: Option<&RawValue>) {
        let edit = raw.and_then(|raw| {
            let other = (self.other)(kind, &string(raw)?)?;
            Some((place(self.text, raw)?, quoted(&other)))
        });
        self.edits.extend(edit);
    }

    fn made(self) -> Option<String> {
        (!self.edits.is_empty()).then(|| splice(self.text, self.edits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(kind: Marked, own: &str) -> Option<String> {
        Some(format!("{kind:?}:{own}"))
    }

    #[test]
    fn the_ids_of_a_result_are_replaced_wherever_there_are_any() {
        for (text, known, expected) in [
            (
                r#"{"resultType":"task","taskId":"7","n":1.0}"#,
                false,
                r#"{"resultType":"task","taskId":"Task:7","n":1.0}"#,
            ),
            (
                r#"{"task":{"taskId":"7","requestState":"x"}}"#,
                true,
                r#"{"task":{"taskId":"Task:7","requestState":"x"}}"#,
            ),
            (
                r#"{"tasks":[{"taskId":"7"},7,{"taskId":"\u0038"}]}"#,
                true,
                r#"{"tasks":[{"taskId":"Task:7"},7,{"taskId":"Task:8"}]}"#,
            ),
            (
                r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"7"}},"content":[]}"#,
                true,
                r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"Task:7"}},"content":[]}"#,
            ),
            (
                r#"{"resultType":"input_required","requestState":"s"}"#,
                false,
                r#"{"resultType":"input_required","requestState":"State:s"}"#,
            ),
        ] {
            let found = in_result(text, known, &other);
            assert_eq!(found.as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_an_extension_calls_so_is_its_own() {
        let text = r#"{"taskId":"7","tasks":[{"taskId":"8"}],"requestState":"s"}"#;
        assert_eq!(in_result(text, false, &other), None);
        assert_eq!(in_message(text, false, &other), None);
        assert_eq!(
            in_message(r#"{"taskId":"7"}"#, true, &other).as_deref(),
            Some(r#"{"taskId":"Task:7"}"#)
        );
    }

    #[test]
    fn a_request_names_its_task_in_meta() {
        let meta = r#""a":1,"io.modelcontextprotocol/related-task":{"taskId":"7"}"#;
        let expected = meta.replace("\"7\"", "\"Task:7\"");
        assert_eq!(related(meta, &other), Some(expected));
        assert_eq!(related(r#""taskId":"7""#, &other), None);
        assert_eq!(related("", &other), None);
    }
}
