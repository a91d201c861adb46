//! Whose a connection to a server of the legacy era is.

use mcphub_core::shared::SessionKey;

use super::Forward;

/// Whose a session with a server is. What a server keeps for a client's session is seen by no
/// other; callers without a session share one among those that are the same principal and can be
/// asked the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    session: Option<SessionKey>,
    principal: Option<SessionKey>,
    abilities: u8,
}

impl Owner {
    pub(super) fn of(forward: &Forward) -> Self {
        Self {
            session: forward.session,
            principal: forward.principal,
            abilities: forward.abilities.bits(),
        }
    }

    /// The client's session, of one that has one.
    pub(super) fn session(&self) -> Option<SessionKey> {
        self.session
    }

    /// Whether its caller can be asked something.
    pub(super) fn can_be_asked(&self) -> bool {
        self.abilities != 0
    }

    /// Whether nothing can be told to the wrong one: it is one client's session, or nobody can be
    /// asked anything.
    pub(super) fn is_exclusive(&self) -> bool {
        self.session.is_some() || self.abilities == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::ClientAbilities;

    fn owner(session: Option<&str>, principal: Option<&str>) -> Owner {
        Owner::of(&Forward {
            session: session.map(SessionKey::of),
            principal: principal.map(SessionKey::of),
            abilities: ClientAbilities::all(),
            ..Forward::default()
        })
    }

    #[test]
    fn principals_share_nothing_and_one_alone_is_not_one_client() {
        assert_ne!(owner(None, Some("a")), owner(None, Some("b")));
        assert_eq!(owner(None, Some("a")), owner(None, Some("a")));
        // Two programs may show the same key: a question could reach the wrong one.
        assert!(!owner(None, Some("a")).is_exclusive());
        assert!(owner(Some("s"), Some("a")).is_exclusive());
    }
}
