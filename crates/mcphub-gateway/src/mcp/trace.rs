//! The trace that a request belongs to (W3C Trace Context, W3C Baggage).
//!
//! In MCP it travels in `_meta` (2026-07-28, Overview, OpenTelemetry trace context). A client whose
//! HTTP library says it in headers, as most do, is understood, too.

use axum::http::{HeaderMap, HeaderName};

use super::message::Request;
use super::meta::Meta;
use crate::members::{Members, quoted};
use crate::trace::{
    BAGGAGE, Bounds, OF_BAGGAGE, OF_STATE, PARENT, STATE, TraceContext, is_list, is_parent,
};

/// What a trace is told in, in the form in which it is found soonest. Without one of these there is
/// nothing to be told.
const TOLD_IN: [HeaderName; 2] = [
    HeaderName::from_static(PARENT),
    HeaderName::from_static(BAGGAGE),
];

/// Members of `_meta`, without the braces, with what the headers say of the trace and they do not. A
/// trace that they name is the one that counts; what is not as the standards ask is left out.
pub(super) fn added(mut meta: String, headers: &HeaderMap) -> String {
    if !tell(headers) {
        return meta;
    }
    let text = format!("{{{meta}}}");
    let Ok(members) = Members::read(&text) else {
        return meta;
    };
    let mut found = Vec::new();
    if members.get(PARENT).is_none()
        && let Some(parent) = parent(headers)
    {
        found.push((PARENT, parent));
        // Without its trace it means nothing.
        let state = list(headers, STATE, OF_STATE);
        found.extend(
            state
                .filter(|_| members.get(STATE).is_none())
                .map(|it| (STATE, it)),
        );
    }
    if members.get(BAGGAGE).is_none() {
        found.extend(list(headers, BAGGAGE, OF_BAGGAGE).map(|it| (BAGGAGE, it)));
    }
    for (name, value) in found {
        if !meta.is_empty() {
            meta.push(',');
        }
        meta.push_str(&format!("\"{name}\":{}", quoted(&value)));
    }
    meta
}

/// The headers that say something of a trace.
pub(in crate::mcp) fn kept(headers: &HeaderMap) -> HeaderMap {
    let of_trace = |name: &str| [PARENT, STATE, BAGGAGE].contains(&name);
    let found = headers.iter().filter(|(name, _)| of_trace(name.as_str()));
    let mut kept = HeaderMap::new();
    for (name, value) in found {
        kept.append(name, value.clone());
    }
    kept
}

/// What a request says of the trace that it belongs to, in `_meta` or in headers.
pub(super) fn context(request: &Request<'_>, headers: Option<&HeaderMap>) -> TraceContext {
    let headers = headers.filter(|headers| tell(headers));
    let silent = |meta: &Meta<'_>| !meta.has_any(&[PARENT, BAGGAGE]);
    if headers.is_none() && request.meta().is_ok_and(silent) {
        return TraceContext::default();
    }
    let meta = request.params.get("_meta");
    let inside = meta.and_then(|meta| meta.get().strip_prefix('{')?.strip_suffix('}'));
    let meta = inside.unwrap_or_default().trim();
    match headers {
        Some(headers) => TraceContext::of_meta(&added(meta.to_owned(), headers)),
        None => TraceContext::of_meta(meta),
    }
}

fn tell(headers: &HeaderMap) -> bool {
    TOLD_IN.iter().any(|name| headers.contains_key(name))
}

/// The one header of that name, where it is a `traceparent`.
fn parent(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(PARENT).iter();
    let text = values.next()?.to_str().ok()?.trim();
    (values.next().is_none() && is_parent(text)).then(|| text.to_owned())
}

/// A list, perhaps in several headers. All or nothing.
fn list(headers: &HeaderMap, name: &str, bounds: Bounds) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
    let text = values.filter(|values| !values.is_empty())?.join(",");
    is_list(&text, bounds).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::MAX_PARENT;
    use axum::http::{HeaderName, HeaderValue};

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn what_headers_say_of_a_trace_goes_into_meta() {
        let said = headers(&[
            (PARENT, GOOD),
            (STATE, "a=1"),
            (STATE, "b@c=2"),
            (BAGGAGE, "user=\"x\""),
        ]);
        assert_eq!(
            added(r#""a":1.0"#.to_owned(), &said),
            format!(
                r#""a":1.0,"traceparent":"{GOOD}","tracestate":"a=1,b@c=2","baggage":"user=\"x\"""#
            )
        );
        let alone = headers(&[(PARENT, GOOD)]);
        let expected = format!(r#""traceparent":"{GOOD}""#);
        assert_eq!(added(String::new(), &alone), expected);
    }

    #[test]
    fn the_trace_that_meta_names_counts() {
        let said = headers(&[(PARENT, GOOD), (STATE, "a=1"), (BAGGAGE, "b=2")]);
        let meta = r#""traceparent":"other""#;
        assert_eq!(
            added(meta.to_owned(), &said),
            format!(r#"{meta},"baggage":"b=2""#)
        );
        let meta = r#""traceparent":"other","baggage":"c=3""#;
        assert_eq!(added(meta.to_owned(), &said), meta);
    }

    #[test]
    fn what_is_not_as_the_standards_ask_goes_nowhere() {
        for wrong in [
            "",
            "00",
            &GOOD[..54],
            &GOOD.to_uppercase(),
            &GOOD.replace("00-0", "ff-0"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &format!("{GOOD}-more"),
            &format!("cc{}-{}", &GOOD[2..], "x".repeat(MAX_PARENT)),
        ] {
            let said = headers(&[(PARENT, wrong), (STATE, "a=1")]);
            assert_eq!(added(String::new(), &said), "", "{wrong}");
        }
        let later = format!("cc{}-more", &GOOD[2..]);
        assert!(added(String::new(), &headers(&[(PARENT, &later)])).contains(&later));
        let twice = headers(&[(PARENT, GOOD), (PARENT, GOOD)]);
        assert_eq!(added(String::new(), &twice), "");
        let many = vec!["a=1"; OF_BAGGAGE.members + 1].join(",");
        let long = format!("a={}", "x".repeat(OF_BAGGAGE.bytes));
        for wrong in ["", ",", "a", "=1", "a=1,b", &many, &long] {
            let said = headers(&[(BAGGAGE, wrong)]);
            assert_eq!(added(String::new(), &said), "", "{wrong}");
        }
    }
}
