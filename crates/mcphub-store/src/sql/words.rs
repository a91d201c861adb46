//! Words: what of a text is found, the terms that tools have for it, and how both engines are asked for
//! servers by it.

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

/// A term begins with a letter that says where its word stands: in the heading or not.
const IN_HEADING: char = 'h';
const IN_BODY: char = 'b';

/// Beginnings of words, up to so many characters, are terms of their own, or have an index.
pub(super) const INDEXED: usize = 3;

/// In how many words a longer beginning is looked for, each by itself and in the order of rows.
const MOST_SPELLED: usize = 64;

/// Which words of servers begin with each of a list of texts, on SQLite: a step from one word to the next, so that those
/// are not read which a word stands for. `char(1)` is less than all that a word goes on with, and
/// `char(1114111)` more.
const SPELLINGS: &str = "
    WITH RECURSIVE spelled (asked, word, place) AS (
        SELECT value, (SELECT term FROM server_word WHERE term >= value ORDER BY term LIMIT 1), 1
        FROM json_each($1)
        UNION ALL
        SELECT asked,
               (SELECT term FROM server_word WHERE term >= word || char(1) ORDER BY term LIMIT 1),
               place + 1
        FROM spelled
        WHERE word >= asked AND word < asked || char(1114111) AND place <= $2
    )
    SELECT asked, word FROM spelled WHERE word >= asked AND word < asked || char(1114111)";

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

    /// The terms that a tool is found by: words, where they are longer than a beginning, and the
    /// beginnings of all. One of the heading is none of the body as well.
    pub(super) fn terms(&self) -> Vec<String> {
        let mut terms = Vec::new();
        let mut begun = HashSet::new();
        for (words, place) in [
            (&self.heading, Place::Heading),
            (&self.body, Place::Elsewhere),
        ] {
            for word in words {
                if word.chars().count() > INDEXED {
                    terms.push(place.word(word));
                }
                for length in 1..=INDEXED {
                    let beginning = beginning(word, length);
                    if begun.insert(beginning) {
                        terms.push(place.beginning(beginning));
                    }
                }
            }
        }
        terms
    }

    /// The words of a server's heading as SQLite has them, with the tenant as one of them.
    pub(super) fn to_text(&self, tenant_id: i64) -> String {
        let mut text = tenant(tenant_id);
        for word in &self.heading {
            text.push(' ');
            text.push(IN_HEADING);
            text.push_str(word);
        }
        text
    }

    /// The same as PostgreSQL reads a `tsvector`. Words are letters and digits, so that nothing needs
    /// an escape; the tenant's is like none of them.
    pub(super) fn to_vector(&self, tenant_id: i64) -> String {
        // The place says nothing: only a word that has one has a weight.
        let mut vector = format!("'@{tenant_id}'");
        for word in &self.heading {
            vector.push_str(" '");
            vector.push_str(word);
            vector.push_str("':1A");
        }
        vector
    }
}

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Heading,
    Elsewhere,
}

impl Place {
    /// The term of a word.
    pub(super) fn word(self, word: &str) -> String {
        let place = match self {
            Self::Heading => IN_HEADING,
            Self::Elsewhere => IN_BODY,
        };
        format!("{place}{word}")
    }

    /// The term of the beginning of words.
    pub(super) fn beginning(self, beginning: &str) -> String {
        let place = match self {
            Self::Heading => IN_HEADING,
            Self::Elsewhere => IN_BODY,
        };
        format!("{}{beginning}", place.to_ascii_uppercase())
    }
}

/// So many characters of a word, or all.
pub(super) fn beginning(word: &str, length: usize) -> &str {
    let end = word.char_indices().nth(length).map(|(end, _)| end);
    word.get(..end.unwrap_or(word.len())).unwrap_or(word)
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

    /// The words.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Where something has the words: in its heading alone, or with the rest of it.
    pub(super) fn place_in(&self, words: &Words) -> Option<Place> {
        let begins = |word: &String, among: &[String]| among.iter().any(|it| it.starts_with(word));
        let in_heading = |word: &String| begins(word, &words.heading);
        if self.words.iter().all(in_heading) {
            return Some(Place::Heading);
        }
        let anywhere = |word: &String| in_heading(word) || begins(word, &words.body);
        self.words.iter().all(anywhere).then_some(Place::Elsewhere)
    }

    /// Asks SQLite which words of servers there are that begin so. Without it the same is found, more
    /// slowly: where more words begin so than are asked for, it reads all that is found before it
    /// gives the first.
    pub(super) async fn spell(&mut self, session: &mut Session) -> Result<(), Failure> {
        let long = self
            .words
            .iter()
            .filter(|word| word.chars().count() > INDEXED);
        let asked: Vec<String> = long.map(|word| Place::Heading.word(word)).collect();
        if session.dialect() != Dialect::Sqlite || asked.is_empty() {
            return Ok(());
        }
        let asked = serde_json::json!(asked).to_string();
        let most = i64::try_from(MOST_SPELLED).unwrap_or(i64::MAX);
        let spellings = Statement::new(SPELLINGS).bind(asked).bind(most);
        for row in session.fetch_all(spellings).await? {
            let words = self.spellings.entry(row.get("asked")?).or_default();
            words.push(row.get("word")?);
        }
        self.spellings
            .retain(|_, words| words.len() <= MOST_SPELLED);
        Ok(())
    }

    /// What asks for servers whose heading has the words.
    pub(super) fn in_heading(&self, dialect: Dialect, tenant_id: i64) -> String {
        match dialect {
            Dialect::Sqlite => {
                let words = self.words.iter().map(|word| self.beginning(word));
                let words: Vec<_> = words.collect();
                format!("{} AND {}", tenant(tenant_id), words.join(" AND "))
            }
            Dialect::Postgres => {
                let words = self.words.iter().map(|word| format!("'{word}':*A"));
                let words: Vec<_> = words.collect();
                format!("'@{tenant_id}' & {}", words.join(" & "))
            }
        }
    }

    /// The words that begin so, as SQLite has them.
    fn beginning(&self, word: &str) -> String {
        let word = Place::Heading.word(word);
        let Some(spelled) = self.spellings.get(&word) else {
            return format!("\"{word}\" *");
        };
        let spelled: Vec<_> = spelled.iter().map(|word| format!("\"{word}\"")).collect();
        format!("({})", spelled.join(" OR "))
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
        assert_eq!(words.to_vector(7), "'@7' 'a':1A");
        assert_eq!(words.to_text(7), "t7 ha");
    }

    #[test]
    fn terms_are_words_and_their_beginnings() {
        let terms = Words::of(&["größer"], "Großes ab").terms();
        let expected = [
            "hgrößer",
            "Hg",
            "Hgr",
            "Hgrö",
            "bgroßes",
            "Bgro",
            "Ba",
            "Bab",
        ];
        assert_eq!(terms, expected);
    }

    #[test]
    fn what_has_the_words_has_them_somewhere() {
        let words = Words::of(&["list_pets"], "Lists all of the shop.");
        let place = |text| Wanted::new(text).unwrap().place_in(&words);
        assert_eq!(place("pet li"), Some(Place::Heading));
        assert_eq!(place("pet sho"), Some(Place::Elsewhere));
        assert_eq!(place("pet shops"), None);
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
