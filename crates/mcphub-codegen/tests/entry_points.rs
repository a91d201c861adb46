//! The entry points of the fuzz targets, on seeds that are mutated from a fixed start: the same
//! inputs each time, with any compiler. `MCPHUB_FUZZ_ROUNDS` asks for more of them.

#[path = "../../../fuzz/entry_points.rs"]
mod entry_points;

use entry_points::SEEDS;

/// Inputs for each entry point.
const ROUNDS: usize = 120;

/// Words that make one thing into another.
const WORDS: [&[u8]; 24] = [
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
];

/// A generator of numbers that is the same everywhere (xorshift64*).
struct Dice(u64);

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

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| u8::try_from(self.roll(256)).unwrap_or_default())
            .collect()
    }
}

/// Feeds an entry point with mutations of seeds.
fn run(entry: fn(&[u8]), seeds: &[&[u8]]) {
    let rounds = std::env::var("MCPHUB_FUZZ_ROUNDS").ok();
    let rounds = rounds
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let input = dice.mutate(seeds[round % seeds.len()]);
        let shown = String::from_utf8_lossy(&input).into_owned();
        let outcome = std::panic::catch_unwind(|| entry(&input));
        assert!(outcome.is_ok(), "round {round}:\n{shown}");
    }
}

#[test]
fn documents() {
    run(entry_points::document, &SEEDS);
}

#[test]
fn edited_documents() {
    let mut dice = Dice(1);
    let seeds: Vec<_> = (0..64).map(|_| dice.bytes(33)).collect();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    for seed in &seeds {
        entry_points::edited_document(seed);
    }
    run(entry_points::edited_document, &seeds);
}

#[test]
fn overlays() {
    run(
        entry_points::overlay,
        &[
            br#"{"overlay": "1.1.0", "info": {"title": "x", "version": "1"}, "actions": [{"target": "$.paths['/books'].get", "update": {"summary": "x", "tags": ["a"]}}, {"target": "$..parameters[?@.in == 'query']", "remove": true}]}"#,
            b"overlay: 1.2.0\ninfo: {title: x, version: '1'}\nactions:\n- target: $.components.schemas.*\n  copy: $.components.schemas.Book\n- target: $.info\n  update: {title: y}\n",
        ],
    );
}

#[test]
fn mock_requests() {
    run(
        entry_points::mock_request,
        &[
            b"GET\n/books\nlimit=2&sort=title\nAccept: application/json\n",
            b"POST\n/orders\n\nContent-Type: application/json\nX-Api-Key: x\n\n{\"lines\": [{\"isbn\": \"9780141439518\", \"quantity\": 1}]}",
            b"POST\n/pictures\n\nContent-Type: multipart/form-data; boundary=x\n\n--x\nContent-Disposition: form-data; name=\"a\"\n\n1\n--x--",
            b"PUT\n/settings\na=1&a=%ff&b[c]=d\nCookie: a=b; c\nPrefer: code=404\n\na=1&b=2",
        ],
    );
}

#[test]
fn recordings() {
    run(
        entry_points::recording,
        &[
            br#"{"log": {"version": "1.2", "entries": [{"request": {"method": "POST", "url": "https://a.test/v1/books?token=abcdefgh&x=1", "headers": [{"name": "Authorization", "value": "Bearer abcdefgh"}], "postData": {"mimeType": "application/json", "text": "{\"password\": \"abcdefgh\", \"a\": [[1]]}"}}, "response": {"status": 200, "headers": [], "content": {"mimeType": "image/png", "text": "iVBORw0KGgo=", "encoding": "base64"}}}]}}"#,
        ],
    );
}

#[test]
fn arguments() {
    run(
        entry_points::arguments,
        &[
            br#"{"isbn": "../../admin", "limit": 1e400, "fields": ["a,b", "c%2Fd"], "filter": {"a": {"b": [1, null]}}, "body": "AAEC", "id": "", "review_id": 18446744073709551616}"#,
            br#"{"title": "a\r\nX-Evil: 1", "tags": [true, {}], "X-Trace": "\u0000", "user": "a;b=c", "": 1}"#,
        ],
    );
}
