//! Marks that nobody can make but the gateways over one store: HMAC (RFC 2104, with SHA-256).

use hmac::{Hmac, KeyInit, Mac};
use mcphub_core::secret::{DataKey, ExposeSecret};
use mcphub_core::{Error, Result};
use sha2::Sha256;

/// The gateway's keys: the first makes marks, all know them again.
pub(super) struct Seals(Vec<DataKey>);

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Seal<'k>(&'k DataKey);

/// What a mark is for: none passes for one of another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Binds what an elicitation is called to a session.
    Elicitation,
    /// Binds a URL to whom it was made for.
    Ticket,
    /// Binds a form to the browser that was shown it.
    Form,
    /// What a browser brings back.
    Flow,
    /// The state of a login (RFC 6749, 4.1.1).
    State,
    /// Its verifier (RFC 7636, 4.1).
    Verifier,
}

impl Seals {
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(super) fn new(mut keys: Vec<DataKey>) -> Result<Self> {
        if keys.is_empty() {
            keys.push(DataKey::new(Box::new(random()?)));
        }
        Ok(Self(keys))
    }

    /// The one that makes marks.
    pub(super) fn newest(&self) -> Result<Seal<'_>> {
        let none = || Error::internal("the gateway has no key for marks");
        self.all().next().ok_or_else(none)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Seal<'_>> {
        self.0.iter().map(Seal)
    }

    /// Whether it is a mark of one of them, or the beginning of one.
    pub(super) fn know(&self, purpose: Purpose, parts: &[&[u8]], mark: &[u8]) -> bool {
        self.all().any(|seal| seal.knows(purpose, parts, mark))
    }
}

impl Seal<'_> {
    pub(super) fn mark(self, purpose: Purpose, parts: &[&[u8]]) -> Result<[u8; 32]> {
        let mac = self.mac(purpose, parts);
        let mac = mac.ok_or_else(|| Error::internal("the gateway's key makes no marks"))?;
        Ok(mac.finalize().into_bytes().into())
    }

    /// Whether it is a mark of this one, or the beginning of one: at least 8 bytes.
    pub(super) fn knows(self, purpose: Purpose, parts: &[&[u8]], mark: &[u8]) -> bool {
        let mac = self.mac(purpose, parts).filter(|_| mark.len() >= 8);
        mac.is_some_and(|mac| mac.verify_truncated_left(mark).is_ok())
    }

    fn mac(self, purpose: Purpose, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        // Keys of any length are taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        mac.update(&[purpose as u8]);
        // Each with its length, so that no two rows of parts read the same.
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Some(mac)
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal("the operating system gives no randomness").caused_by(error)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals(keys: &[u8]) -> Seals {
        let keys = keys.iter().map(|key| DataKey::new(Box::new([*key; 32])));
        Seals::new(keys.collect()).unwrap()
    }

    #[test]
    fn a_mark_is_known_for_its_purpose_its_parts_and_its_keys() {
        let (old, both, other) = (seals(&[1]), seals(&[2, 1]), seals(&[]));
        let parts: &[&[u8]] = &[b"ab", b"c"];
        let mark = old.newest().unwrap().mark(Purpose::Flow, parts).unwrap();
        assert!(old.know(Purpose::Flow, parts, &mark) && both.know(Purpose::Flow, parts, &mark));
        assert!(both.know(Purpose::Flow, parts, &mark[..16]));
        assert!(!other.know(Purpose::Flow, parts, &mark));
        assert!(!old.know(Purpose::State, parts, &mark));
        assert!(!old.know(Purpose::Flow, &[b"a", b"bc"], &mark));
        assert!(!old.know(Purpose::Flow, parts, &mark[..7]));
        assert!(!old.know(Purpose::Flow, parts, &mark[1..]));
        let newer = both.newest().unwrap().mark(Purpose::Flow, parts).unwrap();
        assert!(!old.know(Purpose::Flow, parts, &newer));
    }
}
