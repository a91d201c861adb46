//! `mcphub generate`: a standalone project.

use std::process::ExitCode;

use mcphub_codegen::project::{self, OnEdit, WriteOptions, Written};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{RenderOptions, Target};
use mcphub_core::server::{self, ServerName};
use mcphub_core::spec::Severity;
use mcphub_core::{ErrorKind, Result};

use super::inspect;
use crate::cli::{Generate, Language};
use crate::{document, exit, host, output, progress, templates};

pub async fn run(args: Generate) -> Result<ExitCode> {
    args.document.agree_with(args.base_url.as_ref())?;
    let document = document::load(&args.spec, &args.document);
    let document = progress::during("fetching the document", document).await?;
    let source = document.source.clone();
    let inspected = inspect::inspect(document, args.tools.choices()).await?;
    let tools = inspected.tools;
    let name = args
        .name
        .unwrap_or_else(|| ServerName::from_title(&tools.api.title));
    // A project can be told by its environment where the API is; a document need not say it.
    let base_url = server::base_url(args.base_url.as_ref(), &tools, &source);
    let base_url = if args.base_url.is_some() {
        Some(base_url?)
    } else {
        base_url.ok()
    };
    let options = RenderOptions {
        name: name.to_string(),
        base_url,
    };
    let out = args.out.clone();
    let mut write = WriteOptions::default();
    write.on_edit = match (args.force, args.mark_conflicts) {
        (true, _) => OnEdit::Overwrite,
        (_, true) => OnEdit::MergeAndMark,
        _ => OnEdit::Merge,
    };
    let (count, target) = (tools.tools.len(), args.target);
    let templates = args.templates.clone();
    let written = host::blocking(move || {
        let templates = templates
            .as_deref()
            .map_or(Ok(Vec::new()), templates::read)?;
        let project = target_of(target, templates)?.render(&tools, &options)?;
        project::write(&project, &out, &write)
    });
    let written = progress::during("writing the project", written).await?;
    let folder = args.out.display();
    output::line(&format!(
        "{name}: {count} tools, {} in {folder}",
        summary(&written)
    ))?;
    let skipped = inspected
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    if skipped > 0 {
        output::say(&format!(
            "{skipped} operations were left out; `mcphub inspect {}` says why",
            args.spec
        ));
    }
    if !written.conflicts.is_empty() {
        let files: Vec<_> = written.conflicts.iter().map(|c| c.path.as_str()).collect();
        output::complain(&format!(
            "resolve the conflicts between `<<<<<<< yours` and `>>>>>>> generated` in {}",
            files.join(", ")
        ));
        return Ok(exit::code(ErrorKind::Conflict));
    }
    output::line(&format!("Next: read {folder}/README.md"))?;
    Ok(ExitCode::SUCCESS)
}

/// The target of a language, with templates in place of its own.
fn target_of(language: Language, templates: Vec<(String, String)>) -> Result<Box<dyn Target>> {
    let mut templates = templates.into_iter();
    Ok(match language {
        Language::Python => {
            let target = PythonTarget::new();
            Box::new(templates.try_fold(target, |target, (name, text)| {
                target.with_template(name, text)
            })?)
        }
        Language::Rust => {
            let target = RustTarget::new();
            Box::new(templates.try_fold(target, |target, (name, text)| {
                target.with_template(name, text)
            })?)
        }
        Language::Typescript => {
            let target = TypeScriptTarget::new();
            Box::new(templates.try_fold(target, |target, (name, text)| {
                target.with_template(name, text)
            })?)
        }
    })
}

fn summary(written: &Written) -> String {
    let parts = [
        (written.written.len(), "written"),
        (written.unchanged.len(), "unchanged"),
        (written.merged.len(), "merged with your edits"),
        (written.conflicts.len(), "with conflicts"),
        (written.edited.len(), "left as you edited them"),
        (written.missing.len(), "left away as you removed them"),
        (written.removed.len(), "removed"),
        (
            written.kept.len(),
            "kept because they were edited, and yours from now on",
        ),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} files {what}"))
        .collect();
    parts.join(", ")
}
