//! The trace of a request in headers, too: most HTTP libraries look for it there, and not in `_meta`.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::members::{Members, string};
use crate::trace::{BAGGAGE, OF_BAGGAGE, OF_STATE, PARENT, STATE, is_list, is_parent};

/// Adds what members of `_meta` say of a trace. What is not as the standards ask goes no further than
/// `_meta`, and without its trace `tracestate` means nothing.
pub(super) fn add(meta: &str, headers: &mut HeaderMap) {
    if ![PARENT, BAGGAGE].iter().any(|name| meta.contains(name)) {
        return;
    }
    let text = format!("{{{meta}}}");
    let Ok(members) = Members::read(&text) else {
        return;
    };
    let mut insert = |name: &'static str, good: &dyn Fn(&str) -> bool| {
        let value = members.get(name).and_then(string);
        let value = value.filter(|value| good(value));
        let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(&value)) else {
            return false;
        };
        headers.insert(HeaderName::from_static(name), value);
        true
    };
    if insert(PARENT, &is_parent) {
        insert(STATE, &|text| is_list(text, OF_STATE));
    }
    insert(BAGGAGE, &|text| is_list(text, OF_BAGGAGE));
}

#[cfg(test)]
mod tests {
    use super::*;

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
