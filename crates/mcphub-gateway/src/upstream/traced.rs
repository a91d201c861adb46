//! The trace of a request in headers, too: most HTTP libraries look for it there, and not in `_meta`.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::members::Members;
use crate::trace::TraceContext;

/// Adds what members of `_meta` say of a trace. What is not as the standards ask goes no further than
/// `_meta`.
pub(super) fn add(meta: &str, headers: &mut HeaderMap) {
    for (name, value) in TraceContext::of_meta(meta).headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Adds what a whole message says of a trace.
pub(super) fn add_of_message(message: &[u8], headers: &mut HeaderMap) {
    let Ok(text) = std::str::from_utf8(message) else {
        return;
    };
    let member = |text: &str, name: &str| {
        let members = Members::read(text).ok()?;
        members.get(name).map(|raw| raw.get().to_owned())
    };
    if !text.contains("\"_meta\"") {
        return;
    }
    let meta = member(text, "params").and_then(|params| member(&params, "_meta"));
    let meta = meta.as_deref().map(str::trim);
    let inside = meta.and_then(|meta| meta.strip_prefix('{')?.strip_suffix('}'));
    add(inside.unwrap_or_default(), headers);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{BAGGAGE, PARENT, STATE};

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

    fn added(meta: &str) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        add(meta, &mut headers);
        let headers = headers.iter();
        let text = headers.map(|(name, value)| {
            let value = value.to_str().unwrap_or_default();
            (name.to_string(), value.to_owned())
        });
        text.collect()
    }

    #[test]
    fn what_meta_says_of_a_trace_goes_into_headers() {
        let meta = format!(
            r#""a":1,"traceparent":"{GOOD}","tracestate":"a=1,b@c=2","baggage":"user=\u0022x\u0022""#
        );
        let expected = [
            (PARENT, GOOD),
            (STATE, "a=1,b@c=2"),
            (BAGGAGE, "user=\"x\""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(added(&meta), expected);
        assert!(added(r#""a":1"#).is_empty());
    }

    #[test]
    fn what_no_trace_is_called_goes_nowhere() {
        let long = "x".repeat(9_000);
        for wrong in [
            format!(r#""traceparent":"{}","tracestate":"a=1""#, &GOOD[..54]),
            format!(r#""traceparent":"{GOOD}\r\nx-evil: 1","tracestate":"a=1""#),
            r#""traceparent":7"#.to_owned(),
            r#""tracestate":"a=1""#.to_owned(),
            r#""baggage":"a=1\r\nx-evil: 1""#.to_owned(),
            r#""baggage":"=1""#.to_owned(),
            format!(r#""baggage":"a={long}""#),
        ] {
            assert!(added(&wrong).is_empty(), "{wrong}");
        }
    }
}
