//! Names of arguments: what clients take (`[A-Za-z0-9_.-]{1,64}`), unique within a tool.

use std::collections::HashSet;

use mcphub_core::spec::Location;

use crate::hash::{cut, hash8};

/// The longest name of an argument in bytes; clients refuse more.
const MAX: usize = 64;

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Home {
    Path,
    Query,
    Header,
    Cookie,
    Body,
    /// It is for the answer and not for the API.
    Answer,
}

impl From<Location> for Home {
    fn from(location: Location) -> Self {
        match location {
            Location::Path => Self::Path,
            Location::Header => Self::Header,
            Location::Cookie => Self::Cookie,
            _ => Self::Query,
        }
    }
}

impl Home {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Path => "_path",
            Self::Query => "_query",
            Self::Header => "_header",
            Self::Cookie => "_cookie",
            Self::Body => "_body",
            Self::Answer => "_answer",
        }
    }
}

/// A name for each of the wire's names. Where two meet, the one whose home comes first keeps it,
/// within one home the one that is legal as it is.
pub(super) fn names(wanted: &[(Home, &str)]) -> Vec<String> {
    let bases: Vec<String> = wanted
        .iter()
        .map(|(home, name)| legal(*home, name))
        .collect();
    if distinct(&bases) {
        return bases;
    }
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|index| (wanted[*index].0, bases[*index] != wanted[*index].1));
    let mut taken = HashSet::new();
    let mut names = vec![String::new(); wanted.len()];
    for index in order {
        let ((home, wire), base) = (wanted[index], &bases[index]);
        let with = |tail: &str| format!("{}{tail}", base.get(..MAX - tail.len()).unwrap_or(base));
        let mut name = base.clone();
        if taken.contains(&name) {
            name = with(home.suffix());
        }
        let mut salt = 0;
        while taken.contains(&name) {
            name = with(&format!(
                "_{}",
                hash8(&format!("{}{wire}{salt}", home.suffix()))
            ));
            salt += 1;
        }
        taken.insert(name.clone());
        names[index] = name;
    }
    names
}

/// Whether no two are equal: nearly always, so found out cheaply.
fn distinct(names: &[String]) -> bool {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

fn legal(home: Home, name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if (1..=MAX).contains(&name.len()) && name.bytes().all(plain) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-') {
            out.push(character);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    // Only what this put there is taken away: `_id` and `ids[]` differ.
    let foreign = |edge: Option<char>| {
        edge.is_some_and(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
    };
    let mut text = out.as_str();
    if foreign(name.chars().next()) {
        text = text.trim_start_matches('_');
    }
    if foreign(name.chars().next_back()) {
        text = text.trim_end_matches('_');
    }
    if text.is_empty() {
        return format!("{}_{}", home.suffix().trim_start_matches('_'), hash8(name));
    }
    cut(text, MAX)
}

#[cfg(test)]
mod tests {
    use super::{Home, names};

    #[test]
    fn names_are_readable_and_legal() {
        let wanted = [
            "filter[name]",
            "$top",
            "ids[]",
            "_id",
            "X-Request-Id",
            "名前",
            "a b  c",
        ];
        let wanted = wanted.map(|name| (Home::Query, name));
        let names = names(&wanted);
        assert_eq!(
            names[..5],
            ["filter_name", "top", "ids", "_id", "X-Request-Id"]
        );
        assert_eq!(names[5].len(), "query_".len() + 8);
        assert_eq!(names[6], "a_b_c");
    }

    #[test]
    fn the_path_keeps_its_name() {
        let wanted = [
            (Home::Body, "id"),
            (Home::Cookie, "id"),
            (Home::Header, "id"),
            (Home::Query, "id"),
            (Home::Path, "id"),
        ];
        assert_eq!(
            names(&wanted),
            ["id_body", "id_cookie", "id_header", "id_query", "id"]
        );
    }

    #[test]
    fn collisions_after_cleaning_are_resolved_whatever_the_order() {
        let one = names(&[
            (Home::Query, "a[b]"),
            (Home::Query, "a_b"),
            (Home::Query, "a(b)"),
            (Home::Query, "a_b_query"),
        ]);
        let two = names(&[
            (Home::Query, "a_b_query"),
            (Home::Query, "a_b"),
            (Home::Query, "a[b]"),
            (Home::Query, "a(b)"),
        ]);
        assert_eq!((one[1].as_str(), one[3].as_str()), ("a_b", "a_b_query"));
        assert_eq!(one[0], two[2]);
        assert!(one[0].starts_with("a_b_") && one[0] != one[2]);
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (long, longer) = ("x".repeat(80), "x".repeat(81));
        let names = names(&[
            (Home::Query, &long),
            (Home::Body, &longer),
            (Home::Header, &long),
        ]);
        assert!(names.iter().all(|name| name.len() <= 64));
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }
}
