//! Which operations become tools.

use mcphub_core::spec::{Diagnostic, Operation, Severity};
use mcphub_core::tool::{Criterion, Facet, Selection, ToolAnnotations, ToolName};
use mcphub_core::{Error, Result};
use wildmatch::WildMatch;

/// A selection while operations are held against it.
pub(super) struct Selector<'a> {
    include: Vec<Rule<'a>>,
    exclude: Vec<Rule<'a>>,
    read_only: bool,
    selected: usize,
    seen: usize,
}

struct Rule<'a> {
    criterion: &'a Criterion,
    glob: WildMatch,
    matched: bool,
}

impl<'a> Selector<'a> {
    pub(super) fn new(selection: &'a Selection) -> Self {
        let rules = |criteria: &'a [Criterion]| criteria.iter().map(Rule::new).collect();
        Self {
            include: rules(&selection.include),
            exclude: rules(&selection.exclude),
            read_only: selection.read_only,
            selected: 0,
            seen: 0,
        }
    }

    /// Whether the operation is selected.
    pub(super) fn selects(&mut self, operation: &Operation, name: Option<&ToolName>) -> bool {
        self.seen += 1;
        // Each is asked, so that those that match nothing are known.
        let mut wanted = [None; Facet::ALL.len()];
        for rule in &mut self.include {
            let matches = rule.matches(operation, name);
            let of_facet = &mut wanted[rule.criterion.facet as usize];
            *of_facet = Some(of_facet.unwrap_or(false) || matches);
        }
        let mut selected = wanted.into_iter().flatten().all(|matched| matched);
        for rule in &mut self.exclude {
            selected &= !rule.matches(operation, name);
        }
        let annotations = || ToolAnnotations::from(operation.method).with(&operation.hints);
        selected = selected && (!self.read_only || annotations().read_only_hint);
        self.selected += usize::from(selected);
        selected
    }

    /// What is to be said once all operations were seen.
    ///
    /// # Errors
    /// `InvalidInput` when there are operations and none is selected.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>> {
        if self.selected == 0 && self.seen > 0 {
            let criteria = |rules: &[Rule<'_>]| {
                let rules = rules.iter().map(|rule| rule.criterion.to_string());
                rules.collect::<Vec<_>>().join(", ")
            };
            return Err(Error::invalid("no operation of the document is selected")
                .with("operations", self.seen)
                .with("include", criteria(&self.include))
                .with("exclude", criteria(&self.exclude))
                .with("read only", self.read_only)
                .during("plan"));
        }
        let idle = self.include.iter().chain(&self.exclude);
        let idle = idle.filter(|rule| !rule.matched && self.seen > 0);
        let mut diagnostics: Vec<_> = idle
            .map(|rule| {
                let message = format!("{} matches no operation", rule.criterion);
                remark(Severity::Warning, "idle-criterion", message)
            })
            .collect();
        let left_out = self.seen - self.selected;
        if left_out > 0 {
            let message = format!("{left_out} of {} operations are not selected", self.seen);
            diagnostics.push(remark(Severity::Info, "not-selected", message));
        }
        Ok(diagnostics)
    }
}

impl<'a> Rule<'a> {
    fn new(criterion: &'a Criterion) -> Self {
        Self {
            criterion,
            glob: match criterion.facet {
                Facet::Method => WildMatch::new_case_insensitive(&criterion.glob),
                _ => WildMatch::new(&criterion.glob),
            },
            matched: false,
        }
    }

    fn matches(&mut self, operation: &Operation, name: Option<&ToolName>) -> bool {
        let is = |text: &str| self.glob.matches(text);
        let matches = match self.criterion.facet {
            Facet::Tag => operation.tags.iter().any(|tag| is(tag)),
            Facet::Group => operation.group().is_some_and(is),
            Facet::Method => is(operation.method.as_str()),
            Facet::Path => is(&operation.path),
            Facet::OperationId => operation.id.as_deref().is_some_and(is),
            Facet::Tool => name.is_some_and(|name| is(name.as_str())),
            // A facet that is not known here selects nothing, and is told as idle.
            _ => false,
        };
        self.matched |= matches;
        matches
    }
}

fn remark(severity: Severity, code: &str, message: String) -> Diagnostic {
    Diagnostic {
        severity,
        code: code.to_owned(),
        pointer: String::new(),
        message,
    }
}
