//! What a server asks for when it refuses: the header `WWW-Authenticate` (RFC 9110, 11.6.1).

use std::collections::HashMap;

/// One way to say who calls.
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// By name in lower case; of several with one name the first.
    pub(crate) parameters: HashMap<String, String>,
}

/// The challenges of a header in its order. What follows a mistake is not read.
pub(crate) fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (name, after) = token(rest);
        if name.is_empty() {
            return found;
        }
        let name = name.to_ascii_lowercase();
        let Some(after_sign) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            found.push(Challenge {
                scheme: name,
                parameters: HashMap::new(),
            });
            rest = after;
            continue;
        };
        let Some((value, after)) = value(after_sign.trim_start_matches([' ', '\t'])) else {
            return found;
        };
        if let Some(challenge) = found.last_mut() {
            challenge.parameters.entry(name).or_insert(value);
        }
        rest = after;
    }
}

/// A token at the beginning, and what follows.
fn token(text: &str) -> (&str, &str) {
    let other = |c: char| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(other).unwrap_or(text.len()))
}

/// A token or a quoted text at the beginning, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = token(text);
        return (!value.is_empty()).then(|| (value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}
