//! URIs of resources under one roof: unique, reversible, and of the scheme that they had.
//!
//! The server's name becomes the first segment after the scheme: `file:///a` of the server `docs` is
//! `file://docs//a`, `ui://app.html` is `ui://docs/app.html`, `urn:isbn:1` is `urn:docs/isbn:1`. So
//! it is with templates, whose expansions are then reversed like any other URI.

use mcphub_core::server::ServerName;

/// The public URI of a server's own one.
pub(super) fn public(server: &ServerName, own: &str) -> String {
    let (scheme, rest) = split(own);
    format!("{scheme}{server}/{rest}")
}

/// The name of the server in a public URI, and its own URI there. `None` for one that
/// [`public`] did not make.
pub(super) fn own(public: &str) -> Option<(&str, String)> {
    let (scheme, rest) = split(public);
    let (server, rest) = rest.split_once('/')?;
    Some((server, format!("{scheme}{rest}")))
}

/// The scheme with what ends it, and what follows (RFC 3986, section 3.1).
fn split(uri: &str) -> (&str, &str) {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    match uri.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => {
            let slashes = if rest.starts_with("//") { 2 } else { 0 };
            uri.split_at(scheme.len() + 1 + slashes)
        }
        _ => ("", uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_stays_and_the_server_is_the_first_segment() {
        let server = ServerName::new("docs").unwrap();
        for (own_uri, public_uri) in [
            ("file:///a/b", "file://docs//a/b"),
            ("ui://app.html", "ui://docs/app.html"),
            ("urn:isbn:1", "urn:docs/isbn:1"),
            ("file:/a", "file:docs//a"),
            (
                "https://Example.com:1/a?b#c",
                "https://docs/Example.com:1/a?b#c",
            ),
            (
                "test://template/{id}/data",
                "test://docs/template/{id}/data",
            ),
            ("{scheme}://{+path}", "docs/{scheme}://{+path}"),
            ("relative/path", "docs/relative/path"),
            ("", "docs/"),
        ] {
            assert_eq!(public(&server, own_uri), public_uri);
            assert_eq!(own(public_uri), Some(("docs", own_uri.to_owned())));
        }
        assert_eq!(own("test://static-text"), None);
    }

    proptest::proptest! {
        #[test]
        fn every_uri_comes_back(uri in "(([a-z+.-]{0,4}:)?/{0,3})?.{0,20}", name in "[a-z][a-z0-9]{0,5}") {
            let server = ServerName::new(&name).unwrap();
            let public = public(&server, &uri);
            proptest::prop_assert_eq!(own(&public), Some((&*name, uri)));
        }
    }
}
