//! A list of tools that is no larger than it may be.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use mcphub_core::schema::Schema;
use mcphub_core::spec::{Diagnostic, Severity};
use mcphub_core::tool::{ListLimit, OutputShape, Simplification, Tool};
use serde_json::{Map, Value};

use super::definitions::Form;
use super::description::{first_sentence, shortened};
use super::draft::{DEFS, Draft};
use super::ladder::Ladder;
use super::omission::Omission;
use super::{Planning, measure, outline};
use crate::json_size;

/// How many tools a remark names.
const NAMED: usize = 5;

/// The longest description of an argument that was shortened, in characters.
const ARGUMENT_TEXT: usize = 120;

/// The longest description of a tool that was shortened, in characters.
const TOOL_TEXT: usize = 240;

/// The levels of a schema that keep their text: its own and that of its members.
const SPARED: usize = 2;

/// The most levels of a schema without references that are gone down.
const MAX_LEVELS: usize = 16;

/// A tool before its schemas are made.
pub(super) struct Planned {
    pub(super) tool: Tool,
    pub(super) input: Draft,
    /// Among [`Planning::outputs`].
    pub(super) output: Option<usize>,
}

/// The names of the tools that are marked, a few and how many more; `None` when there is none.
pub(super) fn named(planned: &[Planned], marked: &[bool]) -> Option<String> {
    let names = planned.iter().zip(marked).filter(|(_, marked)| **marked);
    let names: Vec<&str> = names
        .map(|(planned, _)| planned.tool.name.as_str())
        .collect();
    let more = names.len().saturating_sub(NAMED);
    let shown = names
        .get(..names.len().min(NAMED))
        .unwrap_or_default()
        .join(", ");
    match more {
        _ if names.is_empty() => None,
        0 => Some(shown),
        more => Some(format!("{shown} and {more} more")),
    }
}

/// The bytes that a list may have, for a document of so many.
pub(super) fn limit(limit: ListLimit, document: usize) -> usize {
    match limit {
        ListLimit::Bytes(bytes) => bytes,
        ListLimit::Document => document.max(ListLimit::FLOOR),
        _ => usize::MAX,
    }
}

/// The bytes of a list without output schemas.
pub(super) fn bare_size(planned: &[Planned]) -> usize {
    let sizes = planned
        .iter()
        .map(|planned| fixed_size(&planned.tool) + planned.input.size);
    sizes.sum()
}

/// Whether a step takes something out of output schemas, which another one drops.
pub(super) fn is_partial(step: Simplification) -> bool {
    matches!(
        step,
        Simplification::NestedOutputText | Simplification::NestedOutput
    )
}

/// One thing that may become smaller: by how much, which, and what it then is.
struct Candidate<T> {
    gain: usize,
    place: usize,
    becomes: T,
}

impl Planning<'_> {
    /// Simplifies tools, in the order of [`PlanOptions::simplify`], until all fit `limit` bytes; in
    /// each step first those that gain most. They have `bare` bytes without their output schemas,
    /// which were not made for those that are `unsaid`.
    ///
    /// [`PlanOptions::simplify`]: mcphub_core::tool::PlanOptions::simplify
    pub(super) fn fit(
        &mut self,
        planned: &mut [Planned],
        limit: usize,
        bare: usize,
        unsaid: &[bool],
    ) {
        let outputs = self.outputs.iter().filter(|output| output.kept);
        let outputs = outputs.map(|output| (output.draft.size + OUTPUT) * output.uses);
        let outputs: usize = outputs.sum();
        let whole = bare + outputs;
        let mut over = whole.saturating_sub(limit);
        let known = if unsaid.contains(&true) {
            "more than "
        } else {
            ""
        };
        let whole = format!("{known}{whole} bytes");
        // Where all of them go in the end, nothing has to go of each before.
        let order = &self.options.simplify;
        let hopeless = over >= outputs && order.contains(&Simplification::Output);
        for step in order {
            if over == 0 {
                break;
            }
            if hopeless && is_partial(*step) {
                continue;
            }
            let mut changed = vec![false; planned.len()];
            match step {
                Simplification::NestedOutputText => {
                    self.nested_output_text(planned, &mut over, &mut changed)
                }
                Simplification::NestedOutput => {
                    self.nested_output(planned, &mut over, &mut changed)
                }
                Simplification::Output => {
                    changed.copy_from_slice(unsaid);
                    self.drop_outputs(planned, &mut over, &mut changed);
                }
                Simplification::NestedInputText => {
                    self.nested_input_text(planned, &mut over, &mut changed)
                }
                Simplification::NestedInput => self.nested_input(planned, &mut over, &mut changed),
                Simplification::ArgumentText => argument_text(planned, &mut over, &mut changed),
                Simplification::ToolText => tool_text(planned, &mut over, &mut changed),
                _ => continue,
            }
            self.tell(*step, planned, &changed, &whole, limit);
        }
        if over > 0 {
            self.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                code: "list-too-large".to_owned(),
                pointer: String::new(),
                message: format!(
                    "the list of tools has {} bytes, {over} more than it may; select fewer operations",
                    limit.saturating_add(over)
                ),
            });
        }
    }

    fn tell(
        &mut self,
        step: Simplification,
        planned: &[Planned],
        changed: &[bool],
        whole: &str,
        limit: usize,
    ) {
        let Some(names) = named(planned, changed) else {
            return;
        };
        self.diagnostics.push(Diagnostic {
            severity: Severity::Info,
            code: "list-simplified".to_owned(),
            pointer: String::new(),
            message: format!(
                "the list of tools would have {whole} and may have {limit}; {} left out of {names}",
                step.loss()
            ),
        });
    }

    fn nested_output_text(&mut self, planned: &[Planned], over: &mut usize, changed: &mut [bool]) {
        let omission = Omission::TEXT.below(SPARED);
        let mut candidates = Vec::new();
        for place in 0..self.outputs.len() {
            let draft = &self.outputs[place].draft;
            let (root, _) = self.definitions.measure(&draft.root, omission);
            let silent = draft
                .entries
                .iter()
                .map(|(index, _)| (*index, Form::Silent));
            let size = root + self.definitions.entries_size(silent);
            candidates.push(self.smaller(place, size));
        }
        let mut touched = vec![false; self.outputs.len()];
        for (place, size) in taken(candidates, over) {
            let draft = &mut self.outputs[place].draft;
            omission.strip(&mut draft.root);
            for (_, form) in &mut draft.entries {
                *form = Form::Silent;
            }
            draft.size = size;
            touched[place] = true;
        }
        users(planned, &touched, changed);
    }

    fn nested_output(&mut self, planned: &[Planned], over: &mut usize, changed: &mut [bool]) {
        let mut candidates = Vec::new();
        let mut touched = vec![false; self.outputs.len()];
        let listed = self.outputs.iter().enumerate();
        for (place, output) in listed.filter(|(_, output)| output.kept) {
            let root = self.definitions.flat(&output.draft.root);
            let (size, _) = self.definitions.measure(&root, Omission::NOTHING);
            candidates.push(Candidate {
                gain: output.draft.size.saturating_sub(size) * output.uses,
                place,
                becomes: Draft {
                    root,
                    size,
                    ..Draft::default()
                },
            });
        }
        for (place, draft) in taken(candidates, over) {
            self.outputs[place].draft = draft;
            touched[place] = true;
        }
        users(planned, &touched, changed);
    }

    fn drop_outputs(&mut self, planned: &[Planned], over: &mut usize, changed: &mut [bool]) {
        let candidates = self.outputs.iter().enumerate();
        let candidates = candidates.filter(|(_, output)| output.kept);
        let candidates = candidates.map(|(place, output)| Candidate {
            gain: (output.draft.size + OUTPUT) * output.uses,
            place,
            becomes: (),
        });
        let mut touched = vec![false; self.outputs.len()];
        for (place, ()) in taken(candidates.collect(), over) {
            self.outputs[place].kept = false;
            touched[place] = true;
        }
        users(planned, &touched, changed);
    }

    fn smaller(&self, place: usize, size: usize) -> Candidate<usize> {
        let output = &self.outputs[place];
        // What is not listed has nothing to lose.
        let uses = if output.kept { output.uses } else { 0 };
        Candidate {
            gain: output.draft.size.saturating_sub(size) * uses,
            place,
            becomes: size,
        }
    }

    fn nested_input_text(
        &mut self,
        planned: &mut [Planned],
        over: &mut usize,
        changed: &mut [bool],
    ) {
        let omission = Omission::REDUNDANT.below(SPARED);
        let bare = |(index, form): &(usize, Form)| match form {
            Form::Exact | Form::Plain => (*index, Form::Bare),
            other => (*index, *other),
        };
        let mut candidates = Vec::new();
        for (place, planned) in planned.iter().enumerate() {
            let draft = &planned.input;
            let root = if outline::levels(&draft.root) < SPARED - 1 {
                // Nothing is so deep that it loses anything.
                let entries = draft.entries.iter().copied();
                draft
                    .size
                    .saturating_sub(self.definitions.entries_size(entries))
            } else {
                self.definitions.measure(&draft.root, omission).0
            };
            let size = root
                + self
                    .definitions
                    .entries_size(draft.entries.iter().map(bare));
            candidates.push(Candidate {
                gain: draft.size.saturating_sub(size),
                place,
                becomes: size,
            });
        }
        for (place, size) in taken(candidates, over) {
            let draft = &mut planned[place].input;
            omission.strip(&mut draft.root);
            draft.entries = draft.entries.iter().map(bare).collect();
            draft.size = size;
            changed[place] = true;
        }
    }

    /// Always the largest loses one level of nested values.
    fn nested_input(&mut self, planned: &mut [Planned], over: &mut usize, changed: &mut [bool]) {
        // Known once they are wanted: most lists fit before each tool has lost something.
        let mut steps: Vec<Option<Steps>> = Vec::new();
        steps.resize_with(planned.len(), || None);
        let sizes = planned.iter().map(|planned| planned.input.size).enumerate();
        let mut queue: BinaryHeap<_> = sizes.map(|(place, size)| (size, Reverse(place))).collect();
        while let (true, Some((before, Reverse(place)))) = (*over > 0, queue.pop()) {
            let input = &mut planned[place].input;
            let steps = steps[place].get_or_insert_with(|| self.steps(input));
            let Some(size) = steps.lower(&input.root) else {
                continue;
            };
            if size < before {
                *over = over.saturating_sub(before - size);
                input.size = size;
                changed[place] = true;
            }
            queue.push((size.min(before), Reverse(place)));
        }
        for ((planned, steps), changed) in planned.iter_mut().zip(steps).zip(changed) {
            if let (true, Some(steps)) = (*changed, steps) {
                steps.apply(&mut planned.input);
            }
        }
    }

    fn steps(&mut self, draft: &Draft) -> Steps {
        if draft.roots.is_empty() {
            return Steps::Levels {
                level: outline::levels(&draft.root).min(MAX_LEVELS),
            };
        }
        let ladder = self
            .definitions
            .ladder(&draft.roots, self.options.max_input_schema);
        let entries = self.definitions.entries_size(draft.entries.iter().copied());
        Steps::References {
            root: draft.size.saturating_sub(entries),
            // What fits now may be this rung itself, or more than it in another form.
            rung: ladder.highest(entries).map_or(0, |rung| rung + 1),
            ladder,
        }
    }

    /// The tools with their schemas.
    pub(super) fn finish(&mut self, planned: Vec<Planned>) -> Vec<Tool> {
        let outputs = std::mem::take(&mut self.outputs).into_iter();
        let outputs = outputs.map(|output| {
            let kept = output.kept.then_some((output.draft, output.shape));
            kept.map(|(draft, shape)| (draft.make(&mut self.definitions), shape))
        });
        let outputs: Vec<_> = outputs.collect();
        let tools = planned.into_iter().map(|planned| {
            let mut tool = planned.tool;
            tool.input = planned.input.make(&mut self.definitions);
            let output = planned.output.and_then(|place| outputs.get(place)?.clone());
            let (output, shape) = output.map_or((None, OutputShape::None), |(schema, shape)| {
                (Some(schema), shape)
            });
            (tool.output, tool.binding.output) = (output, shape);
            tool
        });
        tools.collect()
    }
}

/// How far down one input schema can go.
enum Steps {
    /// By references.
    References {
        /// The bytes beside the definitions.
        root: usize,
        rung: usize,
        ladder: Arc<Ladder>,
    },
    /// By schemas inside of schemas, where there are no references.
    Levels { level: usize },
}

impl Steps {
    /// Goes one step down; the size of this root with its definitions there.
    fn lower(&mut self, whole: &Map<String, Value>) -> Option<usize> {
        match self {
            Self::References { root, rung, ladder } => {
                *rung = rung.checked_sub(1)?;
                Some(*root + ladder.size(*rung))
            }
            Self::Levels { level } => {
                *level = level.checked_sub(1)?;
                Some(measure::cut(whole, *level))
            }
        }
    }

    fn apply(self, draft: &mut Draft) {
        match self {
            Self::References { rung, ladder, .. } => draft.entries = ladder.entries(rung),
            Self::Levels { level } => draft.root = outline::cut(&draft.root, level),
        }
    }
}

/// The candidates that are enough, those with the largest gain first.
fn taken<T>(
    mut candidates: Vec<Candidate<T>>,
    over: &mut usize,
) -> impl Iterator<Item = (usize, T)> {
    candidates.retain(|candidate| candidate.gain > 0);
    candidates.sort_by_key(|candidate| (Reverse(candidate.gain), candidate.place));
    let needed = candidates.iter().take_while(|candidate| {
        let needed = *over > 0;
        *over = over.saturating_sub(candidate.gain);
        needed
    });
    let needed = needed.count();
    candidates.truncate(needed);
    candidates
        .into_iter()
        .map(|candidate| (candidate.place, candidate.becomes))
}

/// Marks the tools that answer with one of these.
fn users(planned: &[Planned], outputs: &[bool], changed: &mut [bool]) {
    for (planned, changed) in planned.iter().zip(changed) {
        let touched = planned.output.and_then(|place| outputs.get(place));
        *changed |= touched == Some(&true);
    }
}

fn argument_text(planned: &mut [Planned], over: &mut usize, changed: &mut [bool]) {
    let candidates = planned.iter().enumerate().map(|(place, planned)| {
        let arguments = planned
            .input
            .root
            .get("properties")
            .and_then(Value::as_object);
        let arguments = arguments.into_iter().flat_map(Map::values);
        let gain = arguments.filter_map(Value::as_object).map(wordiness).sum();
        Candidate {
            gain,
            place,
            becomes: gain,
        }
    });
    for (place, gain) in taken(candidates.collect(), over) {
        let input = &mut planned[place].input;
        brief(&mut input.root);
        input.size = input.size.saturating_sub(gain);
        changed[place] = true;
    }
}

/// The bytes that [`brief`] saves of an argument, without commas.
fn wordiness(argument: &Map<String, Value>) -> usize {
    // Most arguments have so few members that looking at each is quicker than to hash three names.
    let members = argument
        .iter()
        .map(|(key, value)| match (key.as_str(), value) {
            ("examples" | "title", value) => key.len() + 3 + json_size::value(value),
            ("description", Value::String(text)) => {
                let short = briefly(text);
                if short.len() == text.len() {
                    0
                } else {
                    json_size::string(text).saturating_sub(json_size::string(&short))
                }
            }
            _ => 0,
        });
    members.sum()
}

/// The first sentence of what an argument says, not too long.
fn briefly(text: &str) -> Cow<'_, str> {
    shortened(first_sentence(text), ARGUMENT_TEXT)
}

/// Leaves the first sentence of what each argument says, and no examples.
fn brief(root: &mut Map<String, Value>) {
    let arguments = root.get_mut("properties").and_then(Value::as_object_mut);
    for argument in arguments.into_iter().flat_map(Map::values_mut) {
        let Value::Object(schema) = argument else {
            continue;
        };
        schema.retain(|key, _| !matches!(key.as_str(), "examples" | "title"));
        if let Some(Value::String(text)) = schema.get_mut("description") {
            let short = briefly(text);
            if short.len() < text.len() {
                *text = short.into_owned();
            }
        }
    }
}

fn tool_text(planned: &mut [Planned], over: &mut usize, changed: &mut [bool]) {
    let mut candidates = Vec::new();
    for (place, planned) in planned.iter().enumerate() {
        let paragraph = planned
            .tool
            .description
            .split("\n\n")
            .next()
            .unwrap_or_default();
        let text = shortened(paragraph, TOOL_TEXT);
        candidates.push(Candidate {
            gain: json_size::string(&planned.tool.description)
                .saturating_sub(json_size::string(&text)),
            place,
            becomes: text.into_owned(),
        });
    }
    for (place, text) in taken(candidates, over) {
        planned[place].tool.description = text;
        changed[place] = true;
    }
}

/// The bytes of `,"outputSchema":`.
const OUTPUT: usize = 16;

/// The bytes of a tool in a list beside its schemas, with its comma.
fn fixed_size(tool: &Tool) -> usize {
    // `{"name":,"title":,"description":,"inputSchema":,"annotations":},`
    let names = 40
        + tool
            .title
            .as_ref()
            .map_or(0, |title| json_size::string(title) + 9);
    let hints = [
        tool.annotations.read_only_hint,
        tool.annotations.destructive_hint,
        tool.annotations.idempotent_hint,
        tool.annotations.open_world_hint,
    ];
    // `{"readOnlyHint":,"destructiveHint":,"idempotentHint":,"openWorldHint":}`
    let hints = hints
        .into_iter()
        .map(|hint| if hint { 4 } else { 5 })
        .sum::<usize>()
        + 71;
    let description = if tool.description.is_empty() {
        0
    } else {
        json_size::string(&tool.description) + 15
    };
    tool.name.as_str().len() + 2 + names + description + hints
}

/// The bytes that a tool has in `tools/list`.
pub(crate) fn listed_size(tool: &Tool) -> usize {
    let size = |schema: &Schema| {
        let bytes = |schema: &Value| measure::schema(schema, Omission::NOTHING, &mut |_| {});
        let definitions = schema.definitions().iter();
        let definitions = definitions.map(|it| json_size::string(&it.name) + 2 + bytes(&it.schema));
        let definitions: usize = definitions.sum();
        let root = measure::members(schema.root(), Omission::NOTHING, &mut |_| {});
        root + definitions + if definitions == 0 { 0 } else { DEFS - 1 }
    };
    let output = tool
        .output
        .as_ref()
        .map_or(0, |output| size(output) + OUTPUT);
    fixed_size(tool) + size(&tool.input) + output
}
