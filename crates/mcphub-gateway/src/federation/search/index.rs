//! An index of words that ranks by Okapi BM25, with the places of words weighed.
//!
//! The list of tools does not change while its index is used, so what a word adds to a tool's score
//! is computed once, and a search only sums numbers.

use std::collections::HashMap;
use std::ops::Range;

use super::words::words;

/// How soon more of the same word adds nothing.
const K1: f32 = 1.2;

/// How much the length of a text counts against it. Less than the 0.75 that is usual for prose: a
/// tool with many arguments is no worse at what its name says.
const B: f32 = 0.3;

/// The most words of a query that are looked for.
const MAX_WORDS: usize = 32;

/// A word that no tool has stands for those that begin with it, for so many at most.
const MAX_BEGINNINGS: usize = 16;

/// The shortest such word, in bytes.
const MIN_BEGINNING: usize = 3;

/// What such a word counts.
const BEGINNING: f32 = 0.5;

/// A word with the place of its postings.
type Entry = (Box<str>, Range<u32>);

/// An index of texts by their numbers, from 0 on.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In order.
    words: Vec<Entry>,
    /// What a word adds to the score of a text.
    postings: Vec<(u32, f32)>,
    texts: usize,
}

/// Takes texts for an [`Index`].
#[derive(Debug, Default)]
pub(super) struct IndexBuilder {
    /// In which texts, and how often, each place counted with its weight.
    words: HashMap<String, Vec<(u32, f32)>>,
    lengths: Vec<f32>,
}

impl IndexBuilder {
    /// Takes the next text: its parts, each with its weight.
    pub(super) fn add<'t>(&mut self, parts: impl IntoIterator<Item = (f32, &'t str)>) {
        // A million tools are far from the end of numbers.
        let number = u32::try_from(self.lengths.len()).unwrap_or(u32::MAX);
        let mut length = 0.0;
        for (weight, part) in parts {
            for word in words(part) {
                length += weight;
                let postings = self.words.entry(word).or_default();
                match postings.last_mut().filter(|(last, _)| *last == number) {
                    Some((_, often)) => *often += weight,
                    None => postings.push((number, weight)),
                }
            }
        }
        self.lengths.push(length);
    }

    pub(super) fn finish(self) -> Index {
        let texts = self.lengths.len();
        let count = texts as f32;
        let average = (self.lengths.iter().sum::<f32>() / count.max(1.0)).max(f32::MIN_POSITIVE);
        let mut found: Vec<(String, Vec<(u32, f32)>)> = self.words.into_iter().collect();
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut index = Index {
            words: Vec::with_capacity(found.len()),
            postings: Vec::with_capacity(found.iter().map(|(_, it)| it.len()).sum()),
            texts,
        };
        for (word, postings) in found {
            let having = postings.len() as f32;
            let rarity = (1.0 + (count - having + 0.5) / (having + 0.5)).ln();
            let start = index.postings.len() as u32;
            for (number, often) in postings {
                let length = self.lengths.get(number as usize).copied();
                let norm = 1.0 - B + B * length.unwrap_or(average) / average;
                let adds = rarity * often * (K1 + 1.0) / (often + K1 * norm);
                index.postings.push((number, adds));
            }
            let end = index.postings.len() as u32;
            index.words.push((word.into(), start..end));
        }
        index
    }
}

impl Index {
    /// The numbers of the texts that fit a query, the best first, at most `limit`, and how many fit.
    /// Texts that fit as well stay in their order.
    pub(super) fn find(&self, query: &str, limit: usize) -> (Vec<u32>, usize) {
        let mut looked_for: Vec<String> = Vec::new();
        for word in words(query) {
            if !looked_for.contains(&word) && looked_for.len() < MAX_WORDS {
                looked_for.push(word);
            }
        }
        let mut scores = vec![0.0_f32; self.texts];
        let mut found: Vec<u32> = Vec::new();
        for word in &looked_for {
            let (entries, counts) = self.entries(word);
            for (_, at) in entries {
                let at = at.start as usize..at.end as usize;
                for (number, adds) in self.postings.get(at).unwrap_or_default() {
                    if let Some(score) = scores.get_mut(*number as usize) {
                        if *score == 0.0 {
                            found.push(*number);
                        }
                        *score += adds * counts;
                    }
                }
            }
        }
        let all = found.len();
        let score = |number: u32| scores.get(number as usize).copied().unwrap_or_default();
        let best_first = |one: &u32, other: &u32| {
            let by_score = score(*other).total_cmp(&score(*one));
            by_score.then_with(|| one.cmp(other))
        };
        if limit < all {
            found.select_nth_unstable_by(limit, best_first);
            found.truncate(limit);
        }
        found.sort_unstable_by(best_first);
        (found, all)
    }

    /// The word itself, or what begins with it, and what they count.
    fn entries(&self, word: &str) -> (&[Entry], f32) {
        let begin = self.words.partition_point(|(known, _)| **known < *word);
        let rest = self.words.get(begin..).unwrap_or_default();
        match rest.first() {
            Some((known, _)) if **known == *word => (rest.get(..1).unwrap_or_default(), 1.0),
            _ if word.len() < MIN_BEGINNING => (&[], 0.0),
            _ => {
                let like = rest.iter().take(MAX_BEGINNINGS);
                let like = like.take_while(|(known, _)| known.starts_with(word));
                (rest.get(..like.count()).unwrap_or_default(), BEGINNING)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[(&str, &str)]) -> Index {
        let mut index = IndexBuilder::default();
        for (name, description) in texts {
            index.add([(3.0, *name), (1.0, *description)]);
        }
        index.finish()
    }

    const SHOP: [(&str, &str); 5] = [
        ("listBooks", "Lists the books of the shop"),
        ("getBook", "One book by its ISBN"),
        ("createOrder", "Orders books"),
        ("listOrders", "Lists orders, the newest first"),
        ("openingHours", "When the shop is open"),
    ];

    #[test]
    fn the_best_comes_first() {
        let index = index(&SHOP);
        for (query, best) in [
            ("books", 1),
            ("list all books", 0),
            ("make an order", 2),
            ("list my orders", 3),
            ("ISBN", 1),
            ("when is it open?", 4),
        ] {
            let (found, _) = index.find(query, 10);
            assert_eq!(found.first(), Some(&best), "{query}: {found:?}");
        }
    }

    #[test]
    fn there_are_at_most_so_many_and_all_are_counted() {
        let index = index(&SHOP);
        let (all, count) = index.find("shop book order", 10);
        assert_eq!((all.len(), count), (5, 5));
        let (best, count) = index.find("shop book order", 2);
        assert_eq!((&best[..], count), (&all[..2], 5));
        assert_eq!(index.find("zebra", 10), (vec![], 0));
        assert_eq!(index.find("", 10), (vec![], 0));
    }

    #[test]
    fn the_beginning_of_a_word_finds_it_where_no_tool_has_it_whole() {
        let index = index(&SHOP);
        assert_eq!(index.find("isb", 10).0, [1]);
        assert_eq!(index.find("is", 10).0, [4], "a word of its own");
        assert_eq!(index.find("op", 10).1, 0, "too short");
    }

    #[test]
    fn texts_that_fit_as_well_stay_in_their_order() {
        let index = index(&[("a b", ""), ("a c", ""), ("a d", "")]);
        assert_eq!(index.find("a", 2).0, [0, 1]);
    }

    /// The formula, written as the literature has it, over the words of each text.
    fn by_hand(texts: &[Vec<String>], query: &[String]) -> Vec<f32> {
        let average = texts.iter().map(Vec::len).sum::<usize>() as f32 / texts.len() as f32;
        let score = |text: &Vec<String>| {
            let of_word = |word: &String| {
                let often = text.iter().filter(|it| *it == word).count() as f32;
                let having = texts.iter().filter(|text| text.contains(word)).count() as f32;
                let rarity = (1.0 + (texts.len() as f32 - having + 0.5) / (having + 0.5)).ln();
                let norm = 1.0 - B + B * text.len() as f32 / average;
                rarity * often * (K1 + 1.0) / (often + K1 * norm)
            };
            query.iter().map(of_word).sum::<f32>()
        };
        texts.iter().map(score).collect()
    }

    proptest::proptest! {
        #[test]
        fn it_ranks_as_the_formula_does(
            texts in proptest::collection::vec("([abc]d? ){1,12}", 1..12),
            query in "([abc]d? ){1,3}",
        ) {
            let mut builder = IndexBuilder::default();
            texts.iter().for_each(|text| builder.add([(1.0, text.as_str())]));
            let index = builder.finish();
            let split: Vec<Vec<String>> = texts.iter().map(|text| words(text).collect()).collect();
            let mut looked_for: Vec<String> = words(&query).collect();
            looked_for.sort();
            looked_for.dedup();
            let scores = by_hand(&split, &looked_for);
            let (found, all) = index.find(&query, 100);
            proptest::prop_assert_eq!(all, scores.iter().filter(|score| **score > 0.0).count());
            for pair in found.windows(2) {
                let (better, worse) = (scores[pair[0] as usize], scores[pair[1] as usize]);
                proptest::prop_assert!(better >= worse - 1e-4, "{} {}", better, worse);
            }
        }
    }
}
