//! HTTP digest: answers to what an API asks, from a user and a password (RFC 7616).
//!
//! The libraries for it (`digest_auth`, `http-auth`) compute with hashes and randomness of versions
//! before those that are here; `http-auth` reads the questions, which is the intricate half.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use http_auth::{ChallengeParser, ChallengeRef};
use mcphub_core::call::HttpRequest;
use mcphub_core::secret::{ExposeSecret, SecretString};
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::digest::Digest as Hasher;
use sha2::{Sha256, Sha512_256};
use url::Url;

/// The longest challenge that is read, in bytes; they come back with every request.
const MAX_CHALLENGE: usize = 4_096;
/// RFC 8187, 3.2.1: what an extended parameter holds as it is.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The answers of one security scheme. What was asked last is answered ahead of the next request.
#[derive(Default)]
pub(super) struct Digest(Mutex<Option<Session>>);

struct Session {
    question: Question,
    /// Which requests were made with it so far (RFC 7616, 3.4, `nc`).
    count: u32,
    /// Ours (`cnonce`).
    nonce: String,
}

/// RFC 7616, 3.3.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the server writes it.
    algorithm: Option<String>,
    hash: Hash,
    /// `…-sess`.
    session: bool,
    quality: Option<Quality>,
    /// Whether the server wants the hash of the user in place of the name.
    userhash: bool,
    /// Whether the last answer was right and its question too old.
    stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quality {
    Auth,
    AuthInt,
}

impl Digest {
    /// Answers the last question in a request, if there was one, and says to which.
    pub(super) fn answer(
        &self,
        request: &mut HttpRequest,
        secret: &SecretString,
    ) -> Option<String> {
        let mut session = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = session.as_mut()?;
        session.count = session.count.wrapping_add(1);
        let header = session.header(request, secret.expose_secret());
        request.headers.retain(|(name, _)| name != "authorization");
        request.headers.push(("authorization".to_owned(), header));
        Some(session.question.nonce.clone())
    }

    /// Takes the question of a refusal over. Whether the request is worth another try: it was made
    /// without an answer, or with one to an older question (RFC 7616, 3.3, `stale`; many servers do
    /// not say so).
    pub(super) fn ask(&self, challenges: &[String], answered: Option<&str>) -> bool {
        let found = challenges.iter().find_map(|value| Question::read(value));
        let (Some(question), Some(nonce)) = (found, random()) else {
            return false;
        };
        let again = question.stale || answered.is_none_or(|nonce| nonce != question.nonce);
        self.set(Some(Session {
            question,
            count: 0,
            nonce,
        }));
        again
    }

    /// Forgets the last question: its answer was wrong.
    pub(super) fn forget(&self) {
        self.set(None);
    }

    fn set(&self, session: Option<Session>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

impl Question {
    /// The first question of a header that can be answered: servers put what they prefer first.
    fn read(value: &str) -> Option<Self> {
        if value.len() > MAX_CHALLENGE {
            return None;
        }
        let mut challenges = ChallengeParser::new(value).map_while(Result::ok);
        challenges.find_map(|challenge| Self::of(&challenge))
    }

    fn of(challenge: &ChallengeRef<'_>) -> Option<Self> {
        if !challenge.scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let value = |name: &str| {
            let mut params = challenge.params.iter();
            let found = params.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let is_true = |name| value(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let algorithm = value("algorithm");
        let name = algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase();
        let (name, session) = match name.strip_suffix("-SESS") {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let hash = match name {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            "SHA-512-256" => Hash::Sha512,
            _ => return None,
        };
        let offered = value("qop");
        let offers = |wanted: &str| {
            let mut offered = offered.as_deref().unwrap_or_default().split(',');
            offered.any(|offer| offer.trim().eq_ignore_ascii_case(wanted))
        };
        let quality = match &offered {
            // RFC 2069, which RFC 7616 leaves possible.
            None => None,
            Some(_) if offers("auth") => Some(Quality::Auth),
            Some(_) if offers("auth-int") => Some(Quality::AuthInt),
            Some(_) => return None,
        };
        Some(Self {
            realm: value("realm")?,
            nonce: value("nonce")?,
            opaque: value("opaque"),
            algorithm,
            hash,
            session,
            quality,
            userhash: is_true("userhash"),
            stale: is_true("stale"),
        })
    }
}

impl Session {
    /// RFC 7616, 3.4.
    fn header(&self, request: &HttpRequest, secret: &str) -> String {
        let Self {
            question: asked,
            count,
            nonce,
        } = self;
        let hash = |text: &str| asked.hash.hex(text.as_bytes());
        let (user, password) = secret.split_once(':').unwrap_or((secret, ""));
        let target = target(&request.url);
        let mut first = hash(&format!("{user}:{}:{password}", asked.realm));
        if asked.session {
            first = hash(&format!("{first}:{}:{nonce}", asked.nonce));
        }
        let mut second = format!("{}:{target}", request.method.as_str());
        if asked.quality == Some(Quality::AuthInt) {
            let body = request.body.as_ref().map(|body| body.bytes.as_ref());
            second = format!("{second}:{}", asked.hash.hex(body.unwrap_or_default()));
        }
        let second = hash(&second);
        let response = match asked.quality {
            Some(quality) => hash(&format!(
                "{first}:{}:{count:08x}:{nonce}:{}:{second}",
                asked.nonce,
                quality.as_str()
            )),
            None => hash(&format!("{first}:{}:{second}", asked.nonce)),
        };
        let mut out = String::from("Digest ");
        if asked.userhash {
            let user = hash(&format!("{user}:{}", asked.realm));
            let _ = write!(out, "username=\"{user}\", userhash=true");
        } else if user.is_ascii() {
            let _ = write!(out, "username=\"{}\"", quoted(user));
        } else {
            // RFC 7616, 3.4, `username*`.
            let user = utf8_percent_encode(user, ATTRIBUTE);
            let _ = write!(out, "username*=UTF-8''{user}");
        }
        let _ = write!(
            out,
            ", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\"",
            quoted(&asked.realm),
            quoted(&asked.nonce),
            quoted(&target),
        );
        if let Some(algorithm) = &asked.algorithm {
            let _ = write!(out, ", algorithm={algorithm}");
        }
        if let Some(opaque) = &asked.opaque {
            let _ = write!(out, ", opaque=\"{}\"", quoted(opaque));
        }
        if let Some(quality) = asked.quality {
            let quality = quality.as_str();
            let _ = write!(out, ", qop={quality}, nc={count:08x}, cnonce=\"{nonce}\"");
        } else if asked.session {
            let _ = write!(out, ", cnonce=\"{nonce}\"");
        }
        out
    }
}

impl Hash {
    fn hex(self, bytes: &[u8]) -> String {
        let digest = match self {
            Self::Md5 => Md5::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512_256::digest(bytes).to_vec(),
        };
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Quality {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// The request target as it goes on the wire (RFC 9112, 3.2.1).
fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// 128 random bits; `None` when the operating system gives none, and then nothing is answered.
fn random() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use mcphub_core::call::Arguments;
    use mcphub_core::tool::HttpBinding;
    use serde_json::json;

    use super::*;

    const NONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn answer(secret: &str, question: &str, cnonce: &str, target: &str) -> String {
        let binding: HttpBinding = serde_json::from_value(json!({
            "method": "GET", "path": target, "accept": "*/*",
        }))
        .unwrap();
        let base = Url::parse("http://www.example.org").unwrap();
        let request = binding.request(&base, &Arguments::default()).unwrap();
        let session = Session {
            question: Question::read(question).unwrap(),
            count: 1,
            nonce: cnonce.to_owned(),
        };
        session.header(&request, secret)
    }

    /// RFC 7616, 3.9.1.
    #[test]
    fn the_examples_of_the_standard_come_out() {
        let question = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let header = answer(
                "Mufasa:Circle of Life",
                &question(algorithm),
                NONCE,
                "/dir/index.html",
            );
            assert!(
                header.contains(&format!("response=\"{response}\"")),
                "{header}"
            );
            assert!(
                header.starts_with("Digest username=\"Mufasa\", realm=\"http-auth@example.org\"")
                    && header.contains("nc=00000001")
                    && header.contains("qop=auth,")
                    && header.contains("uri=\"/dir/index.html\""),
                "{header}"
            );
        }
    }

    /// RFC 2069, 2.4, as corrected by its erratum.
    #[test]
    fn a_question_without_quality_is_answered_as_before_it() {
        let header = answer(
            "Mufasa:CircleOfLife",
            "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
            NONCE,
            "/dir/index.html",
        );
        assert!(
            header.contains("response=\"1949323746fe6a43ef61f9606e7febea\""),
            "{header}"
        );
        assert!(
            !header.contains("qop") && !header.contains("cnonce"),
            "{header}"
        );
    }

    /// RFC 7616, 3.9.2, whose hashes are those of SHA-512/256 although an erratum doubts them: what
    /// counts here is the form.
    #[test]
    fn users_are_hashed_or_written_in_utf_8() {
        let question = |more: &str| {
            format!("Digest realm=\"api\", nonce=\"n\", qop=\"auth\", charset=UTF-8{more}")
        };
        let header = answer(
            "J\u{e4}s\u{f8}n:p",
            &question(", userhash=true, algorithm=SHA-512-256"),
            NONCE,
            "/",
        );
        assert!(
            header.contains("userhash=true") && !header.contains("username*"),
            "{header}"
        );
        let header = answer("J\u{e4}s\u{f8}n:p", &question(""), NONCE, "/");
        assert!(
            header.contains("username*=UTF-8''J%C3%A4s%C3%B8n"),
            "{header}"
        );
        let header = answer("a\"b:p", &question(""), NONCE, "/?q=1");
        assert!(
            header.contains(r#"username="a\"b""#) && header.contains("uri=\"/?q=1\""),
            "{header}"
        );
    }

    #[test]
    fn a_question_is_found_among_others_and_an_unknown_one_is_none() {
        let read = |value: &str| Question::read(value);
        let found = read("Basic realm=\"x\", Digest realm=\"y\", nonce=\"n\", algorithm=SHA-256-sess, qop=\"auth-int\"").unwrap();
        assert_eq!(
            (found.hash, found.session, found.quality),
            (Hash::Sha256, true, Some(Quality::AuthInt))
        );
        // The first that can be answered.
        let found = read(
            "Digest realm=\"y\", nonce=\"1\", algorithm=SHA-1024, Digest realm=\"y\", nonce=\"2\"",
        )
        .unwrap();
        assert_eq!(found.nonce, "2");
        for none in [
            "",
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest nonce=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", qop=\"later\"",
            "Digest \"",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
        assert_eq!(
            read(&format!(
                "Digest realm=\"{}\", nonce=\"n\"",
                "x".repeat(5_000)
            )),
            None
        );
    }
}
