//! A login that comes back to the gateway itself, at any node: nothing is kept between its two halves,
//! so that each finds out anew where the person logs in, and holds that against what it was.

use mcphub_core::connection::Connection;
use mcphub_core::secret::Credentials;
use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use url::Url;

use super::login::Login;
use super::server::id_and_password;

/// The longest name of a client that is taken from its registration, in bytes.
const MAX_NAME: usize = 1_024;

/// Where the gateway is to authorization servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Web<'a> {
    /// Where browsers come back to.
    pub(crate) redirect: &'a Url,
    /// Where it describes itself as a client, where it can be reached so: over TLS.
    pub(crate) description: Option<&'a Url>,
}

impl Login {
    /// Chooses the client of a login that comes back to a gateway, in the order of MCP 2026-07-28,
    /// Client Registration: one that is configured for the server's issuer, the gateway as it
    /// describes itself, one that is registered now; else, where the server registers none, that of a
    /// login which is kept. The name of the one that was registered.
    ///
    /// # Errors
    /// `InvalidInput` where there is none; `Upstream` for one that was registered with a secret, which
    /// would have to be kept, or when the server refuses.
    pub(crate) async fn as_web_client(
        &mut self,
        web: Web<'_>,
        held: &Credentials,
    ) -> Result<Option<String>> {
        if self.choose(web, held) {
            return Ok(None);
        }
        let host = web.redirect.host_str().unwrap_or_default();
        // A web application does not come back to its user's machine.
        let kind = match crate::hosts::is_loopback_name(host) {
            true => "native",
            false => "web",
        };
        let Some((id, secret)) = self.registered(kind, Some(web.redirect)).await? else {
            return Err(nobody());
        };
        if secret.is_some() || id.len() > MAX_NAME {
            return Err(Error::new(
                ErrorKind::Upstream,
                "the authorization server registers no client without a secret; register one with it, and add the server with --client-env and --issuer",
            ));
        }
        self.settings.client = Some(id.as_str().into());
        Ok(Some(id))
    }

    /// The same client in the second half: `registered` is what the first one gave.
    ///
    /// # Errors
    /// `InvalidInput` where there is none any more.
    pub(crate) fn as_web_client_again(
        &mut self,
        web: Web<'_>,
        held: &Credentials,
        registered: Option<&str>,
    ) -> Result<()> {
        match registered {
            Some(id) => self.settings.client = Some(id.into()),
            None => drop(self.choose(web, held)),
        }
        self.settings.client.as_ref().map(drop).ok_or_else(nobody)
    }

    /// Chooses a client that need not be registered. Whether there is one.
    fn choose(&mut self, web: Web<'_>, held: &Credentials) -> bool {
        let configured = held.clients.get(Connection::LOGIN);
        // A client's secret goes to the issuer that it was given with, and nowhere else.
        let configured = configured.filter(|_| self.settings.issuer.is_some());
        let described = || web.description.filter(|_| self.describes);
        let client = match (configured, self.registration.is_some()) {
            (Some(client), _) => Some(client.clone()),
            (None, _) if described().is_some() => described().map(|url| url.as_str().into()),
            (None, true) => None,
            (None, false) => {
                let token = self.browser.as_ref().map(|place| &place.token);
                let mut grants = held.grants.values();
                let same = grants.find(|grant| Some(&grant.token_url) == token);
                same.map(|grant| grant.client.clone())
            }
        };
        self.settings.client = client;
        self.settings.client.is_some()
    }

    /// What two halves of a login have in common: who lets in where, to what, and whom. An MCP server
    /// that names another authorization server in between would otherwise have the code sent there
    /// (RFC 9700, 4.4).
    pub(crate) fn fingerprint(&self) -> Result<[u8; 32]> {
        let (id, _) = id_and_password(self.client()?);
        let (issuer, place) = (&self.issuer, &self.browser);
        let parts = [
            self.base_url.as_str(),
            issuer.as_ref().map_or("", |(issuer, _)| issuer),
            place.as_ref().map_or("", |place| place.url.as_str()),
            place.as_ref().map_or("", |place| place.token.as_str()),
            self.resource.as_deref().unwrap_or_default(),
            id,
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(digest.finalize().into())
    }
}

fn nobody() -> Error {
    Error::invalid(
        "the authorization server registers no clients by itself; register one with it, and add the server with --client-env and --issuer",
    )
}
