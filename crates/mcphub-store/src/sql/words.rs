//! Words: what of a text is found, and how both engines are asked for it.

use std::collections::{HashMap, HashSet};

use mcphub_core::{Error, Result};

use super::failure::Failure;
use super::statement::Statement;
use super::{Dialect, Session};

/// The longest word, in characters; the rest of a longer one is of no account.
const LONGEST: usize = 64;

/// The most words that are looked for at once.
const MOST_ASKED: usize = 16;

/// The most words that a text is found by.
const MOST_KEPT: usize = 1_000;

/// In SQLite a word begins with a letter that says where it stands: in the heading or not.
const IN_HEADING: char = 'h';
const IN_BODY: char = 'b';

/// SQLite has an index of the beginnings of words, up to so many characters.
const INDEXED: usize = 3;

/// In how many words a longer beginning is looked for, each by itself and in the order of rows. Where
/// more begin so, SQLite reads all that is found before it gives the first.
const MOST_SPELLED: usize = 64;

/// Which words begin with each of a list of texts: a step from one word to the next, so that those
/// are not read which a word stands for. `char(1)` is less than all that a word goes on with, and
/// `char(1114111)` more.
macro_rules! spellings {
    ($table:literal) => {
        concat!(
            "WITH RECURSIVE spelled (asked, word, place) AS (
                SELECT value, (SELECT term FROM ",
            $table,
            " WHERE term >= value ORDER BY term LIMIT 1), 1
                FROM json_each($1)
                UNION ALL
                SELECT asked, (SELECT term FROM ",
            $table,
            " WHERE term >= word || char(1) ORDER BY term LIMIT 1), place + 1
                FROM spelled
                WHERE word >= asked AND word < asked || char(1114111) AND place <= $2
            )
            SELECT asked, word FROM spelled WHERE word >= asked AND word < asked || char(1114111)"
        )
    };
}

/// Words of tools, and of servers.
pub(super) const SPELLINGS_OF_TOOLS: &str = spellings!("tool_word");
pub(super) const SPELLINGS_OF_SERVERS: &str = spellings!("server_word");

/// The words of something: the important ones, and those of the rest that are not among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    heading: Vec<String>,
    body: Vec<String>,
}

impl Words {
    /// The words that something is found by.
    pub(super) fn of(heading: &[&str], body: &str) -> Self {
        let mut seen = HashSet::new();
        let mut keep = |texts: &[&str]| {
            let words = texts.iter().flat_map(|text| runs(text)).flat_map(kept);
            let new = words.filter(|word| seen.insert(word.clone()));
            new.take(MOST_KEPT).collect()
        };
        Self {
            heading: keep(heading),
            body: keep(&[body]),
        }
    }

    /// As SQLite has them, with the tenant as one of them.
    pub(super) fn to_text(&self, tenant_id: i64) -> String {
        let mut text = tenant(tenant_id);
        for (words, place) in [(&self.heading, IN_HEADING), (&self.body, IN_BODY)] {
            for word in words {
                text.push(' ');
                text.push(place);
                text.push_str(word);
            }
        }
        text
    }

    /// As PostgreSQL reads a `tsvector`. Words are letters and digits, so that nothing needs an
    /// escape; the tenant's is like none of them.
    pub(super) fn to_vector(&self, tenant_id: i64) -> String {
        // The place says nothing: only a word that has one has a weight.
        let mut vector = format!("'@{tenant_id}'");
        for (words, weight) in [(&self.heading, ":1A"), (&self.body, ":1")] {
            for word in words {
                vector.push_str(" '");
                vector.push_str(word);
                vector.push('\'');
                vector.push_str(weight);
            }
        }
        vector
    }
}

/// Words that are looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    words: Vec<String>,
    /// What SQLite's words are that begin like one of them; none where there are too many.
    spellings: HashMap<String, Vec<String>>,
}

impl Wanted {
    /// The words of what somebody looks for.
    ///
    /// # Errors
    /// `InvalidInput` when there are none, or more than 16.
    pub(super) fn new(text: &str) -> Result<Self> {
        let parts = runs(text).flat_map(parts).map(lower);
        let parts = parts.filter(|word| !word.is_empty());
        let words: Vec<String> = parts.take(MOST_ASKED + 1).collect();
        match words.len() {
            0 => Err(Error::invalid("a search needs a word of letters or digits")),
            1..=MOST_ASKED => Ok(Self {
                words,
                spellings: HashMap::new(),
            }),
            _ => Err(Error::invalid("a search has at most 16 words")),
        }
    }

    /// Asks SQLite which words there are that begin so. Without it the same is found, more slowly.
    pub(super) async fn spell(
        &mut self,
        session: &mut Session,
        spellings: &'static str,
    ) -> Result<(), Failure> {
        let long = self
            .words
            .iter()
            .filter(|word| word.chars().count() > INDEXED);
        let asked: Vec<String> = long
            .flat_map(|word| [IN_HEADING, IN_BODY].map(|place| format!("{place}{word}")))
            .collect();
        if session.dialect() != Dialect::Sqlite || asked.is_empty() {
            return Ok(());
        }
        let asked = serde_json::json!(asked).to_string();
        let most = i64::try_from(MOST_SPELLED).unwrap_or(i64::MAX);
        let spellings = Statement::new(spellings).bind(asked).bind(most);
        for row in session.fetch_all(spellings).await? {
            let words = self.spellings.entry(row.get("asked")?).or_default();
            words.push(row.get("word")?);
        }
        self.spellings
            .retain(|_, words| words.len() <= MOST_SPELLED);
        Ok(())
    }

    /// What asks for things whose heading has the words.
    pub(super) fn in_heading(&self, dialect: Dialect, tenant_id: i64) -> String {
        match dialect {
            Dialect::Sqlite => {
                format!("{} AND {}", tenant(tenant_id), self.matching(&[IN_HEADING]))
            }
            Dialect::Postgres => format!("'@{tenant_id}' & {}", self.lexemes("A")),
        }
    }

    /// What asks for things that have the words, and whose heading alone has not.
    pub(super) fn elsewhere(&self, dialect: Dialect, tenant_id: i64) -> String {
        match dialect {
            Dialect::Sqlite => {
                let anywhere = self.matching(&[IN_HEADING, IN_BODY]);
                let heading = self.matching(&[IN_HEADING]);
                format!("{} AND ({anywhere} NOT {heading})", tenant(tenant_id))
            }
            Dialect::Postgres => {
                let (anywhere, heading) = (self.lexemes(""), self.lexemes("A"));
                format!("'@{tenant_id}' & {anywhere} & !{heading}")
            }
        }
    }

    /// All words, each at one of the places.
    fn matching(&self, places: &[char]) -> String {
        let words = self.words.iter().map(|word| {
            let spelled = places
                .iter()
                .map(|place| self.beginning(format!("{place}{word}")));
            format!("({})", spelled.collect::<Vec<_>>().join(" OR "))
        });
        format!("({})", words.collect::<Vec<_>>().join(" AND "))
    }

    /// The words that begin so.
    fn beginning(&self, word: String) -> String {
        let Some(spelled) = self.spellings.get(&word) else {
            return format!("\"{word}\" *");
        };
        let spelled = spelled.iter().map(|word| format!("\"{word}\""));
        spelled.collect::<Vec<_>>().join(" OR ")
    }

    fn lexemes(&self, weight: &str) -> String {
        let words = self.words.iter().map(|word| format!("'{word}':*{weight}"));
        format!("({})", words.collect::<Vec<_>>().join(" & "))
    }
}

/// What SQLite has for the tenant.
fn tenant(tenant_id: i64) -> String {
    format!("t{tenant_id}")
}

/// The runs of letters and digits.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|c: char| !c.is_alphanumeric());
    runs.filter(|run| !run.is_empty())
}

/// The parts of a run: each begins with a capital after a small letter or a digit.
fn parts(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let mut before = rest.chars().next()?;
        let end = rest.char_indices().skip(1).find_map(|(place, c)| {
            let begins = c.is_uppercase() && (before.is_lowercase() || before.is_numeric());
            before = c;
            begins.then_some(place)
        });
        let (part, more) = rest.split_at(end.unwrap_or(rest.len()));
        rest = more;
        Some(part)
    })
}

/// What a run is found by: all of it, and each part.
fn kept(run: &str) -> impl Iterator<Item = String> {
    let words = std::iter::once(run).chain(parts(run)).map(lower);
    words.filter(|word| !word.is_empty())
}

/// A small letter can be several characters, of which some are no letters.
fn lower(word: &str) -> String {
    let small = word.chars().flat_map(char::to_lowercase);
    small
        .filter(|c| c.is_alphanumeric())
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading(text: &str) -> Vec<String> {
        Words::of(&[text], "").heading
    }

    #[test]
    fn runs_and_their_parts_are_words() {
        assert_eq!(heading("get_pet-by.id"), ["get", "pet", "by", "id"]);
        assert_eq!(
            heading("getPetById"),
            ["getpetbyid", "get", "pet", "by", "id"]
        );
        assert_eq!(
            heading("HTTPServer v2Beta"),
            ["httpserver", "v2beta", "v2", "beta"]
        );
        assert_eq!(heading("Größe ΣΑΣ 東京"), ["größe", "σασ", "東京"]);
        assert_eq!(heading(" '\"*():&!\\\0 "), [""; 0]);
    }

    #[test]
    fn a_word_is_kept_once_where_it_counts_most() {
        let words = Words::of(&["list_pets", "List pets"], "Lists all pets, or one pet.");
        assert_eq!(words.heading, ["list", "pets"]);
        assert_eq!(words.body, ["lists", "all", "or", "one", "pet"]);
        let words = Words::of(&["a"], "b");
        assert_eq!(words.to_vector(7), "'@7' 'a':1A 'b':1");
        assert_eq!(words.to_text(7), "t7 ha bb");
    }

    #[test]
    fn words_are_bounded() {
        assert_eq!(heading(&"x".repeat(1_000))[0].len(), LONGEST);
        let many: String = (0..5_000).map(|number| format!("w{number} ")).collect();
        assert_eq!(heading(&many).len(), MOST_KEPT);
        assert_eq!(
            Wanted::new(&many).unwrap_err().kind(),
            mcphub_core::ErrorKind::InvalidInput
        );
        assert_eq!(
            Wanted::new(" * ").unwrap_err().kind(),
            mcphub_core::ErrorKind::InvalidInput
        );
        assert_eq!(
            Wanted::new(&"a ".repeat(MOST_ASKED)).unwrap().words.len(),
            MOST_ASKED
        );
    }
}
