//! Tickets: what is in the URL that a client is given. It names nobody; who it was made for is in its
//! mark, so that whoever opens it has to say who they are.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcphub_core::Result;
use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use mcphub_core::user::UserName;

use super::LIFE;
use super::seal::{Purpose, Seals, random};

/// Bytes of the random part of an elicitation's name, and of that which binds it to a session.
const HALF: usize = 8;

/// Bytes of a mark.
const MARK: usize = 16;

/// `ENDS ID MARK`, in base64url: when it ends, in seconds since 1970; what the elicitation is called;
/// and the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    ends_at: u64,
    id: [u8; 2 * HALF],
    mark: [u8; MARK],
}

impl Ticket {
    /// For a user's login to a server, told to a client in this session.
    pub(super) fn new(
        seals: &Seals,
        server: &ServerName,
        user: &UserName,
        session: Option<SessionKey>,
    ) -> Result<Self> {
        let seal = seals.newest()?;
        let first: [u8; HALF] = random()?;
        let last: [u8; HALF] = match session {
            Some(session) => {
                let mark = seal.mark(Purpose::Elicitation, &[&first, session.as_bytes()])?;
                let (half, _) = mark.split_first_chunk().unwrap_or((&[0; HALF], &[]));
                *half
            }
            None => random()?,
        };
        let mut id = [0; 2 * HALF];
        for (to, from) in id.iter_mut().zip(first.iter().chain(&last)) {
            *to = *from;
        }
        let mut ticket = Self {
            ends_at: now().saturating_add(LIFE.as_secs()),
            id,
            mark: [0; MARK],
        };
        let mark = ticket.marked(server, user, |parts| seal.mark(Purpose::Ticket, parts))?;
        if let Some((mark, _)) = mark.split_first_chunk() {
            ticket.mark = *mark;
        }
        Ok(ticket)
    }

    /// Reads one. Whose it is, is another question.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Longer text is no ticket, and not decoded.
        let bytes = (text.len() <= 64).then(|| URL_SAFE_NO_PAD.decode(text))?;
        let bytes = bytes.ok()?;
        let (ends_at, rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        Some(Self {
            ends_at: u64::from_be_bytes(*ends_at),
            id: *id,
            mark: rest.try_into().ok()?,
        })
    }

    /// Whether it was made for this user's login to this server.
    pub(super) fn is_for(&self, seals: &Seals, server: &ServerName, user: &UserName) -> bool {
        self.marked(server, user, |parts| {
            seals.know(Purpose::Ticket, parts, &self.mark)
        })
    }

    pub(super) fn ends_at(&self) -> u64 {
        self.ends_at
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ends_at <= now()
    }

    pub(super) fn text(&self) -> String {
        let bytes = [&self.ends_at.to_be_bytes()[..], &self.id, &self.mark].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the elicitation is called: 32 hexadecimal digits.
    pub(super) fn name(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.id))
    }

    fn marked<T>(
        &self,
        server: &ServerName,
        user: &UserName,
        with: impl FnOnce(&[&[u8]]) -> T,
    ) -> T {
        let (server, user) = (server.as_str().as_bytes(), user.as_str().as_bytes());
        with(&[&self.ends_at.to_be_bytes(), &self.id, server, user])
    }
}

/// Whether an elicitation of this name was told to a client in this session.
pub(super) fn belongs(seals: &Seals, elicitation: &str, session: SessionKey) -> bool {
    let id = u128::from_str_radix(elicitation, 16).unwrap_or_default();
    let id = id.to_be_bytes();
    let (first, last) = id.split_at(HALF);
    let parts = [first, session.as_bytes()];
    seals.know(Purpose::Elicitation, &parts, last)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use mcphub_core::secret::DataKey;

    use super::*;

    fn seals(key: u8) -> Seals {
        Seals::new(vec![DataKey::new(Box::new([key; 32]))]).unwrap()
    }

    fn name(text: &str) -> (ServerName, UserName) {
        let (server, user) = text.split_once(' ').unwrap();
        (
            ServerName::new(server).unwrap(),
            UserName::new(user).unwrap(),
        )
    }

    #[test]
    fn a_ticket_is_for_one_user_of_one_server_and_names_neither() {
        let seals = seals(1);
        let (server, user) = name("tracker ada");
        let ticket = Ticket::new(&seals, &server, &user, None).unwrap();
        let text = ticket.text();
        assert!(!text.contains("ada") && text.len() <= 64);
        let read = Ticket::parse(&text).unwrap();
        assert_eq!(read, ticket);
        assert!(read.is_for(&seals, &server, &user) && !read.has_ended());
        for other in ["tracker bob", "shop ada"] {
            let (server, user) = name(other);
            assert!(!read.is_for(&seals, &server, &user), "{other}");
        }
        assert!(!read.is_for(&self::seals(2), &server, &user));
    }

    #[test]
    fn what_was_changed_is_for_nobody() {
        let seals = seals(1);
        let (server, user) = name("tracker ada");
        let ticket = Ticket::new(&seals, &server, &user, None).unwrap();
        let later = Ticket {
            ends_at: ticket.ends_at + 60,
            ..ticket.clone()
        };
        let mut renamed = ticket.clone();
        renamed.id[0] ^= 1;
        for wrong in [later, renamed] {
            assert!(!wrong.is_for(&seals, &server, &user));
        }
        let ended = Ticket {
            ends_at: now(),
            ..ticket.clone()
        };
        assert!(ended.has_ended());
        let text = ticket.text();
        for wrong in [
            "",
            "x",
            &text[1..],
            &format!("{text}AAAA"),
            &"A".repeat(5_000),
        ] {
            assert_eq!(Ticket::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_elicitation_belongs_to_the_session_that_was_told() {
        let seals = seals(1);
        let (server, user) = name("tracker ada");
        let (one, other) = (SessionKey::of("one"), SessionKey::of("other"));
        let told = Ticket::new(&seals, &server, &user, Some(one))
            .unwrap()
            .name();
        assert!(belongs(&seals, &told, one) && !belongs(&seals, &told, other));
        let nobody = Ticket::new(&seals, &server, &user, None).unwrap().name();
        for wrong in [&*nobody, "", "x", "0"] {
            assert!(!belongs(&seals, wrong, one), "{wrong}");
        }
    }
}
