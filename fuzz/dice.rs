//! Inputs that are mutated from seeds, the same ones each time: for tests that run the entry points
//! of the fuzz targets with any compiler.

use std::path::Path;

/// Inputs for each entry point; `MCPHUB_FUZZ_ROUNDS` asks for another number of them.
const ROUNDS: usize = 120;

/// Words that make one thing into another.
const WORDS: [&[u8]; 28] = [
    b"$ref",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"\n",
    b"null",
    b"1e999",
    b"-",
    b"&a",
    b"*a",
    b"<<: ",
    b"openapi: 3.2.0",
    b"swagger: '2.0'",
    b"type: object",
    b"allOf",
    b"%2F..",
    b"\xff",
    b"\0",
    "\u{feff}".as_bytes(),
    b"{{",
    b"'",
    b"\r\n",
    b"data: ",
    b"\"id\":2",
    b"jsonrpc",
];

/// A generator of numbers that is the same everywhere (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % sides.max(1)
    }

    /// A text with some of it changed, taken out, doubled or replaced by a word.
    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut text = seed.to_vec();
        for _ in 0..=self.roll(6) {
            let at = self.roll(text.len() + 1).min(text.len());
            let end = (at + 1 + self.roll(40)).min(text.len());
            match self.roll(5) {
                0 => text.truncate(at),
                1 => drop(text.drain(at..end)),
                2 => {
                    let piece = text[at..end].to_vec();
                    let to = self.roll(text.len() + 1).min(text.len());
                    text.splice(to..to, piece);
                }
                3 => {
                    if let Some(byte) = text.get_mut(at) {
                        *byte ^= 1 << self.roll(8);
                    }
                }
                _ => drop(text.splice(at..end.min(at + 4), WORDS[self.roll(WORDS.len())].to_vec())),
            }
        }
        text
    }

    /// So many bytes.
    #[allow(dead_code, reason = "one of the tests needs it")]
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| u8::try_from(self.roll(256)).unwrap_or_default())
            .collect()
    }
}

/// The inputs that are kept for a fuzz target: good ones, and those that are wrong in one place.
///
/// # Panics
/// Where there is none.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let folder = folder.join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{error}")).path())
        .collect();
    // The same inputs each time.
    files.sort();
    assert!(!files.is_empty(), "{folder:?} has no seeds");
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap_or_else(|error| panic!("{file:?}: {error}")))
        .collect()
}

/// Feeds an entry point with seeds as they are, and with mutations of them.
pub fn run<S: AsRef<[u8]>>(entry: fn(&[u8]), seeds: &[S]) {
    let rounds = std::env::var("MCPHUB_FUZZ_ROUNDS").ok();
    let rounds = rounds
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let feed = |name: &str, round: usize, input: &[u8]| {
        let outcome = std::panic::catch_unwind(|| entry(input));
        let shown = String::from_utf8_lossy(input);
        assert!(outcome.is_ok(), "{name} {round}:\n{shown}");
    };
    for (number, seed) in seeds.iter().enumerate() {
        feed("seed", number, seed.as_ref());
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let input = dice.mutate(seeds[round % seeds.len()].as_ref());
        feed("round", round, &input);
    }
}
