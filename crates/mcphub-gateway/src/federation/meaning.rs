//! What a definition says, however it is written.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A hash of a definition in which spaces and the order of members do not count. It is taken while the
/// text is read, because it is asked of each tool of a server that writes its list anew.
pub(super) fn meaning(definition: &str) -> u64 {
    let Meaning(hash) = serde_json::from_str(definition)
        .unwrap_or_else(|_| Meaning::of(b'?', definition.as_bytes()));
    hash
}

/// The hash of a value and of its kind.
struct Meaning(u64);

impl Meaning {
    fn of(kind: u8, bytes: &[u8]) -> Self {
        // Without a key of its own, so that all gateways have the same.
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(kind);
        hasher.write(bytes);
        Self(hasher.finish())
    }

    fn of_all(kind: u8, parts: impl Iterator<Item = u64>) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(kind);
        parts.for_each(|part| hasher.write_u64(part));
        Self(hasher.finish())
    }
}

impl<'de> Deserialize<'de> for Meaning {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Meaning, E> {
        Ok(Meaning::of(b'0', &[]))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Meaning, E> {
        Ok(Meaning::of(b'b', &[u8::from(value)]))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Meaning, E> {
        Ok(Meaning::of(b'u', &value.to_be_bytes()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Meaning, E> {
        Ok(Meaning::of(b'i', &value.to_be_bytes()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Meaning, E> {
        Ok(Meaning::of(b'f', &value.to_bits().to_be_bytes()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Meaning, E> {
        Ok(Meaning::of(b's', value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Meaning, A::Error> {
        let mut parts = Vec::new();
        while let Some(Meaning(value)) = values.next_element()? {
            parts.push(value);
        }
        Ok(Meaning::of_all(b'[', parts.into_iter()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Meaning, A::Error> {
        let mut parts = Vec::with_capacity(8);
        while let Some((Meaning(name), Meaning(value))) = members.next_entry()? {
            parts.push([name, value]);
        }
        parts.sort_unstable();
        Ok(Meaning::of_all(b'{', parts.into_iter().flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::meaning;

    #[test]
    fn spaces_and_the_order_of_members_do_not_count() {
        let one = r#"{"name":"t","inputSchema":{"a":[1,2.5,null],"b":{"c":true,"d":"\u00e9"}}}"#;
        let other =
            r#"{ "inputSchema": {"b":{"d":"é","c":true}, "a":[1, 2.50, null]}, "name":"t"}"#;
        assert_eq!(meaning(one), meaning(other));
    }

    #[test]
    fn whatever_is_said_counts() {
        let texts = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "1.0",
            r#""""#,
            r#""1""#,
            "[]",
            "[1]",
            "[[1]]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "{}",
            r#"["a",1]"#,
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":1,"b":1}"#,
            "no JSON",
            "no JSON either",
        ];
        let mut meanings = texts.map(meaning).to_vec();
        meanings.sort_unstable();
        meanings.dedup();
        assert_eq!(meanings.len(), texts.len());
    }
}
