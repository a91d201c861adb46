//! A request goes with its credentials: tokens are got, questions answered, certificates shown.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::Either;
use indexmap::IndexMap;
use mcphub_core::Result;
use mcphub_core::call::{HttpRequest, needed};
use mcphub_core::principal::Principal;
use mcphub_core::secret::{Credentials, SecretString};
use mcphub_core::spec::SecurityScheme;
use mcphub_core::tool::Tool;

use super::digest::Digest;
use super::exchange::Allowance;
use super::settings::NativeClient;
use super::{NativeApi, Sent, exchange};
use crate::issuer::TokenIssuer;
use crate::upstream::oauth::{Asked, Authority, Granted, Keeper, Means, Tokens};

/// What lets the calls of one API in.
pub(super) struct Access {
    credentials: Credentials,
    means: Means,
    tokens: Tokens,
    /// By the security scheme.
    digests: HashMap<String, Digest>,
    /// The connections on which a certificate is shown.
    identified: Option<NativeClient>,
    /// Whether the document says which operations want a certificate.
    declares_certificates: bool,
}

/// Credentials for one call.
struct Grants {
    credentials: Credentials,
    /// The tokens among them that earlier calls got, by scheme.
    cached: Vec<(String, SecretString)>,
}

impl Access {
    /// # Errors
    /// `InvalidInput` when the client certificate cannot be used.
    pub(super) fn new(
        credentials: Credentials,
        schemes: &IndexMap<String, SecurityScheme>,
        client: &NativeClient,
    ) -> Result<Self> {
        let identity = credentials.identity.as_ref();
        let identified = identity.map(|identity| client.identified(identity));
        let digests = schemes
            .iter()
            .filter(|(name, scheme)| {
                matches!(scheme, SecurityScheme::Digest) && credentials.schemes.contains_key(*name)
            })
            .map(|(name, _)| (name.clone(), Digest::default()));
        Ok(Self {
            means: Means::default(),
            tokens: Tokens::new(&credentials, Means::default()),
            digests: digests.collect(),
            identified: identified.transpose()?,
            declares_certificates: schemes
                .values()
                .any(|scheme| matches!(scheme, SecurityScheme::MutualTls)),
            credentials,
        })
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether a call may have to wait for a token.
    pub(super) fn gets_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether a request says by its headers and its URL alone who makes it, and that is the same for
    /// all callers.
    pub(super) fn is_of_all(&self) -> bool {
        let exchanges = &self.credentials.exchanges;
        self.identified.is_none() && self.digests.is_empty() && exchanges.is_empty()
    }

    /// Waits for logins that are being renewed, so that what comes back is kept.
    pub(super) async fn settle(&self) {
        self.tokens.settle().await;
    }

    pub(super) fn keep(&mut self, keeper: Keeper) {
        self.means.keeper = Some(keeper);
        self.tokens = Tokens::new(&self.credentials, self.means.clone());
    }

    pub(super) fn issue(&mut self, issuer: Arc<TokenIssuer>) {
        self.means.issuer = Some(issuer);
        self.tokens = Tokens::new(&self.credentials, self.means.clone());
    }
}

impl NativeApi {
    pub(super) fn authorize(
        &self,
        tool: &Tool,
        request: &mut HttpRequest,
        credentials: &Credentials,
    ) {
        request.authorize(
            &tool.binding.security,
            &self.set.security_schemes,
            credentials,
        );
    }

    /// Sends a request with its credentials.
    pub(super) fn send<'a>(
        &'a self,
        tool: &'a Tool,
        mut request: HttpRequest,
        allowance: Allowance<'a>,
    ) -> impl Future<Output = Sent> + 'a {
        let Access {
            credentials,
            tokens,
            digests,
            ..
        } = &self.access;
        if let Some(trace) = allowance.trace() {
            self.client.settings.propagators.add(trace, &mut request);
        }
        let schemes = &self.set.security_schemes;
        let needed = needed(&tool.binding.security, schemes, credentials);
        if !needed
            .iter()
            .any(|name| tokens.has(name) || digests.contains_key(name))
        {
            self.authorize(tool, &mut request, credentials);
            let client = self.client_for(needed);
            return Either::Left(exchange::send(client, request, allowance));
        }
        // Boxed, so that calls which need none of it carry none of it.
        let sending = self.send_and_answer(tool, needed, request, allowance);
        Either::Right(Box::pin(sending))
    }

    /// Sends a request with access tokens and answers. One that was refused goes again where that
    /// helps: with a new token, when the old one had been good before, or with an answer to what the
    /// API asks. The API did nothing (RFC 9110, 15.5.2).
    async fn send_and_answer(
        &self,
        tool: &Tool,
        needed: &[String],
        mut request: HttpRequest,
        allowance: Allowance<'_>,
    ) -> Sent {
        let Access {
            credentials,
            tokens,
            digests,
            ..
        } = &self.access;
        let client = self.client_for(needed);
        let digest = needed
            .iter()
            .find_map(|name| Some((digests.get(name)?, credentials.schemes.get(name)?)));
        let who = allowance.who();
        let first = self.granted(needed, client, who).await?;
        let mut again = request.clone();
        self.authorize(tool, &mut request, &first.credentials);
        let answered = digest.and_then(|(digest, secret)| digest.answer(&mut request, secret));
        let mut asked = Vec::new();
        let sent = exchange::send_and_see(client, request, allowance, Some(&mut asked)).await?;
        if sent.0.status != 401 {
            return Ok(sent);
        }
        let asks = digest.is_some_and(|(digest, _)| digest.ask(&asked, answered.as_deref()));
        if !asks && first.cached.is_empty() {
            return Ok(sent);
        }
        // Its room goes back first: whoever holds some must not wait for more.
        drop(sent);
        if !asks {
            for (scheme, token) in &first.cached {
                tokens.forget(scheme, who, token);
            }
        }
        let second = self.granted(needed, client, who).await?;
        self.authorize(tool, &mut again, &second.credentials);
        if let Some((digest, secret)) = digest {
            digest.answer(&mut again, secret);
        }
        let sent = exchange::send(client, again, allowance).await?;
        if let (401, Some((digest, _))) = (sent.0.status, digest) {
            digest.forget();
        }
        Ok(sent)
    }

    /// The connections of a call: those with a certificate for operations that want one, and for
    /// all where the document does not say.
    fn client_for(&self, needed: &[String]) -> &NativeClient {
        let wants = |name: &String| {
            matches!(
                self.set.security_schemes.get(name),
                Some(SecurityScheme::MutualTls)
            )
        };
        let shown = !self.access.declares_certificates || needed.iter().any(wants);
        let identified = self.access.identified.as_ref();
        identified.filter(|_| shown).unwrap_or(&self.client)
    }

    /// The credentials with the tokens that the operation needs.
    async fn granted(
        &self,
        needed: &[String],
        client: &NativeClient,
        who: Option<&Principal>,
    ) -> std::result::Result<Grants, String> {
        let Access {
            credentials,
            tokens,
            ..
        } = &self.access;
        let mut grants = Grants {
            credentials: credentials.clone(),
            cached: Vec::new(),
        };
        for name in needed.iter().filter(|name| tokens.has(name)) {
            let Some(scheme) = self.set.security_schemes.get(name) else {
                continue;
            };
            let asked = Asked {
                name,
                authority: Authority::Scheme(scheme),
                base_url: &self.base_url,
            };
            let Granted { token, cached } = tokens.get_for(who, &asked, client).await?;
            if cached {
                grants.cached.push((name.clone(), token.clone()));
            }
            grants.credentials.schemes.insert(name.clone(), token);
        }
        Ok(grants)
    }
}
