//! The rest of an answer that is too long for one result.
//!
//! Nothing is kept for it. A piece of an answer names the place where the next one begins; the same
//! call with that place in the argument `rest` makes the request again, and passes over what was
//! given before: by a range request where the API has a strong validator (RFC 9110, 13.1.5, 14.2),
//! else by reading it again, held against its digest. So a place holds for as long as the answer
//! stays as it is, on every node, for answers of any size.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use mcphub_core::call::{Arguments, Cut, HttpRequest};
use mcphub_core::tool::Tool;
use mcphub_core::{Error, Result};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, HeaderMap};
use sha2::{Digest, Sha256};
use url::Url;

use super::answer::Answer;
use crate::upstream::http::host;

/// The argument that asks for it, where the tool's schema has none for it: it would cost tokens in
/// every tool, for the few calls that need it.
const ARGUMENT: &str = "rest";

/// The place where an answer begins, as JSON.
const BEGINNING: &str = "\"0\"";

/// The longest validator that is remembered, in bytes.
const MAX_TAG: usize = 128;

/// How many bytes are hashed before others have their turn.
const HASHED_AT_ONCE: usize = 256 * 1024;

/// Where an answer goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// How many bytes were given before.
    offset: u64,
    same: Same,
}

/// By what the answer is known to be the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Same {
    /// The beginning of the SHA-256 of what was given before.
    Digest([u8; 16]),
    /// Its strong validator, which the API itself compares.
    Tag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match &self.same {
            Same::Digest(digest) => ('.', &digest[..]),
            Same::Tag(tag) => ('~', tag.as_bytes()),
        };
        write!(f, "{}{kind}{}", self.offset, URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let at = text.find(['.', '~']).ok_or(())?;
        let (offset, rest) = text.split_at(at);
        let bytes = rest.get(1..).filter(|bytes| bytes.len() <= 2 * MAX_TAG);
        let bytes = URL_SAFE_NO_PAD.decode(bytes.ok_or(())?).map_err(|_| ())?;
        let same = if rest.starts_with('.') {
            Same::Digest(bytes.try_into().map_err(|_| ())?)
        } else {
            let tag = String::from_utf8(bytes).ok().filter(|tag| is_strong(tag));
            Same::Tag(tag.ok_or(())?)
        };
        let offset = offset.parse().map_err(|_| ())?;
        Ok(Self { offset, same })
    }
}

impl Place {
    /// The place that a call asks for.
    ///
    /// # Errors
    /// `InvalidInput` for what is none, and for tools that have no rest.
    pub(super) fn asked(tool: &Tool, arguments: &Arguments<'_>) -> Result<Option<Self>> {
        let argument = argument(tool);
        let raw = argument.and_then(|name| arguments.get(name));
        let Some(raw) = raw.filter(|raw| !matches!(raw.get(), "null" | BEGINNING)) else {
            return Ok(None);
        };
        let invalid =
            |message: &str| Error::invalid(message).with("argument", argument.unwrap_or(ARGUMENT));
        if !tool.is_repeatable() {
            return Err(invalid(
                "asking again could change something, so that answers of this tool have no rest",
            ));
        }
        let text: Option<String> = serde_json::from_str(raw.get()).ok();
        let place = text.and_then(|text| text.parse().ok());
        let place = place.ok_or_else(|| {
            invalid("is none that an answer named; ask anew without it, from the beginning")
        })?;
        Ok(Some(place))
    }

    /// Asks for what begins here, where the API can tell that.
    pub(super) fn ask(&self, request: &mut HttpRequest) {
        if let Same::Tag(tag) = &self.same {
            let range = format!("bytes={}-", self.offset);
            request.headers.extend([
                ("Range".into(), range),
                ("If-Range".into(), tag.clone()),
                // Ranges are those of the bytes on the wire.
                ("Accept-Encoding".into(), "identity".to_owned()),
            ]);
        }
    }
}

/// Whether a call may ask for a rest; told without a look at the tool's schema.
pub(super) fn may_be_asked(tool: &Tool, arguments: &Arguments<'_>) -> bool {
    let argument = tool.binding.answer.rest.as_deref().unwrap_or(ARGUMENT);
    arguments.get(argument).is_some()
}

/// The argument of the tool that asks for the rest: that of its schema, else one that is in none,
/// unless the API has an argument of that name.
pub(super) fn argument(tool: &Tool) -> Option<&str> {
    let named = tool.binding.answer.rest.as_deref();
    named.or_else(|| {
        let mut properties = tool.input.properties();
        let is_own = properties.any(|(name, _)| name == ARGUMENT);
        (!is_own).then_some(ARGUMENT)
    })
}

/// A body from some place on.
pub(super) struct Source {
    answer: Answer,
    /// Read already.
    ahead: Bytes,
    /// How many bytes were given before.
    offset: u64,
    /// Of these; none where there are none, or they were not read.
    before: Option<Box<Sha256>>,
    /// The validator by which ranges can be asked for.
    tag: Option<String>,
    /// How many bytes are left, where the API says.
    left: Option<u64>,
}

impl Source {
    /// The whole body of an answer.
    pub(super) fn of(answer: Answer) -> Self {
        Self {
            tag: tag(&answer),
            left: answer.stated(),
            answer,
            ahead: Bytes::new(),
            offset: 0,
            before: None,
        }
    }

    /// Goes to a place in the body of a successful answer that an argument asked for. The error is
    /// for the model.
    pub(super) async fn seek(
        &mut self,
        place: &Place,
        argument: &str,
        url: &Url,
    ) -> std::result::Result<(), String> {
        if !self.answer.status.is_success() {
            return Ok(());
        }
        let found = self.pass(place).await.map_err(|why| {
            format!(
                "The answer of the API at {} broke off before its rest: {why}",
                host(url)
            )
        })?;
        if !found {
            return Err(format!(
                "The answer of the API at {} is not what it was before, so that it has no rest; ask anew without `{argument}`",
                host(url)
            ));
        }
        Ok(())
    }

    /// Passes over what was given before. Whether the answer is the same.
    async fn pass(&mut self, place: &Place) -> std::result::Result<bool, String> {
        let mut left = place.offset;
        self.offset = left;
        let digest = match &place.same {
            Same::Digest(digest) => digest,
            Same::Tag(tag) => {
                self.tag = Some(tag.clone());
                return Ok(is_range_from(&self.answer, left));
            }
        };
        self.left = match self.left.map(|all| all.checked_sub(left)) {
            Some(None) => return Ok(false),
            known => known.flatten(),
        };
        let mut before = Sha256::new();
        while left > 0 {
            let Some(mut chunk) = self.answer.chunk().await? else {
                return Ok(false);
            };
            let passed = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            let passed = chunk.split_to(passed);
            before.update(&passed);
            left -= passed.len() as u64;
            self.ahead = chunk;
        }
        let same = first_bytes(&before) == *digest;
        self.before = Some(Box::new(before));
        Ok(same)
    }

    /// The next bytes. The error is what is wrong, in a few words.
    pub(super) async fn chunk(&mut self) -> std::result::Result<Option<Bytes>, String> {
        if self.ahead.is_empty() {
            self.answer.chunk().await
        } else {
            Ok(Some(std::mem::take(&mut self.ahead)))
        }
    }

    /// How many bytes there are from the place on, where the API says.
    pub(super) fn stated(&self) -> Option<usize> {
        let left = self.left?;
        Some(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// A piece of an answer, from the place on: what of it can be read by itself, and what to say
    /// of it. `more` says whether something comes after it.
    pub(super) async fn piece(
        self,
        mut body: Bytes,
        more: bool,
        text: bool,
        tool: Option<&Tool>,
    ) -> (Bytes, Cut) {
        if more && text {
            body.truncate(whole_characters(&body));
        }
        let end = self.offset.saturating_add(body.len() as u64);
        let all = match self.left {
            Some(left) if more => self.offset.saturating_add(left).to_string(),
            _ if more => "more".to_owned(),
            _ => end.to_string(),
        };
        let given = format!("bytes {} to {end} of {all} are given", self.offset);
        let note = if more {
            format!("[cut: {given}; {}]", self.how(&body, tool).await)
        } else {
            format!("[{given}: this is the end]")
        };
        let in_pieces = true;
        (body, Cut { note, in_pieces })
    }

    /// How to get what comes after these bytes.
    pub(super) async fn how(self, body: &[u8], tool: Option<&Tool>) -> String {
        let argument = tool.and_then(argument).filter(|_| !body.is_empty());
        let (Some(tool), Some(argument)) = (tool, argument) else {
            return "ask for less".to_owned();
        };
        if !tool.is_repeatable() {
            return "asking again could change something, so that there is no way to the rest"
                .to_owned();
        }
        let offset = self.offset.saturating_add(body.len() as u64);
        let same = match (self.tag, self.before) {
            (Some(tag), _) => Same::Tag(tag),
            (None, before) => {
                let mut before = before.unwrap_or_default();
                for bytes in body.chunks(HASHED_AT_ONCE) {
                    before.update(bytes);
                    tokio::task::yield_now().await;
                }
                Same::Digest(first_bytes(&before))
            }
        };
        let place = Place { offset, same };
        format!("for the rest call again with the same arguments and {argument}={place}")
    }
}

fn first_bytes(hash: &Sha256) -> [u8; 16] {
    let mut first = [0; 16];
    first
        .iter_mut()
        .zip(hash.clone().finalize())
        .for_each(|(first, byte)| *first = byte);
    first
}

/// The validator of an answer whose bytes can be asked for by range: those on the wire are those of
/// the body, or its length would not be known.
fn tag(answer: &Answer) -> Option<String> {
    answer.stated()?;
    let headers = &answer.headers;
    let ranges = text(headers, &ACCEPT_RANGES)?;
    let tag = text(headers, &ETAG).filter(|tag| is_strong(tag))?;
    let bytes = ranges.split(',').any(|unit| unit.trim() == "bytes");
    (bytes && answer.status == StatusCode::OK).then(|| tag.to_owned())
}

/// Whether a validator is a strong one (RFC 9110, 8.8.3).
fn is_strong(tag: &str) -> bool {
    let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
    tag.len() <= MAX_TAG && opaque.is_some_and(|opaque| opaque.bytes().all(fits))
}

/// Whether an answer is what was asked for by range (RFC 9110, 14.4).
fn is_range_from(answer: &Answer, offset: u64) -> bool {
    let range = text(&answer.headers, &CONTENT_RANGE);
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
    answer.status == StatusCode::PARTIAL_CONTENT
        && first.and_then(|first| first.parse().ok()) == Some(offset)
}

fn text<'h>(headers: &'h HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// How many bytes a text has without a character that is cut at its end.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(4);
    match bytes.iter().rposition(|byte| byte & 0xC0 != 0x80) {
        Some(at) if at >= tail => match std::str::from_utf8(bytes.get(at..).unwrap_or_default()) {
            Err(error) if error.error_len().is_none() => at,
            _ => bytes.len(),
        },
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for same in [Same::Digest([7; 16]), Same::Tag("\"v1\"".to_owned())] {
            let place = Place {
                offset: u64::MAX,
                same,
            };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        let long = format!(
            "1~{}",
            URL_SAFE_NO_PAD.encode(format!("\"{}\"", "x".repeat(127)))
        );
        let split = format!("1~{}", URL_SAFE_NO_PAD.encode("\"a\"\r\nX: \"b\""));
        for text in [
            "",
            "1",
            "1.",
            "1.AAAA",
            "-1.",
            "x.AAAAAAAAAAAAAAAAAAAAAA",
            "1~",
            "1~Vy8i",
            &long,
            &split,
        ] {
            assert_eq!(text.parse::<Place>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_character_is_not_cut() {
        for (bytes, whole) in [
            (&b"abc"[..], 3),
            ("aü".as_bytes(), 3),
            (&"aü".as_bytes()[..2], 1),
            (&"a€".as_bytes()[..3], 1),
            (&"🦀".as_bytes()[..3], 0),
            (b"a\xff", 2),
            (b"\x80\x80\x80\x80\x80", 5),
            (b"", 0),
        ] {
            assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_place_is_too_strange(text in "[0-9]{0,3}[.~][A-Za-z0-9_=-]{0,30}") {
            let _ = text.parse::<Place>();
        }
    }
}
