//! Public names: legal, short enough for every client, and never twice.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The longest name with a server's prefix. Clients refuse more.
pub(super) const MAX_PREFIXED: usize = 64;

/// The longest name without a prefix (MCP 2026-07-28, Tool Names).
pub(super) const MAX_OWN: usize = 128;

/// The public name of the tool whose full name is `full`: the full name itself where that is legal,
/// at most `max` long and not taken. Otherwise illegal characters become `_`, the name is cut, and
/// `_` with hex digits of the full name's SHA-256 is appended: 8 of them, or more while the name
/// is taken. `None` when even the whole hash is taken: the tool is the same one.
pub(super) fn public_name(full: &str, max: usize, taken: impl Fn(&str) -> bool) -> Option<String> {
    let mut legal: String = full
        .chars()
        .map(|c| if is_legal(c) { c } else { '_' })
        .collect();
    if legal == full && (1..=max).contains(&full.len()) && !taken(full) {
        return Some(legal);
    }
    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(full.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    [8, 16, 32, 63].into_iter().find_map(|digits| {
        // All characters are ASCII by now.
        legal.truncate(max - digits - 1);
        let name = format!("{legal}_{}", &hash[..digits]);
        (!taken(&name)).then_some(name)
    })
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legal_name_stays_as_it_is() {
        assert_eq!(
            public_name("pets_get.pet-1", MAX_PREFIXED, |_| false).unwrap(),
            "pets_get.pet-1"
        );
    }

    #[test]
    fn a_long_or_illegal_name_gets_a_hash_that_tells_it_apart() {
        let long = format!("pets_{}", "a".repeat(70));
        let other = format!("{long}b");
        let names = [&long, &other].map(|full| public_name(full, MAX_PREFIXED, |_| false).unwrap());
        assert!(names.iter().all(|name| name.len() == MAX_PREFIXED));
        assert_ne!(names[0], names[1]);
        let spaced = public_name("pets_get a pet", MAX_PREFIXED, |_| false).unwrap();
        let scored = public_name("pets_get_a pet", MAX_PREFIXED, |_| false).unwrap();
        assert!(spaced.starts_with("pets_get_a_pet_") && spaced != scored);
        assert_eq!(public_name("", MAX_OWN, |_| false).unwrap().len(), 9);
    }

    #[test]
    fn a_taken_name_gets_a_longer_hash() {
        let first = public_name("a b", MAX_OWN, |_| false).unwrap();
        let second = public_name("a b", MAX_OWN, |name| name == first).unwrap();
        assert!(second.len() > first.len());
        assert_eq!(public_name("a b", MAX_OWN, |_| true), None);
    }
}
