//! The rest of an answer that is too long for one result.
//!
//! Nothing is kept for it. A piece of an answer names the place where the next one begins; the same
//! call with that place makes the request again, and passes over what was given before, held
//! against its digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::request::{ArgumentError, Result, json};
use crate::stream::Chunks;

const BEGINNING: &str = "0";
const DIGEST: usize = 16;

/// Where an answer begins that a call asks for.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    /// The tool's argument for it.
    pub(crate) argument: String,
    /// How many bytes were given before.
    pub(crate) offset: u64,
    /// The beginning of the SHA-256 of these.
    digest: Vec<u8>,
}

/// What was read of an answer.
pub(crate) struct Piece {
    pub(crate) body: Vec<u8>,
    /// One line for the model where it is not all of it.
    pub(crate) note: Option<String>,
}

impl Rest {
    /// The place that an argument has; the beginning without it.
    pub(crate) fn asked<V: Serialize>(argument: &str, place: Option<&V>) -> Result<Self> {
        let place = json(argument, &place)?;
        let read = match &place {
            Value::Null => Some((0, Vec::new())),
            Value::String(text) if text == BEGINNING => Some((0, Vec::new())),
            Value::String(text) => read(text),
            _ => None,
        };
        let (offset, digest) = read.ok_or_else(|| {
            let told = "is none that an answer named; ask anew without it, from the beginning";
            ArgumentError::new(argument, told)
        })?;
        Ok(Self {
            argument: argument.to_owned(),
            offset,
            digest,
        })
    }

    /// The bytes from the place on, at most so many. Nothing where the answer is not what it was.
    pub(crate) async fn read(
        &self,
        chunks: &mut Chunks<'_>,
        most: usize,
        text: bool,
    ) -> reqwest::Result<Option<Piece>> {
        let length = chunks.length();
        let mut before = Sha256::new();
        let (mut left, mut body) = (self.offset, Vec::new());
        while body.len() <= most
            && let Some(chunk) = chunks.next().await?
        {
            let passed = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            let (passed, rest) = chunk.split_at(passed);
            before.update(passed);
            left -= passed.len() as u64;
            body.extend_from_slice(rest);
        }
        if left > 0 || (self.offset > 0 && digest(&before) != self.digest) {
            return Ok(None);
        }
        let start = self.offset;
        if body.len() <= most {
            let end = start + body.len() as u64;
            let note = format!("[bytes {start} to {end} of {end} are given: this is the end]");
            let note = (start > 0).then_some(note);
            return Ok(Some(Piece { body, note }));
        }
        body.truncate(match text {
            true => whole_characters(&body, most),
            false => most,
        });
        before.update(&body);
        let end = start + body.len() as u64;
        let all = length.map_or_else(|| "more".to_owned(), |length| length.to_string());
        let place = URL_SAFE_NO_PAD.encode(digest(&before));
        let argument = &self.argument;
        let note = format!(
            "[cut: bytes {start} to {end} of {all} are given; for the rest call again with the same arguments and {argument}={end}.{place}]"
        );
        let note = Some(note);
        Ok(Some(Piece { body, note }))
    }
}

fn read(place: &str) -> Option<(u64, Vec<u8>)> {
    let (offset, digest) = place.split_once('.')?;
    let digits = (1..=18).contains(&offset.len()) && offset.bytes().all(|b| b.is_ascii_digit());
    let digest = URL_SAFE_NO_PAD.decode(digest).ok()?;
    (digits && digest.len() == DIGEST).then_some((offset.parse().ok()?, digest))
}

fn digest(hash: &Sha256) -> Vec<u8> {
    let digest = hash.clone().finalize();
    digest.iter().take(DIGEST).copied().collect()
}

/// How many of the first bytes a text has without a character that is cut at their end.
fn whole_characters(text: &[u8], most: usize) -> usize {
    // UTF-8 goes on in bytes that begin with the bits 10, at most three of them.
    let begins = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 != 0x80);
    let mut ends = (most.saturating_sub(3)..=most).rev();
    ends.find(begins).unwrap_or(most)
}
