//! The group that a tool is shown, selected and generated with.

use super::Tool;
use crate::spec::Operation;

/// Parts of a path that name no group, beside versions.
const COMMON: [&str; 4] = ["api", "apis", "rest", "public"];

impl Tool {
    /// The first of its tags (where `x-mcp` puts a `group`), else the first part of its path that
    /// names something: no parameter, no version such as `v2` or `2024-01-01`, and not `api` and the
    /// like. None where there is no such part. It depends on the operation alone, so that others
    /// which come and go do not move it.
    pub fn group(&self) -> Option<&str> {
        group(&self.tags, &self.binding.path)
    }
}

impl Operation {
    /// As [`Tool::group`].
    pub fn group(&self) -> Option<&str> {
        group(&self.tags, &self.path)
    }
}

fn group<'a>(tags: &'a [String], path: &'a str) -> Option<&'a str> {
    let tag = tags
        .iter()
        .map(|tag| tag.trim())
        .find(|tag| !tag.is_empty());
    tag.or_else(|| path.split('/').find_map(named))
}

/// What a part of a path template names, without an extension, a verb or a parameter behind it.
fn named(part: &str) -> Option<&str> {
    let end = part.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    let word = part.get(..end.unwrap_or(part.len()))?;
    let number = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let version = number.starts_with(|c: char| c.is_ascii_digit());
    let common = COMMON.iter().any(|other| word.eq_ignore_ascii_case(other));
    (!word.is_empty() && !version && !common).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_tag_or_the_first_part_of_a_path_that_says_something() {
        for (tags, path, expected) in [
            (&["Books", "Shop"][..], "/orders", Some("Books")),
            (&[" "], "/orders", Some("orders")),
            (&[], "/orders/{id}/lines", Some("orders")),
            (&[], "/api/v2/orders", Some("orders")),
            (&[], "/API/v1.1/2024-01-01/users.json", Some("users")),
            (&[], "/{tenant}/users:batchGet", Some("users")),
            (&[], "/vehicles", Some("vehicles")),
            (&[], "/straßen/x", Some("straßen")),
            (&[], "/Users({id})", Some("Users")),
            (&[], "/api/v1/{id}", None),
            (&[], "/", None),
            (&[], "", None),
        ] {
            let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            assert_eq!(group(&tags, path), expected, "{tags:?} {path}");
        }
    }
}
