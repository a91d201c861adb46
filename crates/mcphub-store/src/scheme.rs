//! What kind of thing a URL names.

/// The scheme (RFC 3986 section 3.1). A single letter is the drive of a Windows path.
pub(crate) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(legal);
    is_scheme.then_some(scheme)
}
