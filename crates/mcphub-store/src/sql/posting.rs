//! Postings: for each term and block of tools, which of them have it. Plain rows, which both engines
//! have alike.

use std::collections::BTreeMap;

use mcphub_core::{Error, Result};

use super::Session;
use super::failure::Failure;
use super::statement::Statement;

/// Tools of a block: as many as an integer has bits.
pub(super) const BLOCK: i64 = 64;

/// Rows that are written in one statement.
const AT_ONCE: usize = 20_000;

/// A list of `[term, block, tools]`, as rows of `given`.
macro_rules! given {
    (sqlite) => {
        "(SELECT value ->> 0 AS word, value ->> 1 AS block, value ->> 2 AS tools
          FROM json_each($2)) AS given"
    };
    (postgres) => {
        "(SELECT value ->> 0 AS word, CAST(value ->> 1 AS BIGINT) AS block,
                 CAST(value ->> 2 AS BIGINT) AS tools
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

/// Rows that are there, each looked up: without statistics, both engines would take all of a tenant's for
/// few, and read them to find some.
macro_rules! known {
    (sqlite) => {
        concat!(
            given!(sqlite),
            " CROSS JOIN tool_posting AS known
              ON known.tenant_id = $1 AND known.word = given.word AND known.block = given.block"
        )
    };
    (postgres) => {
        concat!(
            given!(postgres),
            " CROSS JOIN LATERAL
                 (SELECT ctid, word, block, tools FROM tool_posting
                  WHERE tenant_id = $1 AND word = given.word AND block = given.block
                  LIMIT 1) AS known"
        )
    };
}

macro_rules! clear {
    ($dialect:ident) => {
        concat!(
            "INSERT INTO tool_posting (tenant_id, word, block, tools)
             SELECT $1, known.word, known.block, given.tools FROM ",
            known!($dialect),
            " WHERE TRUE
             ON CONFLICT (tenant_id, word, block) DO UPDATE
             SET tools = tool_posting.tools & ~excluded.tools"
        )
    };
}

const CLEAR: (&str, &str) = (clear!(sqlite), clear!(postgres));

const FORGET: (&str, &str) = (
    concat!(
        "DELETE FROM tool_posting
         WHERE tenant_id = $1 AND (word, block) IN (SELECT known.word, known.block FROM ",
        known!(sqlite),
        " WHERE known.tools = 0)"
    ),
    concat!(
        "DELETE FROM tool_posting
         WHERE tenant_id = $1 AND ctid = ANY (ARRAY (SELECT known.ctid FROM ",
        known!(postgres),
        " WHERE known.tools = 0))"
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

    /// What has to be written.
    pub(super) fn change(&self) -> Result<Change> {
        let set = |bits: &Bits| bits.after & !bits.before;
        let cleared = |bits: &Bits| bits.before & !bits.after;
        Ok(Change {
            set: self.lists(set)?,
            cleared: self.lists(cleared)?,
        })
    }

    /// Rows of which something is left, as JSON.
    fn lists(&self, of: impl Fn(&Bits) -> u64) -> Result<Vec<String>> {
        let rows = self.0.iter().map(|((term, block), bits)| {
            let bits = i64::from_ne_bytes(of(bits).to_ne_bytes());
            (term.as_str(), *block, bits)
        });
        let rows: Vec<_> = rows.filter(|(_, _, bits)| *bits != 0).collect();
        let lists = rows.chunks(AT_ONCE).map(serde_json::to_string);
        let lists: serde_json::Result<_> = lists.collect();
        lists.map_err(|error| Error::internal("words cannot be written").caused_by(error))
    }
}

/// Lists of `[term, block, tools]`, as JSON.
#[derive(Debug)]
pub(super) struct Change {
    set: Vec<String>,
    cleared: Vec<String>,
}

impl Change {
    /// Writes it, in the transaction that changes the tools.
    pub(super) async fn write(self, session: &mut Session, tenant_id: i64) -> Result<(), Failure> {
        let dialect = session.dialect();
        let mut write = async |(sqlite, postgres), list: &str| {
            let sql = dialect.choose(sqlite, postgres);
            let write = Statement::new(sql).bind(tenant_id).bind(list);
            session.execute(write).await
        };
        for list in &self.set {
            write(SET, list).await?;
        }
        for list in &self.cleared {
            write(CLEAR, list).await?;
            write(FORGET, list).await?;
        }
        Ok(())
    }
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
        postings.before(64, terms("kept gone"));
        postings.before(65, terms("gone"));
        postings.after(64, terms("kept new"));
        postings.after(127, terms("new kept"));
        postings.after(128, terms("new"));
        let change = postings.change().unwrap();
        let top = i64::MIN;
        assert_eq!(
            change.set,
            [format!(
                r#"[["kept",1,{top}],["new",1,{}],["new",2,1]]"#,
                top + 1
            )]
        );
        assert_eq!(change.cleared, [r#"[["gone",1,3]]"#]);
    }
}
