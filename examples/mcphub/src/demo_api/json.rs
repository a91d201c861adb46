//! Reading a JSON body member by member. What is wrong is collected with its JSON Pointer,
//! so that a caller can mend everything at once instead of meeting one complaint after another.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::problem::{Place, Problem, Violation};
use super::rule::{self, Checked};

/// One value of the body. Each way to read it gives `None` after noting why it cannot be accepted.
#[derive(Debug)]
pub struct Json<'a> {
    value: Value,
    pointer: String,
    violations: &'a mut Vec<Violation>,
}

/// The members of one object, taken out one by one.
#[derive(Debug)]
pub struct Members<'a> {
    members: Map<String, Value>,
    pointer: String,
    violations: &'a mut Vec<Violation>,
}

/// Reads a whole body.
///
/// # Errors
/// 400 when `body` is not JSON, 422 when `read` noted a violation.
pub fn read<T>(body: &[u8], read: impl FnOnce(Json<'_>) -> Option<T>) -> Result<T, Problem> {
    let value = serde_json::from_slice(body)
        .map_err(|error| Problem::unreadable(format!("the body is not JSON: {error}")))?;
    let mut violations = Vec::new();
    let json = Json {
        value,
        pointer: String::new(),
        violations: &mut violations,
    };
    match read(json) {
        Some(value) if violations.is_empty() => Ok(value),
        _ => Err(Problem::unprocessable(violations)),
    }
}

impl Json<'_> {
    pub fn text<T>(self, rule: impl Fn(&str) -> Checked<T>) -> Option<T> {
        match &self.value {
            Value::String(text) => match rule(text) {
                Ok(value) => Some(value),
                Err(message) => self.refuse(message),
            },
            _ => self.refuse("must be a string"),
        }
    }

    /// A whole number; JSON Schema counts 2.0 as one.
    pub fn integer(self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.value {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            _ => None,
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.refuse(rule::within(&range)),
        }
    }

    /// One of a few whole numbers.
    pub fn integer_of(self, numbers: &[u64]) -> Option<u64> {
        let number = self.value.as_f64().and_then(whole);
        match number.filter(|number| numbers.contains(number)) {
            Some(number) => Some(number),
            None => self.refuse(format!("must be one of {numbers:?}")),
        }
    }

    pub fn boolean(self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => self.refuse("must be true or false"),
        }
    }

    /// Null, or what `read` reads.
    pub fn nullable<T>(self, read: impl FnOnce(Self) -> Option<T>) -> Option<Option<T>> {
        if self.value.is_null() {
            Some(None)
        } else {
            read(self).map(Some)
        }
    }

    /// An array of a length; `read` reads each item.
    pub fn list<T>(
        self,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(Json<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = match self.value {
            Value::Array(items) if length.contains(&items.len()) => items,
            _ => {
                let (least, most) = (length.start(), length.end());
                return self.refuse(format!("must be a list of {least} to {most} items"));
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, value) in items.into_iter().enumerate() {
            values.extend(read(Json {
                value,
                pointer: format!("{}/{index}", self.pointer),
                violations: self.violations,
            }));
        }
        Some(values)
    }

    /// An object; members that `read` does not take are refused.
    pub fn object<T>(self, read: impl FnOnce(&mut Members<'_>) -> Option<T>) -> Option<T> {
        let Value::Object(members) = self.value else {
            return self.refuse("must be an object");
        };
        let mut members = Members {
            members,
            pointer: self.pointer,
            violations: self.violations,
        };
        let value = read(&mut members);
        let Members {
            members,
            pointer,
            violations,
        } = members;
        violations.extend(members.keys().map(|name| {
            let pointer = child(&pointer, name);
            Violation::new(Place::Body, &pointer, "is not a known member")
        }));
        value
    }

    fn refuse<T>(self, message: impl Into<String>) -> Option<T> {
        let violation = Violation::new(Place::Body, &self.pointer, message);
        self.violations.push(violation);
        None
    }
}

impl Members<'_> {
    pub fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Json<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.members.remove(name) {
            Some(value) => read(self.json(name, value)),
            None => {
                let pointer = child(&self.pointer, name);
                let violation = Violation::new(Place::Body, &pointer, "is required");
                self.violations.push(violation);
                None
            }
        }
    }

    /// A member that stands for `default` when it is left out.
    pub fn optional<T>(
        &mut self,
        name: &str,
        default: T,
        read: impl FnOnce(Json<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.members.remove(name) {
            Some(value) => read(self.json(name, value)),
            None => Some(default),
        }
    }

    /// Notes that the object as a whole cannot be accepted.
    pub fn refuse<T>(&mut self, message: &str) -> Option<T> {
        self.violations
            .push(Violation::new(Place::Body, &self.pointer, message));
        None
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn json(&mut self, name: &str, value: Value) -> Json<'_> {
        Json {
            value,
            pointer: child(&self.pointer, name),
            violations: self.violations,
        }
    }
}

/// The pointer of a member (RFC 6901, section 3: `~` and `/` are escaped).
fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// `number` when it is whole, not negative and exact in a double.
fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
}
