//! What a client can be asked by a server.

use std::fmt;

use serde_json::value::RawValue;

use crate::members::{Members, is_object};

/// What a client can be asked: its capabilities.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientAbilities {
    bits: u8,
    /// The capabilities as a client of the modern era wrote them, on one line.
    text: Option<Box<str>>,
}

/// Each ability: its bit, the capability, and the member of that which says so, if any.
const ABILITIES: [(u8, &str, Option<&str>); 8] = [
    (1, "roots", None),
    (2, "sampling", None),
    (4, "elicitation", None),
    (OPENS_URLS, "elicitation", Some("url")),
    (16, "sampling", Some("tools")),
    (32, "sampling", Some("context")),
    (64, "elicitation", Some("form")),
    (128, "roots", Some(LIST_CHANGED)),
];

/// Opens a URL where its user is asked for that.
const OPENS_URLS: u8 = 8;

/// Says with `true`, and not with an object, that changes are told.
const LIST_CHANGED: &str = "listChanged";

impl ClientAbilities {
    /// Reads the member `capabilities` of `initialize`, or `clientCapabilities` of `_meta`.
    pub(crate) fn read(capabilities: &RawValue) -> Self {
        let members = Members::read(capabilities.get()).unwrap_or_default();
        let mut bits = 0;
        for (bit, capability, member) in ABILITIES {
            let Some(raw) = members.get(capability).filter(|raw| is_object(raw)) else {
                continue;
            };
            let inner = Members::read(raw.get()).unwrap_or_default();
            let says = |member: &str, raw: &RawValue| match member {
                LIST_CHANGED => raw.get() == "true",
                _ => is_object(raw),
            };
            if member.is_none_or(|it| inner.get(it).is_some_and(|raw| says(it, raw))) {
                bits |= bit;
            }
        }
        Self { bits, text: None }
    }

    /// The same with the text kept, for servers of the modern era.
    pub(crate) fn read_whole(capabilities: &RawValue) -> Self {
        let text = capabilities.get().replace(['\n', '\r'], " ");
        Self {
            text: Some(text.into()),
            ..Self::read(capabilities)
        }
    }

    /// All that servers of the legacy era ask.
    pub(crate) fn all() -> Self {
        Self::from_bits(ABILITIES.iter().fold(0, |bits, (bit, ..)| bits | bit))
    }

    /// The member `capabilities` of `initialize`.
    pub(crate) fn capabilities(&self) -> Box<RawValue> {
        RawValue::from_string(self.text(false)).unwrap_or_default()
    }

    /// In a byte, as a session's id has them.
    pub(crate) fn bits(&self) -> u8 {
        self.bits
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self { bits, text: None }
    }

    /// What a client has to have that is sent a request of this method; `None` for methods of
    /// extensions.
    pub(crate) fn needed(method: &str) -> Option<&'static str> {
        match method {
            "roots/list" => Some("roots"),
            "sampling/createMessage" => Some("sampling"),
            "elicitation/create" => Some("elicitation"),
            _ => None,
        }
    }

    /// Whether a client may be sent a request of this method.
    pub(crate) fn allow(&self, method: &str) -> bool {
        let Some(capability) = Self::needed(method) else {
            // What an extension asks is for its client to know.
            return self.text.is_some();
        };
        ABILITIES
            .iter()
            .any(|(bit, known, _)| *known == capability && self.bits & bit != 0)
    }

    /// Whether a client has its user open a URL.
    pub(crate) fn opens_urls(&self) -> bool {
        self.bits & OPENS_URLS != 0
    }

    /// The capabilities as a client of the modern era wrote them.
    pub(crate) fn whole(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The capabilities as text: as the client wrote them where `whole`, else those that a session
    /// of the old era knows.
    pub(crate) fn text(&self, whole: bool) -> String {
        if let (true, Some(text)) = (whole, &self.text) {
            return text.to_string();
        }
        let mut all = serde_json::json!({});
        for (bit, capability, member) in ABILITIES {
            if self.bits & bit == 0 {
                continue;
            }
            if all.get(capability).is_none() {
                all[capability] = serde_json::json!({});
            }
            if let Some(member) = member {
                all[capability][member] = match member {
                    LIST_CHANGED => true.into(),
                    _ => serde_json::json!({}),
                };
            }
        }
        all.to_string()
    }
}

impl fmt::Debug for ClientAbilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ClientAbilities {
        ClientAbilities::read(&RawValue::from_string(text.to_owned()).unwrap())
    }

    #[test]
    fn abilities_survive_a_byte() {
        for text in [
            "{}",
            r#"{"roots":{}}"#,
            r#"{"roots":{"listChanged":true}}"#,
            r#"{"sampling":{"tools":{},"context":{}},"elicitation":{"url":{},"form":{}}}"#,
        ] {
            let read = read(text);
            let again = ClientAbilities::from_bits(read.bits());
            assert_eq!(again, read);
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&again.text(false)).unwrap(),
                value
            );
        }
    }

    #[test]
    fn a_client_is_asked_only_what_it_said_that_it_can() {
        let roots = read(r#"{"roots":{"listChanged":true},"sampling":true}"#);
        assert!(roots.allow("roots/list") && !roots.allow("sampling/createMessage"));
        assert!(read(r#"{"elicitation":{}}"#).allow("elicitation/create"));
        assert!(!read("[]").allow("x/y"));
    }

    #[test]
    fn a_modern_server_sees_the_text() {
        let raw = RawValue::from_string("{\"extensions\":{\"a\":\n1.0},\"roots\":{}}".to_owned())
            .unwrap();
        let whole = ClientAbilities::read_whole(&raw);
        assert_eq!(whole.text(true), r#"{"extensions":{"a": 1.0},"roots":{}}"#);
        assert_eq!(whole.text(false), r#"{"roots":{}}"#);
    }
}
