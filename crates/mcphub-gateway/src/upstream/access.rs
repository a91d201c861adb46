//! What lets requests to an MCP server in besides its headers: access tokens, those of the gateway as
//! a whole or those of whoever calls (MCP 2026-07-28, Authorization).
//!
//! A token that was shown to the gateway goes no further, ever: the ones here were given for the
//! server.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mcphub_core::connection::{Connection, Remote};
use mcphub_core::principal::Principal;
use mcphub_core::secret::{Credentials, ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::{Error, ErrorKind, Fault, Result};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

use super::http;
use super::native::NativeClient;
use super::oauth::{Asked, Authority, Granted, Means, Tokens, is_challenged, nobody};
use super::response::HttpResponse;

/// Says of an error, as what caused it, that whoever calls has to log in to the server.
#[derive(Debug)]
pub(crate) struct LoginNeeded;

impl fmt::Display for LoginNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a login is needed")
    }
}

impl StdError for LoginNeeded {}

impl LoginNeeded {
    /// Whether it is what is wrong.
    pub(crate) fn is_cause(error: &Error) -> bool {
        StdError::source(error).is_some_and(|cause| cause.is::<Self>())
    }
}

/// On whose behalf a request goes. `None`: the gateway's own.
pub(super) type Whose = Option<Arc<Principal>>;

/// The access tokens for one MCP server.
pub(super) struct Access {
    server: ServerName,
    /// Where the server is, without the query.
    url: Url,
    issuer: Option<Url>,
    per_user: bool,
    tokens: ArcSwap<Tokens>,
    /// For requests to authorization servers.
    http: NativeClient,
}

impl Access {
    /// The tokens of these credentials.
    pub(super) fn new(
        server: &ServerName,
        remote: &Remote,
        credentials: &Credentials,
        http: NativeClient,
        means: Means,
    ) -> Self {
        Self {
            server: server.clone(),
            url: remote.url.clone(),
            issuer: remote.issuer.clone(),
            per_user: remote.per_user,
            tokens: ArcSwap::from_pointee(Tokens::new(credentials, means)),
            http,
        }
    }

    /// Takes over the logins of users, where each user has one: requests from now on go with these.
    pub(super) fn take_logins(&self, credentials: &Credentials) -> bool {
        if self.per_user {
            self.tokens.rcu(|tokens| tokens.with(credentials));
        }
        self.per_user
    }

    /// Waits for logins that are being renewed, so that what comes back is kept.
    pub(super) async fn settle(&self) {
        self.tokens.load_full().settle().await;
    }

    /// That a call may have a token. Requests of the gateway itself have no caller either, and tokens
    /// of their own.
    ///
    /// # Errors
    /// `PermissionDenied` where tokens are exchanged for whoever calls, and nobody knows who that is.
    pub(super) fn admit(&self, whose: Option<&Principal>) -> Result<()> {
        if whose.is_some() || !self.tokens.load().exchanges(Connection::LOGIN) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::PermissionDenied, nobody(Connection::LOGIN));
        Err(error.with("server", &self.server).set_fault(Fault::Caller))
    }

    /// Sends a request with a token. One that the server refuses goes once more with a new token,
    /// where the old one had been good before: the server did nothing (RFC 6750, 3.1). So does one
    /// for which there was no connection, where that is wanted.
    ///
    /// # Errors
    /// `PermissionDenied` when whoever calls has not logged in, or a login has ended; `Upstream` when
    /// no token can be had; and those of sending.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        whose: Option<&Principal>,
        reconnect: bool,
    ) -> Result<Response> {
        let again = request.try_clone();
        let (login, first) = self.token(whose).await?;
        let response = self.send_with(request, first.as_ref(), reconnect).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let (Some(again), Some(Granted { token, cached })) = (again, first) else {
            return Ok(response);
        };
        self.tokens.load().forget(&login, whose, &token);
        if !cached {
            return self.unless_refused(response, &login, whose);
        }
        tracing::debug!(server = %self.server, login, "a token was refused; another one is got");
        let (_, second) = self.token(whose).await?;
        let response = self.send_with(again, second.as_ref(), reconnect).await?;
        self.unless_refused(response, &login, whose)
    }

    /// The response, unless it says that a user's new token lets in no more than the old one did.
    fn unless_refused(
        &self,
        response: Response,
        login: &str,
        whose: Option<&Principal>,
    ) -> Result<Response> {
        let user = whose.filter(|user| self.per_user && user.actor.as_str() == login);
        match user {
            Some(user) if response.status() == StatusCode::UNAUTHORIZED => {
                Err(self.no_login(user, "'s login is refused by this server"))
            }
            _ => Ok(response),
        }
    }

    async fn send_with(
        &self,
        request: RequestBuilder,
        granted: Option<&Granted>,
        reconnect: bool,
    ) -> Result<Response> {
        let host = || http::host(&self.url);
        let unsent = |error| http::unsent(&host(), error);
        let (client, request) = request.build_split();
        let mut request = request.map_err(unsent)?;
        if let Some(Granted { token, .. }) = granted {
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        http::execute(&client, request, reconnect)
            .await
            .map_err(unsent)
    }

    /// The token that goes with a request, and the login or the client that it is of.
    async fn token(&self, whose: Option<&Principal>) -> Result<(String, Option<Granted>)> {
        let user = whose.filter(|_| self.per_user);
        let login = user.map_or_else(
            || Connection::LOGIN.to_owned(),
            |user| user.actor.to_string(),
        );
        let tokens = self.tokens.load_full();
        let exchanged = whose.filter(|_| tokens.exchanges(Connection::LOGIN));
        // Where it is not the gateway that says who calls, it is the user's login.
        let stated = exchanged.is_some() && user.is_none();
        if !stated && !tokens.holds(&login) {
            return match user {
                Some(user) => Err(self.not_logged_in(user)),
                // What is open to everybody works, and what is not is refused by the server.
                None => Ok((login, None)),
            };
        }
        let name = match exchanged {
            Some(_) => Connection::LOGIN.to_owned(),
            None => login,
        };
        let asked = Asked {
            name: &name,
            authority: self
                .issuer
                .as_ref()
                .map_or(Authority::None, Authority::Issuer),
            base_url: &self.url,
        };
        let got = match exchanged {
            Some(_) => tokens.get_for(exchanged, &asked, &self.http).await,
            None => tokens.get(&asked, &self.http).await,
        };
        let granted = got.map_err(|why| {
            let error = Error::new(ErrorKind::Upstream, why)
                .with("server", &self.server)
                // The server is well.
                .set_fault(Fault::Caller);
            match user {
                Some(user) if tokens.is_over(user.actor.as_str()) => error.caused_by(LoginNeeded),
                _ => error,
            }
        })?;
        Ok((name, Some(granted)))
    }

    fn not_logged_in(&self, user: &Principal) -> Error {
        self.no_login(user, " has not logged in to this server")
    }

    fn no_login(&self, user: &Principal, why: &str) -> Error {
        let name = user.actor.to_string();
        let denied = |text| Error::new(ErrorKind::PermissionDenied, text);
        let error = match name.strip_prefix("user:") {
            Some(user) => {
                let server = &self.server;
                denied(format!(
                    "{user}{why}: `mcphub login {server} --user {user}`"
                ))
                .caused_by(LoginNeeded)
            }
            None => {
                denied("each user logs in to this server, and this key is no user's".to_owned())
            }
        };
        error.with("server", &self.server).set_fault(Fault::Caller)
    }
}

/// What a refusal means to whoever runs the gateway, where the server says how it lets in.
pub(super) fn how_to_get_in(response: &HttpResponse) -> Option<&'static str> {
    let refused = response.status() == StatusCode::UNAUTHORIZED;
    (refused && is_challenged(response.headers()))
        .then_some("it wants a login: `mcphub login` with the server's name")
}

fn bearer(token: &SecretString) -> Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| {
        Error::new(
            ErrorKind::Upstream,
            "the token has characters that no header can hold",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("server", &self.server)
            .field("per_user", &self.per_user)
            .finish_non_exhaustive()
    }
}
