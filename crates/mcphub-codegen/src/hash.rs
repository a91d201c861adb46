//! Short digests that tell long names apart.

use sha2::{Digest, Sha256};

/// The first eight hex digits of the SHA-256.
pub(crate) fn hash8(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The text, or where it is longer than `max` bytes its beginning, `_` and its hash. ASCII only.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let hash = hash8(text);
    match max.checked_sub(hash.len() + 1) {
        Some(room) if room > 0 => format!("{}_{hash}", text.get(..room).unwrap_or_default()),
        _ => hash.chars().take(max).collect(),
    }
}
