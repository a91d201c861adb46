//! What becomes of each file: its owner's edits and the new generation side by side.

use std::collections::BTreeMap;
use std::path::Path;

use mcphub_core::project::Project;
use mcphub_core::{Error, ErrorKind, Result};

use super::manifest::{Manifest, generated};
use super::merge::{MAX_SIZE, Merge, merge, unresolved};
use super::state::{self, Found};
use super::{Conflict, OnEdit, Written};
use crate::archive;

/// How many files, and lines of one, an error names.
const MAX_NAMED: usize = 20;
const MAX_LINES: usize = 5;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) done: Written,
    /// The files whose contents are neither generated nor there already.
    pub(super) merged: Vec<(String, Vec<u8>)>,
}

impl Edits {
    /// Compares the folder with what was generated and with what is to be.
    ///
    /// # Errors
    /// `Conflict` where an edit cannot be kept and may not be lost.
    pub(super) fn find(
        project: &Project,
        directory: &Path,
        old: &Manifest,
        new: &BTreeMap<&str, String>,
        on_edit: OnEdit,
    ) -> Result<Self> {
        let force = on_edit == OnEdit::Overwrite;
        let mut edits = Self::default();
        let mut changed = Vec::new();
        for (path, digest) in new {
            let list = match state::find(directory, path)? {
                Found::File(found) if found == *digest => &mut edits.done.unchanged,
                Found::Nothing if old.finished(path) && !force => &mut edits.done.missing,
                Found::Nothing => &mut edits.done.written,
                Found::File(found) if force || old.generated(path, &found) => {
                    &mut edits.done.written
                }
                Found::Link if force => &mut edits.done.written,
                Found::File(_) | Found::Link => {
                    changed.push(*path);
                    continue;
                }
            };
            list.push((*path).to_owned());
        }
        edits.merge(project, directory, &changed, on_edit)?;
        for path in old.paths().filter(|path| !new.contains_key(path)) {
            match state::find(directory, path)? {
                Found::File(found) if old.generated(path, &found) => {
                    edits.done.removed.push(path.to_owned());
                }
                Found::File(_) | Found::Link => edits.done.kept.push(path.to_owned()),
                Found::Nothing => {}
            }
        }
        Ok(edits)
    }

    fn merge(
        &mut self,
        project: &Project,
        directory: &Path,
        changed: &[&str],
        on_edit: OnEdit,
    ) -> Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let archive = generated(directory).unwrap_or_default();
        let mut refused = Vec::new();
        for path in changed {
            let owners = state::read(directory, path, MAX_SIZE)?;
            if owners.as_deref().is_some_and(unresolved) {
                refused.push(format!(
                    "{path} (has conflict markers that nobody resolved)"
                ));
                continue;
            }
            let path = (*path).to_owned();
            let now = project.file(&path).map_or(&[][..], |bytes| bytes);
            let limit = now.len().max(MAX_SIZE as usize) as u64;
            let base = archive::file(&archive, &path, limit);
            if base.as_deref() == Some(now) {
                self.done.edited.push(path);
                continue;
            }
            let fits = now.len() as u64 <= MAX_SIZE;
            let merged = match (&base, &owners) {
                (Some(base), Some(owners)) if fits => merge(&path, base, owners, now),
                _ => Merge::whole(),
            };
            match merged {
                Merge::Clean(bytes) => {
                    self.merged.push((path.clone(), bytes));
                    self.done.merged.push(path);
                }
                Merge::Conflict {
                    lines,
                    marked: Some(bytes),
                } if on_edit == OnEdit::MergeAndMark => {
                    self.merged.push((path.clone(), bytes));
                    self.done.conflicts.push(Conflict { path, lines });
                }
                Merge::Conflict { lines, .. } => refused.push(named(&Conflict { path, lines })),
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        Err(conflict(directory, &refused))
    }
}

/// `README.md (lines 3-5, 9)`.
fn named(conflict: &Conflict) -> String {
    let mut lines: Vec<_> = conflict
        .lines
        .iter()
        .take(MAX_LINES)
        .map(|lines| match (lines.start(), lines.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        })
        .collect();
    if conflict.lines.len() > MAX_LINES {
        lines.push("…".to_owned());
    }
    match lines.as_slice() {
        [] => conflict.path.clone(),
        [one] if !one.contains('-') => format!("{} (line {one})", conflict.path),
        _ => format!("{} (lines {})", conflict.path, lines.join(", ")),
    }
}

fn conflict(directory: &Path, files: &[String]) -> Error {
    let mut names = files
        .iter()
        .take(MAX_NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if files.len() > MAX_NAMED {
        names.push_str(&format!(" and {} more", files.len() - MAX_NAMED));
    }
    Error::new(
        ErrorKind::Conflict,
        format!("edits meet what is generated now: {names}; nothing was written; --mark-conflicts writes both between conflict markers, --force overwrites the edits"),
    )
    .with("directory", directory.display())
    .during("project::write")
}
