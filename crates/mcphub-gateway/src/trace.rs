//! What a trace may say of itself (W3C Trace Context, W3C Baggage).

use crate::members::{Members, string};

/// Which trace, and which part of it asks.
pub(crate) const PARENT: &str = "traceparent";

/// What the systems that it went through say of it.
pub(crate) const STATE: &str = "tracestate";

/// What goes with it to everybody.
pub(crate) const BAGGAGE: &str = "baggage";

/// The longest `traceparent` of a version to come, in bytes.
pub(crate) const MAX_PARENT: usize = 128;

/// The longest of a list, in bytes, and the most that it lists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) members: usize,
}

/// Of `tracestate` (Trace Context, 3.3.1).
pub(crate) const OF_STATE: Bounds = Bounds {
    bytes: 512,
    members: 32,
};

/// Of `baggage` (Baggage, 3.3.2).
pub(crate) const OF_BAGGAGE: Bounds = Bounds {
    bytes: 8_192,
    members: 64,
};

/// Whether a text is `VERSION-TRACE-PARENT-FLAGS`, in lower-case hexadecimal digits (Trace Context,
/// 3.2).
pub(crate) fn is_parent(text: &str) -> bool {
    if text.len() > MAX_PARENT {
        return false;
    }
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let part = parts.next()?;
        (part.len() == length && part.bytes().all(digit)).then_some(part)
    };
    let (Some(version), Some(trace), Some(span), Some(_flags)) = (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let some = |part: &str| part.bytes().any(|byte| byte != b'0');
    let whole = version != "00" || parts.next().is_none();
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    version != "ff" && some(trace) && some(span) && whole && printable
}

/// Whether a text is `NAME=VALUE,…` within its bounds.
pub(crate) fn is_list(text: &str, bounds: Bounds) -> bool {
    let members = text.split(',').map(str::trim);
    let named = |member: &str| {
        let (name, _) = member.split_once('=').unwrap_or_default();
        !name.trim().is_empty()
    };
    text.len() <= bounds.bytes
        && members.clone().count() <= bounds.members
        && members
            .clone()
            .all(|member| member.is_empty() || named(member))
        && members.clone().any(named)
}

/// What a request says of the trace that it belongs to, as headers.
#[derive(Debug, Clone, Default)]
pub struct TraceContext(Vec<(&'static str, String)>);

impl TraceContext {
    /// What members of `_meta` say. What is not as the standards ask is left out, and without its trace
    /// `tracestate` means nothing.
    pub(crate) fn of_meta(meta: &str) -> Self {
        let mut headers = Vec::new();
        if ![PARENT, BAGGAGE].iter().any(|name| meta.contains(name)) {
            return Self(headers);
        }
        let text = format!("{{{meta}}}");
        let Ok(members) = Members::read(&text) else {
            return Self(headers);
        };
        // What no header can hold is no part of a trace.
        let legal = |text: &str| text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'));
        let value = |name: &str| {
            let value = members.get(name).and_then(string);
            value.filter(|text| legal(text))
        };
        if let Some(parent) = value(PARENT).filter(|text| is_parent(text)) {
            headers.push((PARENT, parent.into()));
            let state = value(STATE).filter(|text| is_list(text, OF_STATE));
            headers.extend(state.map(|state| (STATE, state.into())));
        }
        let baggage = value(BAGGAGE).filter(|text| is_list(text, OF_BAGGAGE));
        headers.extend(baggage.map(|baggage| (BAGGAGE, baggage.into())));
        Self(headers)
    }

    /// Names and values.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}
