//! Marks that bind an id of a server to whom it was given: who learns the id of another's task, or
//! the state of another's call, can do nothing with it.
//!
//! `MARK.OWN`: 128 bits of an HMAC (RFC 2104, with SHA-256) over the kind, the server, the principal
//! and the server's own id, in base64url, and that id. Nothing is kept for it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use mcphub_core::secret::{DataKey, ExposeSecret};
use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, Result};
use sha2::Sha256;

/// Bytes of a mark.
const LENGTH: usize = 16;

/// What stands between a mark and the id.
const END: char = '.';

/// The keys of marks: the first makes them, all know them again.
pub(crate) struct Marks(Vec<DataKey>);

/// What has a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// The id of a task.
    Task,
    /// What a server of 2026-07-28 wants to be given with a retry.
    State,
}

/// The marks of one server's ids for one principal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marker<'a> {
    marks: &'a Marks,
    server: &'a ServerName,
    /// Without it: whoever is not asked who they are.
    principal: Option<SessionKey>,
}

impl Marks {
    /// Marks under these keys; under a random one where there is none, which no other gateway has.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn new(mut keys: Vec<DataKey>) -> Result<Self> {
        if keys.is_empty() {
            let mut key = Box::new([0; 32]);
            getrandom::fill(key.as_mut_slice()).map_err(|error| {
                Error::internal("the system gives no random numbers")
                    .caused_by(error)
                    .during("gateway::marks")
            })?;
            keys.push(DataKey::new(key));
        }
        Ok(Self(keys))
    }

    pub(super) fn of<'a>(
        &'a self,
        server: &'a ServerName,
        principal: Option<SessionKey>,
    ) -> Marker<'a> {
        Marker {
            marks: self,
            server,
            principal,
        }
    }
}

impl Marker<'_> {
    /// What the principal is given for an id of the server.
    pub(super) fn public(&self, kind: Marked, own: &str) -> String {
        let mac = self
            .marks
            .0
            .first()
            .and_then(|key| self.mac(key, kind, own));
        let mark = mac.map(|mac| mac.finalize().into_bytes());
        let mark = mark.as_deref().and_then(|mark| mark.get(..LENGTH));
        let mark = URL_SAFE_NO_PAD.encode(mark.unwrap_or_default());
        format!("{mark}{END}{own}")
    }

    /// The server's id in what the principal was given; `None` for what was given to another, or to
    /// nobody.
    pub(super) fn own<'t>(&self, kind: Marked, public: &'t str) -> Option<&'t str> {
        let (mark, own) = public.split_once(END)?;
        let mark = URL_SAFE_NO_PAD.decode(mark).ok()?;
        if mark.len() != LENGTH {
            return None;
        }
        let mut macs = self
            .marks
            .0
            .iter()
            .filter_map(|key| self.mac(key, kind, own));
        macs.any(|mac| mac.verify_truncated_left(&mark).is_ok())
            .then_some(own)
    }

    fn mac(&self, key: &DataKey, kind: Marked, own: &str) -> Option<Hmac<Sha256>> {
        // Keys of any length are taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).ok()?;
        mac.update(match kind {
            Marked::Task => b"task 1",
            Marked::State => b"state1",
        });
        match &self.principal {
            Some(principal) => {
                mac.update(&[1]);
                mac.update(principal.as_bytes());
            }
            None => mac.update(&[0]),
        }
        // No name of a server has it, so that no two pairs read the same.
        mac.update(self.server.as_str().as_bytes());
        mac.update(b"\n");
        mac.update(own.as_bytes());
        Some(mac)
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(keys: &[u8]) -> Marks {
        let keys = keys.iter().map(|key| DataKey::new(Box::new([*key; 32])));
        Marks::new(keys.collect()).unwrap()
    }

    #[test]
    fn an_id_is_good_for_whom_it_was_given_and_for_nobody_else() {
        let marks = marks(&[1]);
        let (shop, bank) = (
            ServerName::new("shop").unwrap(),
            ServerName::new("bank").unwrap(),
        );
        let (ada, bob) = (Some(SessionKey::of("ada")), Some(SessionKey::of("bob")));
        let own = "a.b/\u{e9} ";
        let public = marks.of(&shop, ada).public(Marked::Task, own);
        assert_eq!(public.len(), 22 + 1 + own.len());
        let again = marks.of(&shop, ada);
        assert_eq!(again.own(Marked::Task, &public), Some(own));
        assert_eq!(again.public(Marked::Task, own), public);
        for (kind, server, who) in [
            (Marked::State, &shop, ada),
            (Marked::Task, &bank, ada),
            (Marked::Task, &shop, bob),
            (Marked::Task, &shop, None),
        ] {
            assert_eq!(marks.of(server, who).own(kind, &public), None, "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_mark_is_refused() {
        let marks = marks(&[1]);
        let shop = ServerName::new("shop").unwrap();
        let marker = marks.of(&shop, None);
        let public = marker.public(Marked::State, "s1");
        let (mark, _) = public.split_once(END).unwrap();
        for wrong in [
            "",
            "s1",
            ".s1",
            mark,
            &format!("{mark}.s2"),
            &format!("{}.s1", &mark[..4]),
            &format!("{mark}AA.s1"),
            &format!("{}.s1", "A".repeat(22)),
        ] {
            assert_eq!(marker.own(Marked::State, wrong), None, "{wrong}");
        }
        assert_eq!(marker.own(Marked::State, &public), Some("s1"));
    }

    #[test]
    fn a_mark_of_an_earlier_key_is_known_and_that_of_another_gateway_is_not() {
        let shop = ServerName::new("shop").unwrap();
        let (old, both, random) = (marks(&[1]), marks(&[2, 1]), marks(&[]));
        let before = old.of(&shop, None).public(Marked::Task, "7");
        assert_eq!(both.of(&shop, None).own(Marked::Task, &before), Some("7"));
        let after = both.of(&shop, None).public(Marked::Task, "7");
        for other in [&old, &random] {
            assert_eq!(other.of(&shop, None).own(Marked::Task, &after), None);
        }
    }
}
