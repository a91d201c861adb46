//! The version of a package, made of that of the API.

/// A version of Semantic Versioning 2.0.0: that of the API where it is up to three numbers.
pub(crate) fn semantic(version: &str) -> String {
    let parts: Option<Vec<u32>> = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        })
        .collect();
    match parts.as_deref() {
        Some([major]) => format!("{major}.0.0"),
        Some([major, minor]) => format!("{major}.{minor}.0"),
        Some([major, minor, patch]) => format!("{major}.{minor}.{patch}"),
        _ => "0.1.0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers() {
        for (version, expected) in [
            ("1.2", "1.2.0"),
            ("v3", "3.0.0"),
            ("01.2.3", "1.2.3"),
            ("2026-01-31", "0.1.0"),
            ("1.2.3.4", "0.1.0"),
            ("1..2", "0.1.0"),
            ("99999999999", "0.1.0"),
        ] {
            assert_eq!(semantic(version), expected, "{version}");
        }
    }
}
