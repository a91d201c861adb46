//! Search: tools by words, out of the [postings](super::posting) of what they have.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mcphub_core::server::ServerName;
use mcphub_core::store::{FoundTool, ToolPage, ToolPlace, ToolSearch};
use mcphub_core::tool::{ToolKind, ToolName};
use mcphub_core::{Error, Result};

use super::failure::Failure;
use super::posting::BLOCK;
use super::server::{number, stored};
use super::statement::{Row, Statement};
use super::tool::kind_term;
use super::words::{INDEXED, Place, Wanted, Words, beginning};
use super::{Session, SqlStore};

/// Blocks that are read of each term first; four times as many each time that they were not enough.
const FIRST: i64 = 16;
const MOST: i64 = 1_024;

/// Rows that one statement reads at most, whatever the terms.
const MOST_ROWS: i64 = 8_192;

/// How many words a beginning is looked for as. Where more begin so, that costs more than to look at
/// what their first letters find.
const MOST_SPELLED: i64 = 32;

/// Tools that are fetched at once at most.
const MOST_FETCHED: usize = 1_000;

/// Which terms begin with each of a list of texts, given with what comes after them all: a step from
/// one term to the next, so that the rows between are not read. With the first blocks of each, from
/// one on, because a statement more is a way to the server more; of too many terms only the last, which
/// has a place after those that are asked for.
macro_rules! spellings {
    ($given:literal, $blocks:literal) => {
        concat!(
            "WITH RECURSIVE spelled (asked, past, word, place) AS (
                SELECT value ->> 0, value ->> 1,
                       (SELECT word FROM tool_posting
                        WHERE tenant_id = $1 AND word >= value ->> 0 AND word < value ->> 1
                        ORDER BY word LIMIT 1), CAST(1 AS BIGINT)
                FROM ",
            $given,
            " UNION ALL
                SELECT asked, past,
                       (SELECT tool_posting.word FROM tool_posting
                        WHERE tenant_id = $1 AND tool_posting.word > spelled.word
                          AND tool_posting.word < past
                        ORDER BY tool_posting.word LIMIT 1), place + 1
                FROM spelled
                WHERE word IS NOT NULL AND place <= $3
            ), too_many AS (
                SELECT asked FROM spelled WHERE place > $3 AND word IS NOT NULL
            ), term AS (
                SELECT asked, word, place FROM spelled
                WHERE word IS NOT NULL
                  AND (place > $3 OR asked NOT IN (SELECT asked FROM too_many))
            )
            SELECT term.asked, term.word, term.place, found.block, found.tools
            FROM term LEFT JOIN ",
            $blocks
        )
    };
}

const SPELLINGS: (&str, &str) = (
    spellings!(
        "json_each($2)",
        "tool_posting AS found
         ON found.tenant_id = $1 AND found.word = term.word AND found.block >= $4
            AND term.place <= $3
            AND found.block <= coalesce(
                (SELECT further.block FROM tool_posting AS further
                 WHERE further.tenant_id = $1 AND further.word = term.word
                   AND further.block >= $4
                 ORDER BY further.block LIMIT 1 OFFSET $5 - 1), 9223372036854775807)"
    ),
    spellings!(
        "json_array_elements(CAST($2 AS json)) AS listed (value)",
        "LATERAL
             (SELECT block, tools FROM tool_posting
              WHERE tenant_id = $1 AND tool_posting.word = term.word AND block >= $4
                AND term.place <= $3
              ORDER BY block LIMIT $5) AS found ON TRUE"
    ),
);

/// The first blocks of each term, from one on.
const FIRST_BLOCKS: (&str, &str) = (
    "SELECT tool_posting.word, tool_posting.block, tool_posting.tools
     FROM json_each($2) AS asked CROSS JOIN tool_posting
     WHERE tenant_id = $1 AND tool_posting.word = asked.value AND block >= $3
       AND block <= coalesce(
           (SELECT further.block FROM tool_posting AS further
            WHERE further.tenant_id = $1 AND further.word = asked.value AND further.block >= $3
            ORDER BY further.block LIMIT 1 OFFSET $4 - 1), 9223372036854775807)",
    "SELECT asked.word, found.block, found.tools
     FROM json_array_elements_text(CAST($2 AS json)) AS asked (word)
     CROSS JOIN LATERAL
         (SELECT block, tools FROM tool_posting
          WHERE tenant_id = $1 AND tool_posting.word = asked.word AND block >= $3
          ORDER BY block LIMIT $4) AS found",
);

/// Some blocks of some terms. What is limited to one row is looked up in the index, however many the
/// planner takes the lists to be.
const BLOCKS: (&str, &str) = (
    "SELECT tool_posting.word, tool_posting.block, tool_posting.tools
     FROM json_each($2) AS asked CROSS JOIN json_each($3) AS listed CROSS JOIN tool_posting
     WHERE tenant_id = $1 AND tool_posting.word = asked.value
       AND tool_posting.block = listed.value",
    "SELECT asked.word, CAST(listed.block AS BIGINT) AS block, found.tools
     FROM json_array_elements_text(CAST($2 AS json)) AS asked (word)
     CROSS JOIN json_array_elements_text(CAST($3 AS json)) AS listed (block)
     CROSS JOIN LATERAL
         (SELECT tools FROM tool_posting
          WHERE tenant_id = $1 AND tool_posting.word = asked.word
            AND tool_posting.block = CAST(listed.block AS BIGINT)
          LIMIT 1) AS found",
);

/// Tools by their numbers, unless their server was removed. `+` keeps SQLite from an index of tenants.
const TOOLS: (&str, &str) = (
    "SELECT tool.id, tool.server, tool.name, tool.title, tool.description, tool.kind
     FROM tool
     WHERE tool.id IN (SELECT value FROM json_each($2)) AND +tool.tenant_id = $1
       AND (SELECT removed_at FROM server WHERE id = tool.server_id) IS NULL
     ORDER BY tool.id",
    "SELECT tool.id, tool.server, tool.name, tool.title, tool.description, tool.kind
     FROM tool
     WHERE tool.id = ANY (ARRAY (
             SELECT CAST(value AS BIGINT)
             FROM json_array_elements_text(CAST($2 AS json)) AS listed (value)))
       AND tool.tenant_id = $1
       AND (SELECT removed_at FROM server WHERE id = tool.server_id) IS NULL
     ORDER BY tool.id",
);

impl SqlStore {
    pub(super) async fn find_tools(&self, search: &ToolSearch) -> Result<ToolPage, Failure> {
        if !(1..=1_000).contains(&search.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 tools")
                .with("limit", search.limit)
                .into());
        }
        let wanted = Wanted::new(&search.text)?;
        let session = self.engine().read().await?;
        let mut finder = Finder {
            session,
            tenant_id: self.tenant_id,
            asked: Vec::new(),
            loose: false,
            single: wanted.words().len() == 1,
            wanted,
            lists: HashMap::new(),
        };
        let number = |tool| i64::try_from(tool).unwrap_or(i64::MAX);
        let (by_heading, elsewhere) = match search.after {
            None => (Some(0), 0),
            Some(ToolPlace { class: 0, tool }) => (Some(number(tool)), 0),
            Some(ToolPlace { tool, .. }) => (None, number(tool)),
        };
        let from = by_heading.unwrap_or(elsewhere).div_euclid(BLOCK);
        finder.spell(search.kind, from).await?;
        // One more than asked for tells whether there is a next page.
        let wanted = search.limit as usize + 1;
        let mut found = Vec::new();
        if let Some(after) = by_heading {
            finder
                .find(Place::Heading, after, wanted, &mut found)
                .await?;
        }
        if found.len() < wanted {
            finder
                .find(Place::Elsewhere, elsewhere, wanted, &mut found)
                .await?;
        }
        let more = found.len() > search.limit as usize;
        found.truncate(search.limit as usize);
        let next = found.last().filter(|_| more).map(|(place, _)| *place);
        let tools = found.into_iter().map(|(_, tool)| tool).collect();
        Ok(ToolPage { tools, next })
    }
}

/// A word that is looked for, as the terms that stand for it.
#[derive(Debug, Default)]
struct Asked {
    heading: Vec<String>,
    elsewhere: Vec<String>,
    /// Whether it is no word, but what kind a tool is of.
    is_kind: bool,
}

/// A search under way.
struct Finder {
    session: Session,
    tenant_id: i64,
    wanted: Wanted,
    asked: Vec<Asked>,
    /// Whether terms stand for more than what was asked, so that what is found has to be looked at.
    loose: bool,
    /// Whether there is one word alone.
    single: bool,
    lists: HashMap<String, List>,
}

/// Blocks of a term that are known: all from one through another.
#[derive(Debug, Default)]
struct List {
    from: i64,
    through: i64,
    blocks: BTreeMap<i64, u64>,
}

/// Tools that may be what is looked for, in order.
struct Candidates {
    tools: Vec<i64>,
    /// The block to go on with, unless these were the last.
    next: Option<i64>,
}

impl Finder {
    /// Finds the terms of what is looked for, and their first blocks from one on. A beginning that is
    /// a term stands for itself; a longer one for the words that begin so or, where these are too
    /// many, for the shorter beginning.
    async fn spell(&mut self, kind: Option<ToolKind>, from: i64) -> Result<(), Failure> {
        const PLACES: [Place; 2] = [Place::Heading, Place::Elsewhere];
        // No term goes on with so low a character.
        let itself = |term: String| [format!("{term}\u{1}"), term];
        let words = self.wanted.words().iter().flat_map(|word| {
            PLACES.map(|place| match is_long(word) {
                true => [
                    format!("{}{}", place.word(word), char::MAX),
                    place.word(word),
                ],
                false => itself(place.beginning(word)),
            })
        });
        let kind = kind.map(|kind| kind_term(kind.as_str()));
        let given = words.chain(kind.clone().map(itself));
        let given: Vec<_> = given.map(|[past, asked]| [asked, past]).collect();
        let spellings = self
            .statement(SPELLINGS)
            .bind(serde_json::json!(given).to_string())
            .bind(MOST_SPELLED)
            .bind(from)
            .bind(FIRST);
        let mut spelled: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut blocks: HashMap<String, BTreeMap<i64, u64>> = HashMap::new();
        let mut too_many = HashSet::new();
        for row in self.session.fetch_all(spellings).await? {
            let asked: String = row.get("asked")?;
            if row.get::<i64>("place")? > MOST_SPELLED {
                too_many.insert(asked);
                continue;
            }
            let word: String = row.get("word")?;
            let of = blocks.entry(word.clone()).or_default();
            if let (Some(block), Some(tools)) = (row.get("block")?, row.get("tools")?) {
                of.insert(block, bits(tools));
            }
            spelled.entry(asked).or_default().insert(word);
        }
        for (term, blocks) in blocks {
            self.lists.insert(term, List::new(from, blocks, FIRST));
        }
        let of = |term: String| spelled.get(&term).cloned().unwrap_or_default();
        let mut asked = Vec::new();
        for word in self.wanted.words() {
            let mut words = PLACES.map(|place| match is_long(word) {
                true => of(place.word(word)),
                false => of(place.beginning(word)),
            });
            // A beginning of a heading is none of the rest as well: it takes both or neither.
            if is_long(word) && PLACES.iter().any(|it| too_many.contains(&it.word(word))) {
                let beginning = beginning(word, INDEXED);
                words = PLACES.map(|place| BTreeSet::from([place.beginning(beginning)]));
                self.loose = true;
            }
            let [heading, elsewhere] = words.map(|words| words.into_iter().collect());
            asked.push(Asked {
                heading,
                elsewhere,
                is_kind: false,
            });
        }
        asked.extend(kind.map(|kind| Asked {
            heading: of(kind).into_iter().collect(),
            elsewhere: Vec::new(),
            is_kind: true,
        }));
        self.asked = asked;
        Ok(())
    }

    /// Adds tools whose words are found at a place, after a number, until there are so many.
    async fn find(
        &mut self,
        place: Place,
        after: i64,
        wanted: usize,
        found: &mut Vec<(ToolPlace, FoundTool)>,
    ) -> Result<(), Failure> {
        let mut from = after.div_euclid(BLOCK);
        let mut size = FIRST;
        loop {
            let candidates = self.candidates(place, from, size).await?;
            let tools = candidates.tools.into_iter().filter(|tool| *tool > after);
            let tools: Vec<_> = tools.collect();
            let mut rest = tools.as_slice();
            let mut at_once = wanted.saturating_sub(found.len());
            while !rest.is_empty() {
                let (these, others) = rest.split_at(at_once.clamp(1, MOST_FETCHED).min(rest.len()));
                rest = others;
                self.fetch(place, these, found).await?;
                if found.len() >= wanted {
                    found.truncate(wanted);
                    return Ok(());
                }
                at_once = at_once.saturating_mul(4);
            }
            match candidates.next {
                Some(next) => from = next,
                None => return Ok(()),
            }
            size = (size * 4).min(MOST);
        }
    }

    /// Tools of the next blocks that have the terms.
    async fn candidates(
        &mut self,
        place: Place,
        from: i64,
        size: i64,
    ) -> Result<Candidates, Failure> {
        // Of both places the first time: often that is all there is.
        if size == FIRST {
            let terms = self.terms(Place::Elsewhere);
            self.read(&terms, from, size).await?;
        }
        let terms = self.terms(place);
        self.read(&terms, from, size).await?;
        // The word that the fewest blocks have says which are looked at.
        let driver = (0..self.asked.len())
            .map(|asked| (self.reach(place, asked), asked))
            .min_by_key(|((through, blocks), _)| (std::cmp::Reverse(*through), blocks.len()));
        let Some(((through, _), driver)) = driver else {
            return Ok(Candidates {
                tools: Vec::new(),
                next: None,
            });
        };
        let (_, blocks) = self.reach(place, driver);
        let blocks: Vec<i64> = blocks.range(from..).copied().collect();
        let probed = self.probe(&terms, &blocks).await?;
        let bits = |term: &String, block: i64| {
            let known = self.lists.get(term).and_then(|list| list.get(block));
            known.unwrap_or_else(|| {
                let probed = probed.get(term).and_then(|blocks| blocks.get(&block));
                probed.copied().unwrap_or(0)
            })
        };
        let mut tools = Vec::new();
        for block in blocks {
            let (mut by_heading, mut anywhere) = (u64::MAX, u64::MAX);
            for asked in &self.asked {
                let all = |terms: &[String]| terms.iter().fold(0, |all, it| all | bits(it, block));
                let heading = all(&asked.heading);
                by_heading &= heading;
                anywhere &= match place {
                    Place::Heading => heading,
                    Place::Elsewhere => heading | all(&asked.elsewhere),
                };
            }
            let there = match place {
                Place::Heading => by_heading,
                Place::Elsewhere if self.loose => anywhere,
                Place::Elsewhere => anywhere & !by_heading,
            };
            let there = (0..BLOCK).filter(|bit| there >> bit & 1 == 1);
            tools.extend(there.map(|bit| block.saturating_mul(BLOCK).saturating_add(bit)));
        }
        let next = (through < i64::MAX).then(|| through + 1);
        Ok(Candidates { tools, next })
    }

    /// All terms that say what is found at a place.
    fn terms(&self, place: Place) -> BTreeSet<String> {
        let terms = self.asked.iter().flat_map(|asked| {
            let elsewhere = (place == Place::Elsewhere).then_some(&asked.elsewhere);
            asked.heading.iter().chain(elsewhere.into_iter().flatten())
        });
        terms.cloned().collect()
    }

    /// Which blocks may have what is looked for, as a word says, and how far that is known.
    fn reach(&self, place: Place, asked: usize) -> (i64, BTreeSet<i64>) {
        let asked = &self.asked[asked];
        // One word that is found elsewhere is in no heading.
        let heading = place == Place::Heading || !self.single || self.loose || asked.is_kind;
        let heading = heading.then_some(&asked.heading);
        let elsewhere = (place == Place::Elsewhere).then_some(&asked.elsewhere);
        let terms = heading.into_iter().chain(elsewhere).flatten();
        let lists: Vec<_> = terms.filter_map(|term| self.lists.get(term)).collect();
        let through = lists.iter().map(|list| list.through).min();
        let through = through.unwrap_or(i64::MAX);
        let blocks = lists.iter().flat_map(|list| list.blocks.range(..=through));
        (through, blocks.map(|(block, _)| *block).collect())
    }

    /// Reads what is not known yet of some terms, from a block on.
    async fn read(
        &mut self,
        terms: &BTreeSet<String>,
        from: i64,
        size: i64,
    ) -> Result<(), Failure> {
        let unknown = |term: &&String| {
            let list = self.lists.get(*term);
            list.is_none_or(|list| list.get(from).is_none())
        };
        let unknown: Vec<&String> = terms.iter().filter(unknown).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let count = i64::try_from(unknown.len()).unwrap_or(i64::MAX);
        let size = size.min((MOST_ROWS / count).max(FIRST));
        let read = self
            .statement(FIRST_BLOCKS)
            .bind(serde_json::json!(unknown).to_string())
            .bind(from)
            .bind(size);
        let mut read = by_term(&self.session.fetch_all(read).await?)?;
        for term in unknown {
            let blocks = read.remove(term).unwrap_or_default();
            let list = List::new(from, blocks, size);
            self.lists.insert(term.clone(), list);
        }
        Ok(())
    }

    /// Reads blocks that are not among those known of a term.
    async fn probe(
        &mut self,
        terms: &BTreeSet<String>,
        blocks: &[i64],
    ) -> Result<HashMap<String, BTreeMap<i64, u64>>, Failure> {
        let mut asked = (BTreeSet::new(), BTreeSet::new());
        for term in terms {
            let Some(list) = self.lists.get(term) else {
                continue;
            };
            for block in blocks.iter().filter(|block| list.get(**block).is_none()) {
                asked.0.insert(term);
                asked.1.insert(block);
            }
        }
        if asked.0.is_empty() {
            return Ok(HashMap::new());
        }
        let probe = self
            .statement(BLOCKS)
            .bind(serde_json::json!(asked.0).to_string())
            .bind(serde_json::json!(asked.1).to_string());
        by_term(&self.session.fetch_all(probe).await?)
    }

    async fn fetch(
        &mut self,
        place: Place,
        tools: &[i64],
        found: &mut Vec<(ToolPlace, FoundTool)>,
    ) -> Result<(), Failure> {
        let fetch = self
            .statement(TOOLS)
            .bind(serde_json::json!(tools).to_string());
        for row in self.session.fetch_all(fetch).await? {
            let tool = found_tool(&row)?;
            if self.loose {
                let heading = [
                    tool.name.as_str(),
                    tool.title.as_deref().unwrap_or_default(),
                ];
                let words = Words::of(&heading, &tool.description);
                if self.wanted.place_in(&words) != Some(place) {
                    continue;
                }
            }
            let place = ToolPlace {
                class: u8::from(place == Place::Elsewhere),
                tool: number(row.get("id")?)?,
            };
            found.push((place, tool));
        }
        Ok(())
    }

    fn statement(&self, (sqlite, postgres): (&'static str, &'static str)) -> Statement {
        Statement::new(self.session.dialect().choose(sqlite, postgres)).bind(self.tenant_id)
    }
}

impl List {
    /// Of a term that was asked for so many blocks.
    fn new(from: i64, blocks: BTreeMap<i64, u64>, asked: i64) -> Self {
        let full = i64::try_from(blocks.len()).unwrap_or(i64::MAX) >= asked;
        let last = blocks.keys().next_back().filter(|_| full);
        Self {
            from,
            through: last.copied().unwrap_or(i64::MAX),
            blocks,
        }
    }

    /// A block's tools, if the block is known.
    fn get(&self, block: i64) -> Option<u64> {
        (self.from..=self.through)
            .contains(&block)
            .then(|| self.blocks.get(&block).copied().unwrap_or(0))
    }
}

/// Whether a word is longer than the beginnings that are terms.
fn is_long(word: &str) -> bool {
    word.chars().count() > INDEXED
}

/// A bit for each tool of a block, as the engines have no number without a sign.
fn bits(tools: i64) -> u64 {
    u64::from_ne_bytes(tools.to_ne_bytes())
}

fn by_term(rows: &[Row]) -> Result<HashMap<String, BTreeMap<i64, u64>>, Failure> {
    let mut terms: HashMap<String, BTreeMap<i64, u64>> = HashMap::new();
    for row in rows {
        let blocks = terms.entry(row.get("word")?).or_default();
        blocks.insert(row.get("block")?, bits(row.get("tools")?));
    }
    Ok(terms)
}

fn found_tool(row: &Row) -> Result<FoundTool, Failure> {
    Ok(FoundTool {
        server: stored(ServerName::new(row.get::<String>("server")?))?,
        name: stored(ToolName::new(row.get::<String>("name")?))?,
        title: row.get("title")?,
        description: row.get("description")?,
        kind: stored(row.get::<String>("kind")?.parse())?,
    })
}
