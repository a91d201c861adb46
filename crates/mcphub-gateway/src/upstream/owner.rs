//! Whose a connection to a server of the legacy era is.

use mcphub_core::shared::SessionKey;

use super::Forward;

/// Whose a session with a server is. What a server keeps for a client's session is seen by no
/// other; callers without a session share one among those that can be asked the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    session: Option<SessionKey>,
    abilities: u8,
}

impl Owner {
    pub(super) fn of(forward: &Forward) -> Self {
        Self {
            session: forward.session,
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
