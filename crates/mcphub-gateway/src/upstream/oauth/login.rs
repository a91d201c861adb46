//! A person lets the gateway in, with a browser (RFC 6749, 4.1, with PKCE: RFC 7636).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcphub_core::secret::{ExposeSecret, Grant, SecretString};
use mcphub_core::spec::{OAuthFlow, SecurityScheme};
use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded;

use super::device::DeviceLogin;
use super::metadata::Metadata;
use super::resource::Protected;
use super::server::{Failure, Server, id_and_password};
use crate::upstream::native::NativeClient;

/// How to log in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoginSettings {
    /// The client that is registered with the authorization server: `id`, or `id:secret`; or the
    /// https URL at which it describes itself. Without one, one is [registered](Login::register).
    pub client: Option<SecretString>,
    /// What to ask for, separated by spaces. Without it the server decides; of OpenID Connect
    /// `openid` is asked for.
    pub scopes: Option<String>,
    /// The authorization server, in place of what the document says: it describes itself
    /// (RFC 8414, OpenID Connect Discovery 1.0).
    pub issuer: Option<Url>,
    /// How much longer each wait for another device becomes when the server asks to slow down.
    /// Default 5 s (RFC 8628, 3.5).
    pub slow_down: Duration,
}

impl LoginSettings {
    /// The defaults for a client.
    pub fn new(client: SecretString) -> Self {
        Self {
            client: Some(client),
            ..Self::unregistered()
        }
    }

    /// The defaults for no client, where the authorization server registers those that ask.
    pub fn unregistered() -> Self {
        Self {
            client: None,
            scopes: None,
            issuer: None,
            slow_down: Duration::from_secs(5),
        }
    }
}

/// The endpoints of one kind of login.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Where it begins.
    pub(super) url: Url,
    pub(super) token: Url,
    /// Where tokens are renewed.
    refresh: Url,
}

/// Where a person logs in to a security scheme, or to an MCP server.
#[derive(Debug)]
pub struct Login {
    pub(super) http: NativeClient,
    pub(super) base_url: Url,
    pub(super) settings: LoginSettings,
    pub(super) browser: Option<Place>,
    pub(super) device: Option<Place>,
    /// Who sends the person back, where that is known, and whether it always says so.
    pub(super) issuer: Option<(String, bool)>,
    /// What the tokens are for (RFC 8707), where they are for one thing.
    pub(super) resource: Option<String>,
    /// Where clients register themselves.
    pub(super) registration: Option<Url>,
    /// Whether clients may describe themselves at a URL.
    pub(super) describes: bool,
}

impl Login {
    /// Finds out where to log in: at the issuer of the settings, else as the document says, else as
    /// the server that the document names says. `base_url` is that of the API.
    ///
    /// # Errors
    /// - `Unsupported` when nobody logs in to this kind of scheme, or nobody says where;
    /// - `Upstream` when the server does not describe itself as its standard asks, or leads to a
    ///   place where secrets do not go.
    pub async fn discover(
        http: NativeClient,
        base_url: Url,
        scheme: &SecurityScheme,
        mut settings: LoginSettings,
    ) -> Result<Self> {
        if matches!(scheme, SecurityScheme::OpenIdConnect { .. }) {
            settings.scopes.get_or_insert_with(|| "openid".to_owned());
        } else if !matches!(scheme, SecurityScheme::OAuth2 { .. }) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "nobody logs in to this security scheme; OAuth 2 and OpenID Connect have logins",
            ));
        }
        let server = Server {
            http: &http,
            base_url: &base_url,
        };
        let stated = match scheme {
            SecurityScheme::OAuth2 {
                authorization_code,
                device,
                ..
            } if settings.issuer.is_none() => {
                let flow = |flow: &Option<Box<OAuthFlow>>| flow.as_deref().cloned();
                (flow(authorization_code), flow(device))
            }
            _ => (None, None),
        };
        let metadata = match (&settings.issuer, &stated) {
            (Some(issuer), _) => Some(server.of_issuer(issuer).await.map_err(upstream)?),
            (None, (None, None)) => server.described(scheme).await.map_err(upstream)?,
            _ => None,
        };
        let issuer = metadata.as_ref().map(Metadata::who);
        let (browser, device) = match metadata {
            Some(metadata) => described(metadata, false)?,
            None => stated,
        };
        if browser.is_none() && device.is_none() {
            return Err(nowhere());
        }
        let place = |flow: OAuthFlow| Place::new(&server, &flow).map_err(upstream);
        Ok(Self {
            browser: browser.map(place).transpose()?,
            device: device.map(place).transpose()?,
            issuer,
            resource: None,
            registration: None,
            describes: false,
            http,
            base_url,
            settings,
        })
    }

    /// Finds out where to log in to the MCP server at `url`: at the issuer of the settings, else at
    /// the first authorization server that it names (MCP 2026-07-28, Authorization Server Discovery).
    /// Without scopes in the settings those are asked for that it asks for.
    ///
    /// # Errors
    /// - `Unsupported` when the authorization server has no login, or no PKCE;
    /// - `Upstream` when a server does not describe itself as its standard asks, or leads to a place
    ///   where secrets do not go.
    pub async fn at_mcp_server(
        http: NativeClient,
        url: Url,
        mut settings: LoginSettings,
    ) -> Result<Self> {
        let server = Server {
            http: &http,
            base_url: &url,
        };
        let found = server.protected(settings.issuer.as_ref()).await;
        let Protected {
            metadata,
            resource,
            scopes,
        } = found.map_err(upstream)?;
        if settings.scopes.is_none() {
            settings.scopes = scopes.map(|scopes| lasting(scopes, &metadata));
        }
        let registration = metadata.registration_endpoint.as_deref();
        let registration =
            registration.map(|url| server.url(url, "endpoint for registering clients"));
        let registration = registration.transpose().map_err(upstream)?;
        let issuer = Some(metadata.who());
        let describes = metadata.client_id_metadata_document_supported;
        let (browser, device) = described(metadata, true)?;
        if browser.is_none() && device.is_none() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the authorization server of the MCP server has no login for a person",
            ));
        }
        let place = |flow: OAuthFlow| Place::new(&server, &flow).map_err(upstream);
        Ok(Self {
            browser: browser.map(place).transpose()?,
            device: device.map(place).transpose()?,
            issuer,
            resource: Some(resource),
            registration,
            describes,
            http,
            base_url: url,
            settings,
        })
    }

    /// Takes the client of an earlier login where none was given, and it was with the same
    /// authorization server: to another one it means nothing, and its secret does not go there. A
    /// server that registers clients gets a new one, because the one of before may be bound to the
    /// port that a browser came back to.
    #[must_use]
    pub fn as_before(mut self, before: &Grant) -> Self {
        let mut places = self.browser.iter().chain(&self.device);
        let wanted = self.settings.client.is_none() && self.registration.is_none();
        if wanted && places.any(|place| place.token == before.token_url) {
            self.settings.client = Some(before.client.clone());
        }
        self
    }

    /// Whether a browser of this machine can be used.
    pub fn has_browser(&self) -> bool {
        self.browser.is_some()
    }

    /// Whether another device can be used.
    pub fn has_device(&self) -> bool {
        self.device.is_some()
    }

    /// A login with a browser, which the server sends back to `redirect`: a URL of this machine's
    /// loopback, which the caller listens at (RFC 8252, 7.3).
    ///
    /// # Errors
    /// `Unsupported` when the server has no such login; `Internal` when the operating system gives
    /// no randomness.
    pub fn with_browser(self, redirect: Url) -> Result<BrowserLogin> {
        let secrets = (random()?, random()?);
        self.with_browser_as(redirect, secrets)
    }

    /// As [`Login::with_browser`], with a state and a verifier (RFC 7636, 4.1) of the caller's, so that
    /// the same login can be made again where the browser comes back to.
    pub(crate) fn with_browser_as(
        self,
        redirect: Url,
        (state, verifier): (SecretString, SecretString),
    ) -> Result<BrowserLogin> {
        let Some(place) = self.browser.clone() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this server has no login with a browser; use that with another device",
            ));
        };
        let mut url = place.url.clone();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()));
        {
            let (id, _) = id_and_password(self.client()?);
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", id)
                .append_pair("redirect_uri", redirect.as_str())
                .append_pair("state", state.expose_secret())
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", "S256");
            if let Some(scopes) = &self.settings.scopes {
                query.append_pair("scope", scopes);
            }
            if let Some(resource) = &self.resource {
                query.append_pair("resource", resource);
            }
        }
        Ok(BrowserLogin {
            url,
            place,
            login: self,
            redirect,
            state,
            verifier,
        })
    }

    /// A login with another device (RFC 8628): asks the server for a code that the person enters.
    ///
    /// # Errors
    /// `Unsupported` when the server has no such login; `Upstream` when it refuses.
    pub async fn with_device(self) -> Result<DeviceLogin> {
        DeviceLogin::begin(self).await
    }

    /// Who logs in.
    ///
    /// # Errors
    /// `InvalidInput` when no client was given, and none was registered.
    pub(super) fn client(&self) -> Result<&SecretString> {
        self.settings.client.as_ref().ok_or_else(|| {
            Error::invalid(
                "an authorization server lets in clients that it knows; register one with it, and give --client-id ID, or --client-env VAR for `id:secret`",
            )
        })
    }

    pub(super) fn server(&self) -> Server<'_> {
        Server {
            http: &self.http,
            base_url: &self.base_url,
        }
    }

    /// Tokens for what the person has let.
    pub(super) async fn grant(
        &self,
        place: &Place,
        form: &[(&str, &str)],
    ) -> Result<Grant, Failure> {
        let client = self.client();
        let client = client.map_err(|error| Failure::new(error.to_string()))?;
        let mut form = form.to_vec();
        form.extend(self.resource.as_deref().map(|it| ("resource", it)));
        let answer = self.server().tokens(&place.token, client, &form).await?;
        let mut grant = answer.into_grant(client.clone(), place.refresh.clone());
        grant.resource.clone_from(&self.resource);
        grant.scopes = grant.scopes.or(self.settings.scopes.clone());
        Ok(grant)
    }
}

/// A login that waits for a person with a browser.
pub struct BrowserLogin {
    url: Url,
    place: Place,
    login: Login,
    redirect: Url,
    state: SecretString,
    verifier: SecretString,
}

impl BrowserLogin {
    /// What the person opens.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether this query of the redirect belongs to this login: anything else on this machine can
    /// ask for the same URL.
    pub fn is_answer(&self, query: &str) -> bool {
        let given = value(query, "state").unwrap_or_default();
        // In constant time by way of digests: the state is a secret until it is used.
        Sha256::digest(given.as_bytes()) == Sha256::digest(self.state.expose_secret())
    }

    /// The tokens, for the query with which the person was sent back.
    ///
    /// # Errors
    /// `PermissionDenied` when the person or the server refused; `Upstream` for another login's
    /// answer, one of another server (RFC 9207), or when the server gives no tokens.
    pub async fn finish(&self, query: &str) -> Result<Grant> {
        if !self.is_answer(query) {
            return Err(Error::new(
                ErrorKind::Upstream,
                "this is the answer to another login (its state differs); log in again",
            ));
        }
        let issuer = value(query, "iss");
        if let Some((known, always)) = &self.login.issuer {
            let other = match &issuer {
                Some(issuer) => issuer != known,
                None => *always,
            };
            if other {
                return Err(Error::new(
                    ErrorKind::Upstream,
                    "another server than the one that was asked answered; nothing was sent to it",
                ));
            }
        }
        if let Some(code) = value(query, "error") {
            return Err(denied(&code));
        }
        let code = value(query, "code").ok_or_else(|| {
            Error::new(
                ErrorKind::Upstream,
                "the server sent neither a code nor an error",
            )
        })?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", self.redirect.as_str()),
            ("code_verifier", self.verifier.expose_secret()),
        ];
        let grant = self.login.grant(&self.place, &form).await;
        grant.map_err(upstream)
    }
}

impl fmt::Debug for BrowserLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserLogin")
            .field("redirect", &self.redirect.as_str())
            .finish_non_exhaustive()
    }
}

impl Place {
    fn new(server: &Server<'_>, flow: &OAuthFlow) -> Result<Self, Failure> {
        let token = server.url(&flow.token_url, "token endpoint")?;
        let refresh = flow.refresh_url.as_deref();
        let refresh = refresh.map(|url| server.url(url, "endpoint for renewing"));
        Ok(Self {
            url: server.url(&flow.url, "endpoint of the login")?,
            refresh: refresh.transpose()?.unwrap_or_else(|| token.clone()),
            token,
        })
    }
}

/// These scopes, and what a login that lasts takes where the server has it (OpenID Connect Core 1.0,
/// 11).
fn lasting(mut scopes: String, metadata: &Metadata) -> String {
    const OFFLINE: &str = "offline_access";
    let known = metadata.scopes_supported.iter().any(|it| it == OFFLINE);
    if known && !scopes.split(' ').any(|it| it == OFFLINE) {
        scopes.push(' ');
        scopes.push_str(OFFLINE);
    }
    scopes
}

/// The flows of a server that describes itself: with a browser, with another device.
fn described(
    metadata: Metadata,
    has_to_prove: bool,
) -> Result<(Option<OAuthFlow>, Option<OAuthFlow>)> {
    let methods = metadata.code_challenge_methods_supported.as_ref();
    // MCP 2026-07-28, Security Considerations: of silence, no proof can be expected.
    let proves = methods.map_or(!has_to_prove, |methods| {
        methods.iter().any(|method| method == "S256")
    });
    let Some(token_url) = metadata.token_endpoint else {
        return Err(nowhere());
    };
    let flow = |url: String| OAuthFlow {
        url,
        token_url: token_url.clone(),
        ..OAuthFlow::default()
    };
    let device = metadata.device_authorization_endpoint.map(flow);
    // A login with a browser that nobody can prove to have begun (RFC 7636) is none.
    let browser = metadata.authorization_endpoint.filter(|_| proves).map(flow);
    if browser.is_none() && device.is_none() && !proves {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the server takes no proof of who began a login (PKCE with S256, RFC 7636)",
        ));
    }
    Ok((browser, device))
}

fn nowhere() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the document does not say where a person logs in; name the authorization server with --issuer, or give a token",
    )
}

pub(super) fn upstream(failure: Failure) -> Error {
    Error::new(
        ErrorKind::Upstream,
        format!("the login failed: {}", failure.text),
    )
}

/// What the server said to the person (RFC 6749, 4.1.2.1).
pub(super) fn denied(code: &str) -> Error {
    let legal = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_graphic());
    let code = if legal { code } else { "something illegible" };
    Error::new(ErrorKind::PermissionDenied, "the login was refused").with("reason", code)
}

/// A value of a query that is there once.
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}

/// 256 random bits as text (RFC 7636, 4.1).
fn random() -> Result<SecretString> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal("the operating system gives no randomness").caused_by(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}
