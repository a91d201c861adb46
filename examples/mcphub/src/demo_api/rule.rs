//! Rules for one text value: each takes the text and returns what it means, or what it would have to be.

use std::ops::RangeInclusive;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::shop::Isbn;

pub type Checked<T> = Result<T, String>;

/// Text of a length in characters.
pub fn length(range: RangeInclusive<usize>) -> impl Fn(&str) -> Checked<String> {
    move |text| {
        if range.contains(&text.chars().count()) {
            Ok(text.to_owned())
        } else {
            let (least, most) = (range.start(), range.end());
            Err(format!("must have from {least} to {most} characters"))
        }
    }
}

/// A whole number, written in decimal digits.
pub fn integer(range: RangeInclusive<u64>) -> impl Fn(&str) -> Checked<u64> {
    move |text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| within(&range))
    }
}

pub fn boolean(text: &str) -> Checked<bool> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

/// One of the names of the enum `T`.
pub fn choice<T: DeserializeOwned>(text: &str) -> Checked<T> {
    let deserializer: serde::de::value::StrDeserializer<'_, Error> = text.into_deserializer();
    T::deserialize(deserializer).map_err(|error| {
        // serde: "unknown variant `x`, expected one of `a`, `b`"; the names hold no comma.
        let error = error.to_string();
        let names = error.rsplit_once(", expected ").map(|(_, names)| names);
        format!("must be {}", names.unwrap_or("one of the known names"))
    })
}

/// One of `names`, for lists that no enum is worth it.
pub fn one_of(names: &'static [&'static str]) -> impl Fn(&str) -> Checked<&'static str> {
    move |text| {
        let name = names.iter().find(|name| **name == text);
        name.copied()
            .ok_or_else(|| format!("must be one of {}", names.join(", ")))
    }
}

pub fn isbn(text: &str) -> Checked<Isbn> {
    Isbn::parse(text).ok_or_else(|| "must be an ISBN of 13 digits".to_owned())
}

/// An address of the shape `name@host`; whether it exists only a mail can tell.
pub fn email(text: &str) -> Checked<String> {
    let accepted = text.split_once('@').is_some_and(|(name, host)| {
        let clean = |part: &str| !part.contains(|c: char| c == '@' || c.is_whitespace());
        let (name_length, host_length) = (name.chars().count(), host.chars().count());
        (1..=64).contains(&name_length)
            && (1..=190).contains(&host_length)
            && clean(name)
            && clean(host)
    });
    matching(text, accepted, "must be an e-mail address")
}

/// An ISO 3166-1 code by its shape.
pub fn country(text: &str) -> Checked<String> {
    let accepted = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    matching(text, accepted, "must be two capital letters")
}

pub fn card_token(text: &str) -> Checked<String> {
    let accepted = text.strip_prefix("tok_").is_some_and(|token| {
        (4..=32).contains(&token.len())
            && token
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    let expected = "must be tok_ and from 4 to 32 small letters or digits";
    matching(text, accepted, expected)
}

pub fn voucher(text: &str) -> Checked<String> {
    let accepted = text.len() == 8
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    matching(text, accepted, "must be 8 capital letters or digits")
}

pub fn request_id(text: &str) -> Checked<String> {
    let accepted = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    matching(
        text,
        accepted,
        "must be from 1 to 64 letters, digits, - or _",
    )
}

/// How a number outside of `range` is refused.
pub fn within(range: &RangeInclusive<u64>) -> String {
    let (least, most) = (range.start(), range.end());
    if *most == MAX_ID {
        format!("must be a whole number from {least}")
    } else {
        format!("must be a whole number from {least} to {most}")
    }
}

/// The numbers of reviews and orders: `format: int64`.
pub const MAX_ID: u64 = i64::MAX as u64;

fn matching(text: &str, accepted: bool, expected: &str) -> Checked<String> {
    if accepted {
        Ok(text.to_owned())
    } else {
        Err(expected.to_owned())
    }
}
