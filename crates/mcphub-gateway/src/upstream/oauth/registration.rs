//! A client that registers itself (RFC 7591), where a person has none to name.

use mcphub_core::secret::SecretString;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::login::{Login, upstream};
use super::server::Failure;

/// RFC 7591, 3.2.1.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
}

impl Login {
    /// Registers a client with the authorization server where none was given; `redirect` is where a
    /// browser comes back to, of a login with a browser.
    ///
    /// # Errors
    /// `InvalidInput` when the server registers none by itself; `Upstream` when it refuses.
    pub async fn register(&mut self, redirect: Option<&Url>) -> Result<()> {
        if self.settings.client.is_some() {
            return Ok(());
        }
        // MCP 2026-07-28, Client Registration: without its type it would be taken for a web
        // application, which does not come back to this machine.
        let (id, secret) = match self.registered("native", redirect).await? {
            Some(client) => client,
            None => return self.client().map(drop),
        };
        let client = match secret {
            Some(secret) => SecretString::from(format!("{id}:{secret}")),
            None => id.into(),
        };
        self.settings.client = Some(client);
        Ok(())
    }

    /// Registers a client of this type, where the server does that by itself: its name and its secret.
    pub(super) async fn registered(
        &self,
        kind: &str,
        redirect: Option<&Url>,
    ) -> Result<Option<(String, Option<String>)>> {
        let Some(url) = self.registration.clone() else {
            return Ok(None);
        };
        let mut client = json!({
            "client_name": "mcphub",
            "application_type": kind,
            "token_endpoint_auth_method": "none",
        });
        match redirect {
            Some(redirect) => {
                client["redirect_uris"] = json!([redirect]);
                client["grant_types"] = json!(["authorization_code", "refresh_token"]);
                client["response_types"] = json!(["code"]);
            }
            None => {
                let device = "urn:ietf:params:oauth:grant-type:device_code";
                client["grant_types"] = json!([device, "refresh_token"]);
            }
        }
        if let Some(scopes) = &self.settings.scopes {
            client["scope"] = json!(scopes);
        }
        let answer = self.server().post_json(&url, &client).await;
        let registered: Registered = answer.map_err(|failure| {
            let text = format!(
                "no client could be registered: {}; register one, and give --client-id ID",
                failure.text
            );
            Error::new(ErrorKind::Upstream, text)
        })?;
        let Registered {
            client_id: id,
            client_secret: secret,
        } = registered;
        let secret = secret.filter(|secret| !secret.is_empty());
        // A colon is what ends the name where both are kept as one text (RFC 7617, 2).
        if id.is_empty() || id.contains(':') {
            let text = "the client that was registered has a name with a colon, or none";
            return Err(upstream(Failure::new(text)));
        }
        Ok(Some((id, secret)))
    }
}
