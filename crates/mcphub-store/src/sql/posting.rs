//! Postings: for each term and block of tools, which of them have it. Plain rows, which both engines
//! have alike.

use std::collections::BTreeMap;

use mcphub_core::{Error, Result};

use super::Dialect;
use super::statement::Statement;

/// Tools of a block: as many as an integer has bits.
pub(super) const BLOCK: i64 = 64;

/// Rows that are written in one statement. SQLite keeps in memory what it would undo, a page of 4 KiB
/// for each at most.
const AT_ONCE: usize = 5_000;

/// A list of `[term, block, tools, cleared]`, as rows of `given`.
macro_rules! given {
    (sqlite) => {
        "(SELECT value ->> 0 AS word, value ->> 1 AS block, value ->> 2 AS tools,
                 value ->> 3 AS cleared
          FROM json_each($2)) AS given"
    };
    (postgres) => {
        "(SELECT value ->> 0 AS word, CAST(value ->> 1 AS BIGINT) AS block,
                 CAST(value ->> 2 AS BIGINT) AS tools, CAST(value ->> 3 AS BIGINT) AS cleared
          FROM json_array_elements(CAST($2 AS json)) AS listed (value)) AS given"
    };
}

macro_rules! set {
    ($dialect:ident) => {
        concat!(
            "INSERT INTO tool_posting (tenant_id, word, block, tools)
             SELECT $1, word, block, tools FROM ",
            given!($dialect),
            " WHERE TRUE
             ON CONFLICT (tenant_id, word, block) DO UPDATE
             SET tools = tool_posting.tools | excluded.tools"
        )
    };
}

const SET: (&str, &str) = (set!(sqlite), set!(postgres));

/// With the row that is there, each looked up: without statistics, both engines would take all of a
/// tenant's for few, and read them to find some.
macro_rules! known {
    (sqlite) => {
        concat!(
            given!(sqlite),
            " LEFT JOIN tool_posting AS known
              ON known.tenant_id = $1 AND known.word = given.word AND known.block = given.block"
        )
    };
    (postgres) => {
        concat!(
            given!(postgres),
            " LEFT JOIN LATERAL
                 (SELECT ctid, word, block, tools FROM tool_posting
                  WHERE tenant_id = $1 AND word = given.word AND block = given.block
                  LIMIT 1) AS known ON TRUE"
        )
    };
}

/// What is left of such a row.
macro_rules! left {
    () => {
        "(coalesce(known.tools, 0) & ~given.cleared | given.tools)"
    };
}

macro_rules! change {
    ($dialect:ident) => {
        concat!(
            "INSERT INTO tool_posting (tenant_id, word, block, tools)
             SELECT $1, given.word, given.block, ",
            left!(),
            " FROM ",
            known!($dialect),
            " WHERE ",
            left!(),
            " <> 0
             ON CONFLICT (tenant_id, word, block) DO UPDATE SET tools = excluded.tools"
        )
    };
}

const CHANGE: (&str, &str) = (change!(sqlite), change!(postgres));

const FORGET: (&str, &str) = (
    concat!(
        "DELETE FROM tool_posting
         WHERE tenant_id = $1 AND (word, block) IN (SELECT known.word, known.block FROM ",
        known!(sqlite),
        " WHERE ",
        left!(),
        " = 0)"
    ),
    concat!(
        "DELETE FROM tool_posting
         WHERE tenant_id = $1 AND ctid = ANY (ARRAY (SELECT known.ctid FROM ",
        known!(postgres),
        " WHERE ",
        left!(),
        " = 0))"
    ),
);

/// What terms tools have, by term and block, so that neighbours are written after one another.
#[derive(Debug, Default)]
pub(super) struct Postings(BTreeMap<(String, i64), Bits>);

/// A block's tools that have a term: before a change and after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bits {
    before: u64,
    after: u64,
}

impl Postings {
    /// A tool that is there before the change.
    pub(super) fn before(&mut self, tool: i64, terms: impl IntoIterator<Item = String>) {
        for term in terms {
            self.at(tool, term).before |= bit(tool);
        }
    }

    /// A tool that is there after the change.
    pub(super) fn after(&mut self, tool: i64, terms: impl IntoIterator<Item = String>) {
        for term in terms {
            self.at(tool, term).after |= bit(tool);
        }
    }

    fn at(&mut self, tool: i64, term: String) -> &mut Bits {
        self.0.entry((term, tool.div_euclid(BLOCK))).or_default()
    }

    /// What has to be written. No row is in two of the lists.
    pub(super) fn change(&self) -> Result<Change> {
        let rows = self.0.iter().map(|((term, block), bits)| {
            let set = signed(bits.after & !bits.before);
            let cleared = signed(bits.before & !bits.after);
            (term.as_str(), *block, set, cleared)
        });
        let rows = rows.filter(|(_, _, set, cleared)| (*set, *cleared) != (0, 0));
        let (set, changed): (Vec<_>, Vec<_>) = rows.partition(|(_, _, _, cleared)| *cleared == 0);
        Ok(Change {
            set: lists(&set)?,
            changed: lists(&changed)?,
        })
    }
}

/// Lists of `[term, block, tools, cleared]`, as JSON.
#[derive(Debug)]
pub(super) struct Change {
    /// Of rows of which nothing is cleared.
    set: Vec<String>,
    changed: Vec<String>,
}

impl Change {
    /// What writes it, in the transaction that changes the tools: each of its own rows.
    pub(super) fn statements(self, dialect: Dialect, tenant_id: i64) -> Vec<Statement> {
        let write = |(sqlite, postgres), list: &str| {
            let sql = dialect.choose(sqlite, postgres);
            Statement::new(sql).bind(tenant_id).bind(list)
        };
        let set = self.set.iter().map(|list| write(SET, list));
        let changed = self
            .changed
            .iter()
            .flat_map(|list| [write(CHANGE, list), write(FORGET, list)]);
        set.chain(changed).collect()
    }
}

fn lists(rows: &[(&str, i64, i64, i64)]) -> Result<Vec<String>> {
    let lists = rows.chunks(AT_ONCE).map(serde_json::to_string);
    let lists: serde_json::Result<_> = lists.collect();
    lists.map_err(|error| Error::internal("words cannot be written").caused_by(error))
}

/// The engines have no number without a sign.
fn signed(bits: u64) -> i64 {
    i64::from_ne_bytes(bits.to_ne_bytes())
}

fn bit(tool: i64) -> u64 {
    1 << tool.rem_euclid(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let mut postings = Postings::default();
        let terms = |text: &str| -> Vec<_> { text.split(' ').map(str::to_owned).collect() };
        postings.before(64, terms("kept gone other"));
        postings.before(65, terms("gone"));
        postings.after(64, terms("kept new"));
        postings.after(66, terms("other"));
        postings.after(127, terms("new kept"));
        postings.after(128, terms("new"));
        let change = postings.change().unwrap();
        let top = i64::MIN;
        assert_eq!(
            change.set,
            [format!(
                r#"[["kept",1,{top},0],["new",1,{},0],["new",2,1,0]]"#,
                top + 1
            )]
        );
        assert_eq!(change.changed, [r#"[["gone",1,0,3],["other",1,4,1]]"#]);
    }
}
