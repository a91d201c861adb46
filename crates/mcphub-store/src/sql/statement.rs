//! A statement with its values, and the rows it gives, for whichever engine.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use sqlx::AssertSqlSafe;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};

use super::Dialect;

/// SQL that both engines understand, and the values for `$1`, `$2` and so on, in order.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
    planned_anew: bool,
    #[cfg(test)]
    pub(super) reads_all: bool,
}

impl Statement {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
            planned_anew: false,
            #[cfg(test)]
            reads_all: false,
        }
    }

    /// Adds the next value.
    #[must_use]
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Goes on with more text, such as another condition. All of it is written in this crate.
    #[must_use]
    pub(crate) fn then(mut self, sql: &'static str) -> Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// Goes on with more text that asks for a value, which stands where it has `$?`.
    #[must_use]
    pub(crate) fn then_with(self, sql: &'static str, value: impl Into<Value>) -> Self {
        let mut with = self.bind(value);
        let place = format!("${}", with.values.len());
        with.sql.to_mut().push_str(&sql.replace("$?", &place));
        with
    }

    /// Goes on with rows of values, as `VALUES` has them. On SQLite their places have no numbers:
    /// each that has one is looked for among all.
    #[must_use]
    pub(crate) fn then_rows<const N: usize>(
        mut self,
        dialect: Dialect,
        rows: impl IntoIterator<Item = [Value; N]>,
    ) -> Self {
        let sql = self.sql.to_mut();
        for (row, values) in rows.into_iter().enumerate() {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for (column, value) in values.into_iter().enumerate() {
                self.values.push(value);
                sql.push_str(if column == 0 { "" } else { ", " });
                sql.push_str(dialect.choose("?", "$"));
                if dialect == Dialect::Postgres {
                    // Writing to a String cannot fail.
                    let _ = write!(sql, "{}", self.values.len());
                }
            }
            sql.push(')');
        }
        self
    }

    /// All of them as one, as PostgreSQL understands it; none begins with `WITH`. Each sees the
    /// database as it was before all of them.
    pub(super) fn joined(statements: Vec<Self>) -> Option<Self> {
        let mut statements = statements.into_iter();
        let last = statements.next_back()?;
        let names = (0..).map(|number| format!("step_{number}"));
        Some(last.with(names.zip(statements)))
    }

    /// With others as its steps, which it and the steps after them know by these names.
    pub(super) fn with(mut self, steps: impl IntoIterator<Item = (String, Self)>) -> Self {
        let mut text = String::new();
        let mut values = Vec::new();
        for (name, step) in steps {
            let sql = step.places_after(values.len());
            let begin = if text.is_empty() { "WITH" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{begin} {name} AS ({sql})");
            values.extend(step.values);
        }
        if !text.is_empty() {
            self.sql = format!("{text} {}", self.places_after(values.len())).into();
            values.append(&mut self.values);
            self.values = values;
        }
        self
    }

    /// All of them one after the other, as SQLite understands it, with a semicolon after each. Places
    /// without numbers are those of the first.
    #[cfg(feature = "sqlite")]
    pub(super) fn in_turn(statements: Vec<Self>) -> Self {
        let mut all = Self::new("");
        for next in statements {
            let before = all.values.len();
            debug_assert!(before == 0 || !next.sql.contains('?'));
            let sql = next.places_after(before);
            // Writing to a String cannot fail.
            let _ = write!(all.sql.to_mut(), "{sql}; ");
            all.values.extend(next.values);
        }
        all
    }

    /// Its text, for values that come after so many others.
    fn places_after(&self, others: usize) -> String {
        if others == 0 {
            return self.sql.to_string();
        }
        let mut parts = self.sql.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let (place, rest) = part.split_at(digits);
            let place: usize = place.parse().unwrap_or_default();
            let _ = write!(text, "${}{rest}", place + others);
        }
        text
    }

    /// Says that it reads whole tables because that is what it is for: the tests refuse any other
    /// that does.
    #[must_use]
    #[cfg_attr(not(test), allow(unused_mut, reason = "only tests ask"))]
    pub(crate) fn reads_all(mut self) -> Self {
        #[cfg(test)]
        {
            self.reads_all = true;
        }
        self
    }

    /// The same with other text around its own, and the same values.
    #[cfg(test)]
    pub(super) fn behind(&self, sql: &'static str) -> Self {
        let mut behind = self.clone().planned_anew();
        behind.sql = format!("{sql} {}", self.sql).into();
        behind
    }

    #[cfg(test)]
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Has PostgreSQL plan it each time: which plan is good depends on the values.
    #[must_use]
    pub(crate) fn planned_anew(mut self) -> Self {
        self.planned_anew = true;
        self
    }
}

/// A value of one of the types that the schema has. An absent one knows its type, because Postgres
/// asks for it.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    /// One that several values are.
    Shared(Arc<str>),
    Bytes(Option<Bytes>),
    Digest([u8; 32]),
}

macro_rules! into_value {
    ($($of:ty => $variant:ident($value:ident, $into:expr)),+ $(,)?) => {
        $(
            impl From<$of> for Value {
                fn from($value: $of) -> Self {
                    Self::$variant($into)
                }
            }
        )+
    };
}

into_value! {
    i64 => Integer(value, Some(value)),
    u32 => Integer(value, Some(value.into())),
    Option<i64> => Integer(value, value),
    &str => Text(value, Some(value.to_owned())),
    &String => Text(value, Some(value.clone())),
    String => Text(value, Some(value)),
    Option<&str> => Text(value, value.map(str::to_owned)),
    Option<String> => Text(value, value),
    &Option<String> => Text(value, value.clone()),
    Arc<str> => Shared(value, value),
    &[u8] => Bytes(value, Some(Bytes::copy_from_slice(value))),
    &Bytes => Bytes(value, Some(value.clone())),
    [u8; 32] => Digest(value, value),
}

macro_rules! bind_all {
    ($statement:expr) => {
        $statement.values.into_iter().fold(
            sqlx::query(AssertSqlSafe($statement.sql)).persistent(!$statement.planned_anew),
            |query, value| match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Shared(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value.as_deref()),
                Value::Digest(value) => query.bind(value.to_vec()),
            },
        )
    };
}

impl Statement {
    #[cfg(feature = "sqlite")]
    pub(super) fn for_sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        bind_all!(self)
    }

    #[cfg(feature = "postgres")]
    pub(super) fn for_postgres(self) -> Query<'static, Postgres, PgArguments> {
        bind_all!(self)
    }
}

/// A row.
pub(crate) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: Field>(&self, column: &str) -> sqlx::Result<T> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => T::of_sqlite(row, column),
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => T::of_postgres(row, column),
        }
    }
}

/// What a column can hold.
pub(crate) trait Field: Sized {
    #[cfg(feature = "sqlite")]
    fn of_sqlite(row: &SqliteRow, column: &str) -> sqlx::Result<Self>;
    #[cfg(feature = "postgres")]
    fn of_postgres(row: &PgRow, column: &str) -> sqlx::Result<Self>;
}

macro_rules! field {
    ($($of:ty),+) => {
        $(
            impl Field for $of {
                #[cfg(feature = "sqlite")]
                fn of_sqlite(row: &SqliteRow, column: &str) -> sqlx::Result<Self> {
                    sqlx::Row::try_get(row, column)
                }

                #[cfg(feature = "postgres")]
                fn of_postgres(row: &PgRow, column: &str) -> sqlx::Result<Self> {
                    sqlx::Row::try_get(row, column)
                }
            }
        )+
    };
}

field!(
    i64,
    String,
    Vec<u8>,
    Option<i64>,
    Option<String>,
    Option<Vec<u8>>
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_statements_have_the_values_of_each_in_their_places() {
        let add = Statement::new("INSERT INTO a VALUES ($1, $2, $1)");
        let add = add.bind("one").bind(2_i64);
        let rows = Statement::new("INSERT INTO b VALUES ");
        let rows = rows.then_rows(Dialect::Postgres, [["three".into()], ["four".into()]]);
        let set = Statement::new("UPDATE c SET d = $12, e = $1 WHERE f");
        let joined = Statement::joined(vec![add, rows, set]).unwrap();
        assert_eq!(
            joined.sql(),
            "WITH step_0 AS (INSERT INTO a VALUES ($1, $2, $1)), \
             step_1 AS (INSERT INTO b VALUES ($3), ($4)) \
             UPDATE c SET d = $16, e = $5 WHERE f"
        );
        assert_eq!(joined.values.len(), 4);
        assert!(Statement::joined(Vec::new()).is_none());
        let plain = ["DELETE FROM a", "DELETE FROM b"].map(Statement::new);
        let joined = Statement::joined(plain.into()).unwrap();
        assert_eq!(
            joined.sql(),
            "WITH step_0 AS (DELETE FROM a) DELETE FROM b",
            "also without values"
        );
    }

    #[test]
    fn statements_in_turn_have_the_values_of_each_in_their_places() {
        let rows = Statement::new("INSERT INTO b VALUES ");
        let rows = rows.then_rows(Dialect::Sqlite, [["one".into()], ["two".into()]]);
        let set = Statement::new("UPDATE c SET d = $2 WHERE e = $1");
        let set = set.bind("three").bind(4_i64);
        let turns = Statement::in_turn(vec![rows, set.clone(), set]).then("COMMIT");
        assert_eq!(
            turns.sql(),
            "INSERT INTO b VALUES (?), (?); UPDATE c SET d = $4 WHERE e = $3; \
             UPDATE c SET d = $6 WHERE e = $5; COMMIT"
        );
        assert_eq!(turns.values.len(), 6);
    }
}
