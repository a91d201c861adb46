//! How much of nested values a schema takes, step by step.

use std::sync::Arc;

use super::definitions::{Definitions, Form};

/// What a schema may take of the definitions that it reaches. On rung 0 those that it refers to
/// itself are outlines; on each further rung the definitions one reference farther are whole.
#[derive(Debug)]
pub(super) struct Ladder {
    /// Each definition with its distance from the schema, nearest first.
    found: Vec<(usize, usize)>,
    /// The bytes below `$defs` on each rung; higher is never smaller.
    rungs: Vec<usize>,
}

impl Ladder {
    /// The highest rung that fits.
    pub(super) fn highest(&self, room: usize) -> Option<usize> {
        self.rungs
            .partition_point(|bytes| *bytes <= room)
            .checked_sub(1)
    }

    /// The bytes on a rung.
    pub(super) fn size(&self, rung: usize) -> usize {
        self.rungs.get(rung).copied().unwrap_or_default()
    }

    /// What is taken on a rung.
    pub(super) fn entries(&self, rung: usize) -> Vec<(usize, Form)> {
        let taken = self
            .found
            .iter()
            .take_while(|(_, distance)| *distance <= rung);
        taken
            .map(|(index, distance)| {
                let whole = *distance < rung;
                (*index, if whole { Form::Bare } else { Form::Outline })
            })
            .collect()
    }
}

impl Definitions<'_> {
    /// The rungs of a schema that refers to `roots`, as far up as at most `max` bytes.
    pub(super) fn ladder(&mut self, roots: &[usize], max: usize) -> Arc<Ladder> {
        if let Some(ladder) = self.ladders.get(roots) {
            return ladder.clone();
        }
        let reached = self.reach(Form::Bare, roots, max);
        let found = reached.found;
        let deepest = found.last().map_or(0, |(_, distance)| *distance);
        let mut rungs = Vec::new();
        let (mut whole, mut start) = (0, 0);
        for rung in 0..=deepest + 1 {
            // Where the walk ended early it has not seen all that is as far as the last.
            if reached.over && rung == deepest {
                break;
            }
            let here = found.get(start..).unwrap_or_default();
            let here = here.iter().take_while(|(_, distance)| *distance == rung);
            let (mut next, mut outlined) = (whole, 0);
            for (index, _) in here {
                next += self.entry_size(Form::Bare, *index);
                outlined += self.entry_size(Form::Outline, *index);
                start += 1;
            }
            rungs.push(whole + outlined);
            whole = next;
        }
        let ladder = Arc::new(Ladder { found, rungs });
        self.ladders.insert(roots.to_vec(), ladder.clone());
        ladder
    }
}
