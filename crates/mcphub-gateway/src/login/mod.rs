//! Users log in to MCP servers by a URL that their client is given, each for their own calls (MCP
//! 2025-11-25 and 2026-07-28, Elicitation, URL mode).
//!
//! Whoever opens the URL says who they are, and is that user or gets no further; then they log in where
//! the server's tokens come from, and come back. Nothing is kept in between: what each step needs
//! comes with it, marked under keys that all nodes derive from the same ones, so any of them goes on.
//!
//! | file | holds |
//! |---|---|
//! | `seal` | marks under the gateway's keys |
//! | `ticket` | what binds a URL to the user, the server and the session that it was made for |
//! | `flow` | what a browser brings back in a cookie, and what is derived from that |
//! | `browser` | the way through the authorization server |
//! | `http` | the endpoints |
//! | `page` | what a person sees |
//! | `completed` | clients that are told when it is done |

mod browser;
mod completed;
mod flow;
pub(crate) mod http;
mod page;
mod seal;
mod ticket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcphub_core::principal::Principal;
use mcphub_core::secret::{DataKey, LoginKeeper};
use mcphub_core::server::ServerName;
use mcphub_core::shared::{Leases, SessionKey};
use mcphub_core::user::UserName;
use mcphub_core::{Error, Result};
use tokio::sync::watch;
use url::Url;

use self::completed::Completed;
use self::seal::Seals;
use self::ticket::Ticket;
use crate::auth::{Gate, SignIns};
use crate::issuer;
use crate::upstream::native::NativeClient;

/// How long a URL is good for, and what a browser brings back.
const LIFE: Duration = Duration::from_secs(600);

/// Where users log in, below the public URL; the name of a server follows.
const PLACE: &str = "/auth/login/";

/// Where the browser comes back to.
const CALLBACK: &str = "/auth/callback";

/// Where the gateway describes itself as a client (OAuth Client ID Metadata Document).
const CLIENT: &str = "/auth/client.json";

/// Lets users log in to MCP servers by a URL: see
/// [`GatewayBuilder::user_logins`](crate::GatewayBuilder::user_logins).
pub struct UserLogins {
    /// The public URL, without a slash at its end.
    base: String,
    redirect: Url,
    /// Where the gateway is a client that describes itself: not without TLS.
    description: Option<Url>,
    keeper: Arc<dyn LoginKeeper>,
    leases: Arc<dyn Leases>,
    seals: Seals,
}

impl UserLogins {
    /// At this public URL, kept by `keeper`. A URL is good for one login, which `leases` sees to at all
    /// nodes together. Marks are made under the first of `keys`, and known again under all, so that
    /// nodes with the same ones agree; without any, under a random one.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is not http(s), or has a user, a query or a fragment; `Internal`
    /// when the system gives no random numbers.
    pub fn new(
        url: &Url,
        keeper: Arc<dyn LoginKeeper>,
        leases: Arc<dyn Leases>,
        keys: Vec<DataKey>,
    ) -> Result<Self> {
        let base = issuer::base(url)?;
        let at = |path: &str| {
            let url = Url::parse(&format!("{base}{path}"));
            url.map_err(|error| Error::invalid("the public URL is none").caused_by(error))
        };
        Ok(Self {
            redirect: at(CALLBACK)?,
            description: (url.scheme() == "https").then(|| at(CLIENT)).transpose()?,
            base,
            keeper,
            leases,
            seals: Seals::new(keys)?,
        })
    }

    fn is_secure(&self) -> bool {
        self.redirect.scheme() == "https"
    }
}

/// The logins of a gateway's users.
pub(crate) struct Logins {
    offered: UserLogins,
    http: NativeClient,
    gate: Arc<Gate>,
    sign_ins: Arc<SignIns>,
    /// Counts the catalogues that were read: whoever waits for a login looks again.
    caught_up: watch::Sender<u64>,
    pub(crate) completed: Completed,
}

/// What a client is told of a login that is needed.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) url: String,
    /// What a client of 2025-11-25 is told when it is done.
    pub(crate) elicitation: String,
    pub(crate) message: String,
}

impl Logins {
    pub(crate) fn new(
        offered: UserLogins,
        http: NativeClient,
        gate: Arc<Gate>,
        sign_ins: Arc<SignIns>,
    ) -> Self {
        Self {
            offered,
            http,
            gate,
            sign_ins,
            caught_up: watch::Sender::default(),
            completed: Completed::default(),
        }
    }

    /// Where a user logs in to a server, told to a client in this session. `None` for who is no user.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn offer(
        &self,
        server: &ServerName,
        who: &Principal,
        session: Option<SessionKey>,
    ) -> Result<Option<Offer>> {
        let Some(user) = user_of(who) else {
            return Ok(None);
        };
        let ticket = Ticket::new(&self.offered.seals, server, &user, session)?;
        let base = &self.offered.base;
        Ok(Some(Offer {
            url: format!("{base}{PLACE}{server}?{}={}", http::TICKET, ticket.text()),
            elicitation: ticket.name(),
            message: format!("Log in to {server} as {user}, so that calls can go on"),
        }))
    }

    /// Whether an elicitation was told to a client in this session.
    pub(crate) fn is_of(&self, elicitation: &str, session: SessionKey) -> bool {
        ticket::belongs(&self.offered.seals, elicitation, session)
    }

    /// A catalogue was read, which may have new logins.
    pub(crate) fn caught_up(&self) {
        self.caught_up.send_modify(|read| *read += 1);
    }

    /// Changes each time that a catalogue is read.
    pub(crate) fn catching_up(&self) -> watch::Receiver<u64> {
        self.caught_up.subscribe()
    }
}

impl fmt::Debug for UserLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLogins")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}

/// The user on whose behalf somebody acts, if they are one.
fn user_of(who: &Principal) -> Option<UserName> {
    let name = who.actor.as_str().strip_prefix("user:")?;
    let user = UserName::new(name).ok()?;
    (user.actor() == who.actor).then_some(user)
}
