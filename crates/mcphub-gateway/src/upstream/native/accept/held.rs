//! Values are held against rules while they are read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Accept, Member, Rule, Shape, Target, Types};

/// Reads one value; an error is a value that does not surely fit.
#[derive(Clone, Copy)]
pub(super) struct Seed<'s> {
    pub(super) accept: &'s Accept,
    pub(super) target: Target,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.accept.rules.get(self.target.rule) {
            Some(Rule::Anything) => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            Some(Rule::Value(shape)) => deserializer.deserialize_any(Held {
                accept: self.accept,
                nullable: self.target.nullable,
                shape,
            }),
            Some(Rule::Same(next)) => self
                .accept
                .seed(self.target.or(*next))
                .deserialize(deserializer),
            Some(Rule::Unknown) | None => Err(unsure()),
        }
    }
}

fn unsure<E: Error>() -> E {
    E::custom("unsure")
}

/// A value that is held against a shape.
struct Held<'s> {
    accept: &'s Accept,
    nullable: bool,
    shape: &'s Shape,
}

impl Held<'_> {
    fn number<E: Error>(&self, value: f64, types: u8) -> Result<(), E> {
        self.any_of(types)?;
        let (least, most) = self.shape.numbers;
        if (least..=most).contains(&value) {
            Ok(())
        } else {
            Err(unsure())
        }
    }

    fn any_of<E: Error>(&self, types: u8) -> Result<(), E> {
        if self.shape.types.has(types) {
            Ok(())
        } else {
            Err(unsure())
        }
    }
}

impl<'de> Visitor<'de> for Held<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.nullable {
            return Ok(());
        }
        self.any_of(Types::NULL)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.any_of(Types::BOOLEAN)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        // The ends are exact, so that no rounding takes a value across one.
        self.number(value as f64, Types::INTEGER | Types::NUMBER)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64, Types::INTEGER | Types::NUMBER)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // `1.0` is an integer too; the validator knows.
        self.number(value, Types::NUMBER)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.any_of(Types::STRING)?;
        let (least, most) = self.shape.lengths;
        let texts = self.shape.texts.as_deref();
        let possible = texts.is_none_or(|texts| texts.iter().any(|text| **text == *value));
        // None has more characters than bytes.
        let any_length = least == 0 && value.len() as u64 <= most;
        let long = |count: u64| (least..=most).contains(&count);
        if possible && (any_length || long(value.chars().count() as u64)) {
            Ok(())
        } else {
            Err(unsure())
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.any_of(Types::ARRAY)?;
        let seed = self.accept.seed(self.shape.items);
        let mut count = 0;
        while items.next_element_seed(seed)?.is_some() {
            count += 1;
        }
        let (least, most) = self.shape.counts;
        if (least..=most).contains(&count) {
            Ok(())
        } else {
            Err(unsure())
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.any_of(Types::OBJECT)?;
        let mut missing = self.shape.required;
        // Of a member that is there twice each has to fit, the last among them.
        while let Some(member) = map.next_key_seed(Named(self.shape))? {
            let target = member.map_or(self.shape.others, |member| {
                missing &= !member.required;
                member.target
            });
            map.next_value_seed(self.accept.seed(target))?;
        }
        if missing == 0 { Ok(()) } else { Err(unsure()) }
    }
}

/// Reads a member's name and finds the member, without keeping the name.
struct Named<'s>(&'s Shape);

impl<'s, 'de> DeserializeSeed<'de> for Named<'s> {
    type Value = Option<&'s Member>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s, 'de> Visitor<'de> for Named<'s> {
    type Value = Option<&'s Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.member(name))
    }
}
