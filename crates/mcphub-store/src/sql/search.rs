//! Search: tools by words, out of the [postings](super::posting) of what they have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// The first blocks of `term.word`, from one on, as [`blocks`] reads them: in one value, because each
/// row that SQLite gives has a way from one thread to another.
macro_rules! first_blocks {
    ($from:literal, $size:literal) => {
        concat!(
            "(SELECT string_agg(found.block || ' ' || found.tools, ',')
              FROM (SELECT block, tools FROM tool_posting
                    WHERE tenant_id = $1 AND tool_posting.word = term.word AND block >= ",
            $from,
            " ORDER BY block LIMIT ",
            $size,
            ") AS found) AS blocks"
        )
    };
}

/// Which terms begin with each of a list of texts, given with what comes after them all, a term that
/// stands for it where these are too many, and its word: a step from one term to the next, so that the
/// rows between are not read. Where too many begin like one text of a word, all of its texts have
/// what stands for them. With the first blocks of each, because a statement more is a way to the server
/// more.
macro_rules! spellings {
    ($given:literal) => {
        concat!(
            "WITH RECURSIVE spelled (asked, past, instead, number, word, place) AS (
                SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3,
                       (SELECT word FROM tool_posting
                        WHERE tenant_id = $1 AND word >= value ->> 0 AND word < value ->> 1
                        ORDER BY word LIMIT 1), CAST(1 AS BIGINT)
                FROM ",
            $given,
            " UNION ALL
                SELECT asked, past, instead, number,
                       (SELECT tool_posting.word FROM tool_posting
                        WHERE tenant_id = $1 AND tool_posting.word > spelled.word
                          AND tool_posting.word < past
                        ORDER BY tool_posting.word LIMIT 1), place + 1
                FROM spelled
                WHERE word IS NOT NULL AND place <= $3
            ), counted AS (
                SELECT asked, instead, word, place,
                       max(CASE WHEN word IS NOT NULL THEN place END) OVER (PARTITION BY number)
                       > $3 AS too_many
                FROM spelled
            ), term AS (
                SELECT asked, CASE WHEN too_many THEN instead ELSE word END AS word,
                       CAST(CASE WHEN too_many THEN 1 ELSE 0 END AS BIGINT) AS loose
                FROM counted
                WHERE CASE WHEN too_many THEN place = 1 ELSE word IS NOT NULL END
            )
            SELECT term.asked, term.word, term.loose, ",
            first_blocks!("$4", "$5"),
            " FROM term"
        )
    };
}

const SPELLINGS: (&str, &str) = (
    spellings!("json_each($2)"),
    spellings!("json_array_elements(CAST($2 AS json)) AS listed (value)"),
);

/// The first blocks of each term, from one on.
const FIRST_BLOCKS: (&str, &str) = (
    concat!(
        "SELECT term.word, ",
        first_blocks!("$3", "$4"),
        " FROM (SELECT value AS word FROM json_each($2)) AS term"
    ),
    concat!(
        "SELECT term.word, ",
        first_blocks!("$3", "$4"),
        " FROM json_array_elements_text(CAST($2 AS json)) AS term (word)"
    ),
);

/// Some blocks of some terms. What is limited to one row is looked up in the index, however many the
/// planner takes the lists to be.
const BLOCKS: (&str, &str) = (
    "SELECT term.value AS word,
            (SELECT string_agg(found.block || ' ' || found.tools, ',')
             FROM json_each($3) AS listed CROSS JOIN tool_posting AS found
             WHERE found.tenant_id = $1 AND found.word = term.value
               AND found.block = listed.value) AS blocks
     FROM json_each($2) AS term",
    "SELECT term.word,
            (SELECT string_agg(listed.block || ' ' || found.tools, ',')
             FROM json_array_elements_text(CAST($3 AS json)) AS listed (block)
             CROSS JOIN LATERAL
                 (SELECT tools FROM tool_posting
                  WHERE tenant_id = $1 AND tool_posting.word = term.word
                    AND tool_posting.block = CAST(listed.block AS BIGINT)
                  LIMIT 1) AS found) AS blocks
     FROM json_array_elements_text(CAST($2 AS json)) AS term (word)",
);

/// Tools by their numbers, unless their server was removed, as [`Fetched`] reads them. `+` keeps SQLite
/// from an index of tenants.
const TOOLS: (&str, &str) = (
    "SELECT json_group_array(json_array(id, server, name, title, description, kind)) AS tools
     FROM tool
     WHERE tool.id IN (SELECT value FROM json_each($2)) AND +tool.tenant_id = $1
       AND (SELECT removed_at FROM server WHERE id = tool.server_id) IS NULL",
    "SELECT CAST(json_agg(json_build_array(id, server, name, title, description, kind)) AS TEXT)
            AS tools
     FROM tool
     WHERE tool.id = ANY (ARRAY (
             SELECT CAST(value AS BIGINT)
             FROM json_array_elements_text(CAST($2 AS json)) AS listed (value)))
       AND tool.tenant_id = $1
       AND (SELECT removed_at FROM server WHERE id = tool.server_id) IS NULL",
);

/// The number of a tool, its server, name, title, description and kind.
type Fetched = (i64, String, String, Option<String>, String, String);

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
    /// many, for the shorter beginning. One of a heading is none of the rest as well: it takes both or
    /// neither.
    async fn spell(&mut self, kind: Option<ToolKind>, from: i64) -> Result<(), Failure> {
        const PLACES: [Place; 2] = [Place::Heading, Place::Elsewhere];
        // No term goes on with so low a character.
        let itself = |term: &str| [term.to_owned(), format!("{term}\u{1}"), term.to_owned()];
        let given = |place: Place, word: &str| {
            let instead = place.beginning(beginning(word, INDEXED));
            match is_long(word) {
                true => {
                    let asked = place.word(word);
                    let past = format!("{asked}{}", char::MAX);
                    [asked, past, instead]
                }
                false => itself(&instead),
            }
        };
        let kind = kind.map(|kind| kind_term(kind.as_str()));
        let words = self.wanted.words().iter();
        let words = words.map(|word| PLACES.map(|place| given(place, word)).to_vec());
        let words = words.chain(kind.iter().map(|kind| vec![itself(kind)]));
        let list = words.enumerate().flat_map(|(number, texts)| {
            let texts = texts.into_iter();
            texts.map(move |[asked, past, instead]| (asked, past, instead, number))
        });
        let list: Vec<_> = list.collect();
        let spellings = self
            .statement(SPELLINGS)
            .bind(serde_json::json!(list).to_string())
            .bind(MOST_SPELLED)
            .bind(from)
            .bind(FIRST);
        let mut spelled: HashMap<String, BTreeSet<String>> = HashMap::new();
        for row in self.session.fetch_all(spellings).await? {
            let word: String = row.get("word")?;
            let list = List::new(from, blocks(&row)?, FIRST);
            self.lists.insert(word.clone(), list);
            self.loose |= row.get::<i64>("loose")? == 1;
            spelled.entry(row.get("asked")?).or_default().insert(word);
        }
        let of = |asked: &String| {
            let words = spelled.get(asked).into_iter().flatten();
            words.cloned().collect()
        };
        let asked = self.wanted.words().iter().map(|word| {
            let [heading, elsewhere] = PLACES.map(|place| {
                let [asked, ..] = given(place, word);
                of(&asked)
            });
            Asked {
                heading,
                elsewhere,
                is_kind: false,
            }
        });
        let kind = kind.map(|kind| Asked {
            heading: of(&kind),
            elsewhere: Vec::new(),
            is_kind: true,
        });
        let asked = asked.chain(kind).collect();
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
        let row = self.session.fetch_one(fetch).await?;
        let fetched: Option<String> = row.get("tools")?;
        let fetched = serde_json::from_str(fetched.as_deref().unwrap_or("[]"));
        let mut fetched: Vec<Fetched> = fetched.map_err(unreadable)?;
        fetched.sort_unstable_by_key(|(id, ..)| *id);
        for fetched in fetched {
            let (id, tool) = found_tool(fetched)?;
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
                tool: number(id)?,
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

/// Blocks of a term, each with a bit for each tool, in the text that says all of them.
fn blocks(row: &Row) -> Result<BTreeMap<i64, u64>, Failure> {
    let text: Option<String> = row.get("blocks")?;
    let listed = text.iter().flat_map(|text| text.split(','));
    let listed = listed.map(|block| {
        let (block, tools) = block.split_once(' ').unwrap_or((block, ""));
        let tools: i64 = tools.parse().map_err(unreadable)?;
        Ok((block.parse().map_err(unreadable)?, bits(tools)))
    });
    listed.collect()
}

fn by_term(rows: &[Row]) -> Result<HashMap<String, BTreeMap<i64, u64>>, Failure> {
    let terms = rows.iter().map(|row| Ok((row.get("word")?, blocks(row)?)));
    terms.collect()
}

fn found_tool(fetched: Fetched) -> Result<(i64, FoundTool), Failure> {
    let (id, server, name, title, description, kind) = fetched;
    let tool = FoundTool {
        server: stored(ServerName::new(server))?,
        name: stored(ToolName::new(name))?,
        title,
        description,
        kind: stored(kind.parse())?,
    };
    Ok((id, tool))
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("what tools are found by cannot be read").caused_by(error)
}
