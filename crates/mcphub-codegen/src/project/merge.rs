//! What its owner changed in a file, and what the generator did, come together.

use std::ops::RangeInclusive;

use diffy::{DiffOptions, MergeOptions};

/// The largest file that is merged, in bytes: beyond it the comparison would take seconds.
pub(super) const MAX_SIZE: u64 = 1024 * 1024;

/// The usual length of a conflict marker, and the longest.
const MARKER: usize = 7;
const MAX_MARKER: usize = 64;

/// How two changes of one text fit together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// They touch different lines, or say the same.
    Clean(Vec<u8>),
    /// They touch the same lines.
    Conflict {
        /// The owner's lines, counted from one.
        lines: Vec<RangeInclusive<usize>>,
        /// The text with both between markers; `None` where the file is no text.
        marked: Option<Vec<u8>>,
    },
}

impl Merge {
    /// Nothing is known but that the files differ.
    pub(super) fn whole() -> Self {
        Self::Conflict {
            lines: Vec::new(),
            marked: None,
        }
    }
}

/// Applies what changed from `base` to `generated` to the owner's text.
pub(super) fn merge(path: &str, base: &[u8], owners: &[u8], generated: &[u8]) -> Merge {
    let texts = [base, owners, generated].map(std::str::from_utf8);
    let [Ok(base), Ok(owners), Ok(generated)] = texts else {
        return Merge::whole();
    };
    let length = marker_length(&[base, owners, generated]);
    let merged = MergeOptions::new()
        .set_conflict_marker_length(length)
        .set_incomplete_hunk_style(diffy::IncompleteHunkStyle::Git)
        .merge(base, owners, generated);
    match merged {
        Ok(merged) if still_json(path, owners, generated, &merged) => {
            Merge::Clean(merged.into_bytes())
        }
        Ok(_) => Merge::whole(),
        Err(marked) => Merge::Conflict {
            lines: touched(base, owners, generated),
            marked: Some(named(&marked, length).into_bytes()),
        },
    }
}

/// Whether conflict markers of an earlier merge are still in a text.
pub(super) fn unresolved(text: &[u8]) -> bool {
    let begins = |mark: u8, name: &[u8]| {
        text.split(|byte| *byte == b'\n').any(|line| {
            let name = [b" ", name].concat();
            let head = line.strip_suffix(b"\r").unwrap_or(line);
            head.strip_suffix(name.as_slice())
                .is_some_and(|head| head.len() >= MARKER && head.iter().all(|byte| *byte == mark))
        })
    };
    begins(b'<', b"yours") && begins(b'>', b"generated")
}

/// Lines that are each right can be wrong together, such as members without a comma between them.
fn still_json(path: &str, owners: &str, generated: &str, merged: &str) -> bool {
    let reads = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let data = path.ends_with(".json") && reads(owners) && reads(generated);
    !data || reads(merged)
}

/// A length that no line of the texts begins with.
fn marker_length(texts: &[&str]) -> usize {
    let longest = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| {
            let mark = line.chars().next().filter(|c| "<>=|".contains(*c))?;
            Some(line.chars().take_while(|c| *c == mark).count())
        })
        .max();
    longest.map_or(MARKER, |longest| (longest + 1).clamp(MARKER, MAX_MARKER))
}

/// Says in the markers whose lines they are.
fn named(marked: &str, length: usize) -> String {
    let names = [
        ('<', "ours", "yours"),
        ('|', "original", "generated before"),
        ('>', "theirs", "generated"),
    ];
    let names = names.map(|(mark, old, new)| {
        let mark = mark.to_string().repeat(length);
        (format!("{mark} {old}"), format!("{mark} {new}"))
    });
    let mut out = String::with_capacity(marked.len() + 64);
    for line in marked.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        match names.iter().find(|(old, _)| old == text) {
            Some((_, new)) => {
                out.push_str(new);
                out.push_str(&line[text.len()..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

/// The owner's lines whose change meets one of the generator's.
fn touched(base: &str, owners: &str, generated: &str) -> Vec<RangeInclusive<usize>> {
    let mut options = DiffOptions::new();
    options.set_context_len(0);
    let theirs = options.create_patch(base, generated);
    let theirs: Vec<_> = theirs.hunks().iter().map(|hunk| hunk.old_range()).collect();
    let owners = options.create_patch(base, owners);
    let meets = |hunk: &&diffy::Hunk<'_, str>| {
        let mine = hunk.old_range();
        theirs
            .iter()
            .any(|their| mine.start() <= their.end() && their.start() <= mine.end())
    };
    owners
        .hunks()
        .iter()
        .filter(meets)
        .map(|hunk| {
            let lines = hunk.new_range();
            // Lines that were taken out are between two others.
            let first = lines.start().max(1);
            first..=lines.end().saturating_sub(1).max(first)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "a\nb\nc\nd\ne\nf\ng\n";

    #[test]
    fn changes_of_different_lines_come_together() {
        let merged = merge(
            "x.py",
            BASE.as_bytes(),
            b"a\nB\nc\nd\ne\nf\ng\n",
            b"a\nb\nc\nd\ne\nF\ng\n",
        );
        assert_eq!(merged, Merge::Clean(b"a\nB\nc\nd\ne\nF\ng\n".to_vec()));
    }

    #[test]
    fn changes_of_the_same_lines_are_a_conflict_that_names_the_owners_lines() {
        let owners = "new\na\nb\nc\nd\nmine\nf\ng\n";
        let Merge::Conflict { lines, marked } = merge(
            "x.py",
            BASE.as_bytes(),
            owners.as_bytes(),
            b"a\nb\nc\nd\ntheirs\nf\ng\n",
        ) else {
            panic!("a conflict");
        };
        assert_eq!(lines, [6..=6]);
        let marked = String::from_utf8(marked.unwrap()).unwrap();
        assert_eq!(
            marked,
            "new\na\nb\nc\nd\n<<<<<<< yours\nmine\n||||||| generated before\ne\n=======\ntheirs\n>>>>>>> generated\nf\ng\n"
        );
        assert!(unresolved(marked.as_bytes()));
        assert!(!unresolved(owners.as_bytes()));
    }

    #[test]
    fn markers_differ_from_every_line_of_the_texts() {
        let Merge::Conflict { marked, .. } = merge(
            "README.md",
            b"<<<<<<< yours\nb\n",
            b"<<<<<<< yours\nmine\n",
            b"<<<<<<< yours\ntheirs\n",
        ) else {
            panic!("a conflict");
        };
        let marked = String::from_utf8(marked.unwrap()).unwrap();
        assert!(
            marked.starts_with("<<<<<<< yours\n<<<<<<<< yours\nmine\n"),
            "{marked}"
        );
    }

    #[test]
    fn lines_that_make_no_json_together_are_a_conflict() {
        let base = b"[\n1,\n2,\n3,\n4\n]\n";
        let owners = b"[\n1,\n2,\n3\n]\n";
        let generated = b"[\n0,\n1,\n2,\n3,\n4\n]\n";
        let clean = merge("x.json", base, owners, generated);
        assert_eq!(clean, Merge::Clean(b"[\n0,\n1,\n2,\n3\n]\n".to_vec()));

        // One side drops the comma of a line that the other one keeps, far from its own change.
        assert!(!still_json("x.json", "[1]", "[2]", "[1 2]"));
        assert!(still_json("x.json", "[1", "[2]", "[1 2]"));
        assert!(still_json("x.py", "[1]", "[2]", "[1 2]"));
    }

    #[test]
    fn what_is_no_text_is_not_merged() {
        assert_eq!(merge("x", b"\xff", b"a", b"b"), Merge::whole());
    }
}
