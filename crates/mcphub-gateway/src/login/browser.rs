//! The way of a browser through the authorization server of an MCP server (RFC 6749, 4.1, with PKCE,
//! `resource` and `iss`, as the command line's login has it).

use std::time::Duration;

use mcphub_core::connection::{Connection, Remote};
use mcphub_core::principal::Permissions;
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::user::UserName;
use mcphub_core::{Error, ErrorKind, Result};
use url::Url;

use super::Logins;
use super::flow::{Flow, Secrets};
use super::ticket::{Ticket, now};
use crate::auth::NotSignedIn;
use crate::upstream::oauth::{self, LoginSettings, Web};

/// A login that a person can go on with.
pub(super) struct Begun {
    /// Where they log in.
    pub(super) url: Url,
    /// What their browser brings back.
    pub(super) cookie: String,
}

impl Logins {
    /// Begins the login of a user who said who they are.
    ///
    /// # Errors
    /// `NotFound` where users do not log in; those of finding out where they do.
    pub(super) async fn begin(
        &self,
        server: &ServerName,
        user: &UserName,
        ticket: &Ticket,
    ) -> Result<Begun> {
        let (connection, held) = self.reached(server).await?;
        let remote = per_user(&connection, server)?;
        let mut login = self.place(remote, &held).await?;
        let client = login.as_web_client(self.web(), &held).await?;
        let flow = Flow {
            ends_at: ticket.ends_at(),
            elicitation: ticket.name(),
            server: server.clone(),
            user: user.clone(),
            client,
            place: login.fingerprint()?,
        };
        let (cookie, secrets) = flow.sealed(&self.offered.seals)?;
        let login = login.with_browser_as(self.offered.redirect.clone(), secrets)?;
        let url = login.url().clone();
        Ok(Begun { url, cookie })
    }

    /// Finishes a login with the query with which its browser came back, once at all nodes.
    ///
    /// # Errors
    /// `PermissionDenied` when the person or the server refused, or the user may not do it any more;
    /// `Conflict` for one that was finished; those of getting tokens and of keeping them.
    pub(super) async fn finish(&self, flow: &Flow, secrets: Secrets, query: &str) -> Result<()> {
        let (server, user) = (&flow.server, &flow.user);
        may_use(&self.permissions(user).await?, server)?;
        let (connection, held) = self.reached(server).await?;
        let remote = per_user(&connection, server)?;
        let mut login = self.place(remote, &held).await?;
        login.as_web_client_again(self.web(), &held, flow.client.as_deref())?;
        if login.fingerprint()? != flow.place {
            return Err(Error::new(
                ErrorKind::Upstream,
                "this server's logins are elsewhere by now; nothing was sent there",
            ));
        }
        let login = login.with_browser_as(self.offered.redirect.clone(), secrets)?;
        self.once(flow).await?;
        let grant = login.finish(query).await?;
        let keeper = &self.offered.keeper;
        keeper.keep(server, &connection, user, grant).await
    }

    /// That nobody came back with it before, at any node.
    async fn once(&self, flow: &Flow) -> Result<()> {
        let left = Duration::from_secs(flow.ends_at.saturating_sub(now()).max(1));
        let name = format!("login {}", flow.elicitation);
        // It is never given back.
        let first = self.offered.leases.acquire(&name, left).await?;
        first.map(drop).ok_or_else(|| {
            let message = "this address was used; ask your assistant again, for another one";
            Error::new(ErrorKind::Conflict, message)
        })
    }

    async fn permissions(&self, user: &UserName) -> Result<Permissions> {
        let permissions = self.sign_ins.permissions(user).await;
        permissions.map_err(|why| match why {
            NotSignedIn::Refused(refusal) => refusal.into(),
            NotSignedIn::Failed(error) => error,
            NotSignedIn::Wrong | NotSignedIn::Limited(_) => {
                Error::new(ErrorKind::PermissionDenied, "the user may not log in now")
            }
        })
    }

    async fn reached(&self, server: &ServerName) -> Result<(Connection, Credentials)> {
        let reached = self.offered.keeper.reached(server).await?;
        reached.ok_or_else(|| nobody_logs_in(server))
    }

    /// Where a person logs in to a server.
    async fn place(&self, remote: &Remote, held: &Credentials) -> Result<oauth::Login> {
        let http = self.http.trusting(held.authorities.as_deref())?;
        let mut settings = LoginSettings::unregistered();
        settings.issuer.clone_from(&remote.issuer);
        oauth::Login::at_mcp_server(http, remote.url.clone(), settings).await
    }

    fn web(&self) -> Web<'_> {
        Web {
            redirect: &self.offered.redirect,
            description: self.offered.description.as_ref(),
        }
    }
}

/// That somebody may use a server at all.
///
/// # Errors
/// `PermissionDenied` otherwise.
pub(super) fn may_use(permissions: &Permissions, server: &ServerName) -> Result<()> {
    permissions.reaches(server).map_err(|denial| {
        let message = format!("you may not use {server}: {denial}");
        Error::new(ErrorKind::PermissionDenied, message)
    })
}

fn per_user<'c>(connection: &'c Connection, server: &ServerName) -> Result<&'c Remote> {
    let remote = connection.remote().filter(|remote| remote.per_user);
    remote.ok_or_else(|| nobody_logs_in(server))
}

fn nobody_logs_in(server: &ServerName) -> Error {
    Error::not_found("users do not log in to a server of this name").with("server", server)
}
