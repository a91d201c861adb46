//! HTTP digest: answers to what the API asks, from a user and a password (RFC 7616).

use std::sync::{Mutex, PoisonError};

use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::digest::Digest as Hasher;
use sha2::{Sha256, Sha512_256};
use url::Url;

use crate::challenge::challenges;

/// The longest question that is read, in bytes; it comes back with every request.
const MAX_QUESTION: usize = 4096;
/// RFC 8187, 3.2.1: what an extended parameter holds as it is.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The answers of one user. What was asked last is answered ahead of the next request.
pub(crate) struct Digest {
    /// `user:password`.
    login: SecretString,
    session: Mutex<Option<Session>>,
}

struct Session {
    question: Question,
    /// Which requests were made with it so far.
    count: u32,
    cnonce: String,
}

/// RFC 7616, 3.3.
struct Question {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the server writes it.
    algorithm: Option<String>,
    hash: Hash,
    /// Whether the algorithm ends in `-sess`.
    session: bool,
    quality: Option<&'static str>,
    /// Whether the server wants the hash of the user in place of the name.
    userhash: bool,
    /// Whether the last answer was right and its question too old.
    stale: bool,
}

#[derive(Clone, Copy)]
enum Hash {
    Md5,
    Sha256,
    Sha512,
}

/// The value of `Authorization`, and the question that it answers.
pub(crate) struct Given {
    pub(crate) header: String,
    nonce: String,
}

impl Digest {
    pub(crate) fn new(login: SecretString) -> Self {
        Self {
            login,
            session: Mutex::new(None),
        }
    }

    /// What answers the last question in a request, if there was one.
    pub(crate) fn answer(&self, method: &str, url: &Url, body: Option<&[u8]>) -> Option<Given> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = session.as_mut()?;
        session.count = session.count.wrapping_add(1);
        let header = session.header(self.login.expose_secret(), method, url, body);
        let nonce = session.question.nonce.clone();
        Some(Given { header, nonce })
    }

    /// Takes the question of a refusal over. Whether the request is worth another try: it was made
    /// without an answer, or with one to an older question.
    pub(crate) fn ask(&self, header: &str, given: Option<&Given>) -> bool {
        let mut bytes = [0; 16];
        let (Some(question), Ok(())) = (Question::read(header), getrandom::fill(&mut bytes)) else {
            return false;
        };
        let again = question.stale || given.is_none_or(|given| given.nonce != question.nonce);
        self.set(Some(Session {
            question,
            count: 0,
            cnonce: hex(&bytes),
        }));
        again
    }

    /// Forgets the last question: its answer was wrong.
    pub(crate) fn forget(&self) {
        self.set(None);
    }

    fn set(&self, session: Option<Session>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

impl Question {
    /// The first question of a header that can be answered: servers put what they prefer first.
    fn read(header: &str) -> Option<Self> {
        if header.len() > MAX_QUESTION {
            return None;
        }
        challenges(header).into_iter().find_map(|challenge| {
            if challenge.scheme != "digest" {
                return None;
            }
            let value = |name: &str| challenge.parameters.get(name).cloned();
            let is_true = |name| value(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
            let algorithm = value("algorithm");
            let name = algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase();
            let (name, session) = match name.strip_suffix("-SESS") {
                Some(name) => (name, true),
                None => (name.as_str(), false),
            };
            let offered = value("qop").map(|text| text.to_ascii_lowercase());
            let offers = |wanted: &&str| {
                let mut offered = offered.as_deref().unwrap_or_default().split(',');
                offered.any(|offer| offer.trim() == *wanted)
            };
            let quality = ["auth", "auth-int"].into_iter().find(offers);
            if offered.is_some() && quality.is_none() {
                return None;
            }
            Some(Self {
                realm: value("realm")?,
                nonce: value("nonce")?,
                opaque: value("opaque"),
                hash: Hash::named(name)?,
                algorithm,
                session,
                quality,
                userhash: is_true("userhash"),
                stale: is_true("stale"),
            })
        })
    }
}

impl Session {
    /// RFC 7616, 3.4.
    fn header(&self, login: &str, method: &str, url: &Url, body: Option<&[u8]>) -> String {
        let asked = &self.question;
        let (nonce, cnonce) = (&asked.nonce, &self.cnonce);
        let count = format!("{:08x}", self.count);
        let hash = |text: String| asked.hash.hex(text.as_bytes());
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let uri = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut first = hash(format!("{user}:{}:{password}", asked.realm));
        if asked.session {
            first = hash(format!("{first}:{nonce}:{cnonce}"));
        }
        let mut second = format!("{method}:{uri}");
        if asked.quality == Some("auth-int") {
            let body = asked.hash.hex(body.unwrap_or_default());
            second = format!("{second}:{body}");
        }
        let second = hash(second);
        let response = match asked.quality {
            Some(quality) => hash(format!(
                "{first}:{nonce}:{count}:{cnonce}:{quality}:{second}"
            )),
            None => hash(format!("{first}:{nonce}:{second}")),
        };
        let name = if asked.userhash {
            let user = hash(format!("{user}:{}", asked.realm));
            format!("username=\"{user}\", userhash=true")
        } else if user.is_ascii() {
            format!("username={}", quoted(user))
        } else {
            // RFC 7616, 3.4, `username*`.
            format!("username*=UTF-8''{}", utf8_percent_encode(user, ATTRIBUTE))
        };
        let mut fields = vec![
            name,
            format!("realm={}", quoted(&asked.realm)),
            format!("nonce={}", quoted(nonce)),
            format!("uri={}", quoted(&uri)),
            format!("response=\"{response}\""),
        ];
        if let Some(algorithm) = &asked.algorithm {
            fields.push(format!("algorithm={algorithm}"));
        }
        if let Some(opaque) = &asked.opaque {
            fields.push(format!("opaque={}", quoted(opaque)));
        }
        if let Some(quality) = asked.quality {
            fields.push(format!("qop={quality}"));
            fields.push(format!("nc={count}"));
        }
        if asked.quality.is_some() || asked.session {
            fields.push(format!("cnonce=\"{cnonce}\""));
        }
        format!("Digest {}", fields.join(", "))
    }
}

impl Hash {
    fn named(name: &str) -> Option<Self> {
        match name {
            "MD5" => Some(Self::Md5),
            "SHA-256" => Some(Self::Sha256),
            "SHA-512-256" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn hex(self, bytes: &[u8]) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(bytes)),
            Self::Sha256 => hex(&Sha256::digest(bytes)),
            Self::Sha512 => hex(&Sha512_256::digest(bytes)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616, 3.9.1.
    #[test]
    fn the_examples_of_the_standard_come_out() {
        let url = Url::parse("http://www.example.org/dir/index.html").unwrap();
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let question = format!(
                "Basic realm=\"a, b\", Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let session = Session {
                question: Question::read(&question).unwrap(),
                count: 1,
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_owned(),
            };
            let header = session.header("Mufasa:Circle of Life", "GET", &url, None);
            let wanted = format!("response=\"{response}\"");
            assert!(header.contains(&wanted), "{header}");
        }
    }

    #[test]
    fn a_wrong_answer_is_not_given_again() {
        let digest = Digest::new("user:password".into());
        let url = Url::parse("http://api.test/").unwrap();
        let question = "Digest realm=r, nonce=n, qop=auth";
        assert!(digest.answer("GET", &url, None).is_none());
        assert!(digest.ask(question, None));
        let given = digest.answer("GET", &url, None).unwrap();
        assert!(given.header.contains("nc=00000001"), "{}", given.header);
        assert!(!digest.ask(question, Some(&given)));
        digest.forget();
        assert!(digest.answer("GET", &url, None).is_none());
        assert!(!digest.ask("Digest realm=r, nonce=n, qop=other", None));
        assert!(!digest.ask("Basic realm=r", None));
    }
}
