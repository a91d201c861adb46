//! Logins: kept with the server that they are for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use url::Url;

use super::{Platform, PublishRequest};
use crate::connection::Connection;
use crate::event::Event;
use crate::secret::{Credentials, Grant, GrantKeeper};
use crate::server::{self, Serve, ServerName, ServerRecord};
use crate::spec::Document;
use crate::store::{Registration, Store};
use crate::tool::ToolSet;
use crate::{Error, ErrorKind, Result};

impl Platform {
    /// A registered server, by its name or by where its document came from.
    ///
    /// # Errors
    /// `NotFound` when there is none, and those of the store.
    pub async fn find(&self, name_or_source: &str) -> Result<ServerRecord> {
        let name = match self.store.find_by_source(name_or_source).await? {
            Some(name) => Some(name),
            None => ServerName::new(name_or_source).ok(),
        };
        let record = match &name {
            Some(name) => self.store.get(name).await?,
            None => None,
        };
        record.ok_or_else(|| {
            Error::not_found("no such server is registered; register its document first")
                .with("server", name_or_source)
        })
    }

    /// What is sent to a server's API.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn credentials(&self, server: &ServerName) -> Result<Credentials> {
        self.store.credentials(server).await
    }

    /// Adds the login of a person to a native server, or to an MCP server at a URL, in place of one
    /// that is there. It goes with calls from the next catalogue on.
    ///
    /// # Errors
    /// `NotFound` for an unknown server, `Unsupported` for one that is a program or a generated
    /// project, `TooLarge` for one more than [`Credentials::MAX_LOGINS`], and those of the store.
    pub async fn log_in(&self, name: &ServerName, scheme: &str, grant: Grant) -> Result<()> {
        self.add_login(&*self.store, name, scheme, &grant, &|_| Ok(()))
            .await
    }

    /// Adds a login by way of this store, whose actor is who does so, where the server's document is
    /// what it has to be.
    pub(super) async fn add_login(
        &self,
        store: &dyn Store,
        name: &ServerName,
        scheme: &str,
        grant: &Grant,
        check: &(impl Fn(&Document) -> Result<()> + Send + Sync),
    ) -> Result<()> {
        self.change_logins(store, name, |document, grants| {
            check(document)?;
            if !grants.contains_key(scheme) && grants.len() >= Credentials::MAX_LOGINS {
                let message = "a server keeps at most 1,000 logins; added again under another name, \
                               it keeps as many more";
                return Err(Error::new(ErrorKind::TooLarge, message).with("server", name));
            }
            grants.insert(scheme.to_owned(), grant.clone());
            Ok(())
        })
        .await
    }

    /// Forgets the login of a person, and no other. Calls go without it from the next catalogue on.
    /// Whoever gave its tokens is not told.
    ///
    /// # Errors
    /// `NotFound` for an unknown server, and where nobody is logged in so; and as [`Platform::log_in`].
    pub async fn log_out(&self, name: &ServerName, scheme: &str) -> Result<()> {
        self.change_logins(&*self.store, name, |_, grants| {
            let none = || Error::not_found("nobody is logged in so").with("server", name);
            grants
                .remove(scheme)
                .map(drop)
                .ok_or_else(|| none().with("login", scheme))
        })
        .await
    }

    async fn change_logins(
        &self,
        store: &dyn Store,
        name: &ServerName,
        change: impl Fn(&Document, &mut BTreeMap<String, Grant>) -> Result<()> + Send + Sync,
    ) -> Result<()> {
        let mut tries = 3;
        loop {
            tries -= 1;
            match try_change_logins(store, name, &change).await {
                // Somebody else changed the server in between.
                Err(error) if error.kind() == ErrorKind::Conflict && tries > 0 => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        self.announce(Event::CatalogChanged {
            server: name.clone(),
        })
        .await;
        Ok(())
    }

    /// The logins of the server that a document is registered as, by scheme, where they are for the
    /// same as `tools` at `base_url`: the same scheme, at the same origin. A login must not go to
    /// another place because a document leads there by now.
    ///
    /// # Errors
    /// Those of the store. A document that is not registered has no logins.
    pub async fn logins(
        &self,
        source: &str,
        tools: &ToolSet,
        base_url: &Url,
    ) -> Result<Option<(ServerName, BTreeMap<String, Grant>)>> {
        let Some(name) = self.store.find_by_source(source).await? else {
            return Ok(None);
        };
        let logins = self.logins_of(&name, tools, base_url).await?;
        Ok(Some((name, logins)))
    }

    /// Takes over the logins of an earlier registration, where they are for the same.
    pub(super) async fn keep_logins(
        &self,
        name: &ServerName,
        request: &mut PublishRequest,
        tools: &ToolSet,
    ) -> Result<()> {
        if request.serve == Serve::Remote {
            let logins = self.logins_at(name, &request.document).await?;
            let grants = &mut request.credentials.grants;
            for (login, grant) in logins {
                grants.entry(login).or_insert(grant);
            }
            return Ok(());
        }
        if request.serve != Serve::Native {
            return Ok(());
        }
        let source = &request.document.source;
        let here = server::base_url(request.base_url.as_ref(), tools, source)?;
        let grants = &mut request.credentials.grants;
        for (scheme, grant) in self.logins_of(name, tools, &here).await? {
            grants.entry(scheme).or_insert(grant);
        }
        Ok(())
    }

    /// The logins of an MCP server that is registered, where it is still at the same URL, and the same
    /// authorization server lets in.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn logins_at(
        &self,
        name: &ServerName,
        document: &Document,
    ) -> Result<BTreeMap<String, Grant>> {
        let Some(before) = self.store.document(name).await? else {
            return Ok(BTreeMap::new());
        };
        let place = |document: &Document| {
            let connection = Connection::from_document(document).ok()?;
            let remote = connection.remote()?;
            Some((remote.url.clone(), remote.issuer.clone()))
        };
        match (place(&before), place(document)) {
            (Some(before), Some(now)) if before == now => {
                Ok(self.store.credentials(name).await?.grants)
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    async fn logins_of(
        &self,
        name: &ServerName,
        tools: &ToolSet,
        base_url: &Url,
    ) -> Result<BTreeMap<String, Grant>> {
        let before = match self.store.get(name).await {
            Ok(Some(before)) if before.serve == Serve::Native => before,
            Ok(_) => return Ok(BTreeMap::new()),
            // Planned by another version: nobody knows any more what the login was for.
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        if before.base_url()?.origin() != base_url.origin() {
            return Ok(BTreeMap::new());
        }
        let mut grants = self.store.credentials(name).await?.grants;
        let (here, there) = (&tools.security_schemes, &before.tools.security_schemes);
        grants.retain(|scheme, _| here.get(scheme) == there.get(scheme));
        Ok(grants)
    }
}

#[async_trait]
impl GrantKeeper for Platform {
    async fn current(&self, server: &ServerName, scheme: &str) -> Result<Option<Grant>> {
        let mut credentials = self.store.credentials(server).await?;
        Ok(credentials.grants.remove(scheme))
    }

    async fn renew(
        &self,
        server: &ServerName,
        scheme: &str,
        known: &Grant,
        renewed: &Grant,
    ) -> Result<bool> {
        self.store.renew_grant(server, scheme, known, renewed).await
    }
}

async fn try_change_logins(
    store: &dyn Store,
    name: &ServerName,
    change: &(impl Fn(&Document, &mut BTreeMap<String, Grant>) -> Result<()> + Send + Sync),
) -> Result<()> {
    let gone = || Error::not_found("the server was removed").with("server", name);
    let record = store.get(name).await?.ok_or_else(gone)?;
    if !matches!(record.serve, Serve::Native | Serve::Remote) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "only APIs that are served native and MCP servers at a URL have logins; a program takes a token from its environment",
        )
        .with("server", name));
    }
    let document = store.document(name).await?.ok_or_else(gone)?;
    let mut credentials = store.credentials(name).await?;
    change(&document, &mut credentials.grants)?;
    let registration = Registration {
        name: record.name,
        document,
        serve: record.serve,
        base_url: record.base_url,
        choices: record.choices,
        tools: record.tools,
        artifact: record.artifact,
        credentials,
    };
    store.replace(&registration, record.revision).await?;
    Ok(())
}
