//! Amounts of memory as people write them.

use std::str::FromStr;

use mcphub_core::{Error, Result};
use serde::Deserialize;

/// An amount of memory: a number with `KiB`, `MiB` or `GiB`, of 1 MiB to 1,024 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(u64);

impl Size {
    const LEAST: u64 = 1 << 20;
    const MOST: u64 = 1 << 40;

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
        let read = units.into_iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(1 << shift)
        });
        let fits = read.filter(|bytes| (Self::LEAST..=Self::MOST).contains(bytes));
        let wrong = || Error::invalid("a size is 1MiB to 1024GiB, such as 64MiB");
        fits.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Size {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_its_unit() {
        for (text, bytes) in [
            ("1MiB", 1 << 20),
            ("64 MiB", 64 << 20),
            ("2048KiB", 2 << 20),
            ("1024GiB", 1 << 40),
        ] {
            assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
        }
        for text in [
            "",
            "64",
            "MiB",
            "64MB",
            "64mib",
            "-1MiB",
            "1023KiB",
            "0GiB",
            "1025GiB",
            "1.5GiB",
            "99999999999999999999GiB",
            "18446744073709551615GiB",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
