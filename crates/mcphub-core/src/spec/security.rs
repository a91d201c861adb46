//! Security Scheme Object: how an API wants to be shown who calls.

use serde::{Deserialize, Serialize};

use super::Location;

/// How an API wants to be shown who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
#[non_exhaustive]
pub enum SecurityScheme {
    /// A secret in a header, the query or a cookie.
    ApiKey {
        /// Never `path`.
        #[serde(rename = "in")]
        location: Location,
        /// The name of the header, query parameter or cookie.
        name: String,
    },
    /// `Authorization: Basic …` (RFC 7617).
    Basic,
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Digest …`, an answer to what the API asks (RFC 7616).
    Digest,
    /// A client certificate (TLS, RFC 8446, 4.4.2).
    MutualTls,
    /// A bearer token that a client obtains for itself, or that a person lets it have. URLs are
    /// those of the document, possibly relative to the API.
    #[serde(rename_all = "camelCase")]
    OAuth2 {
        /// Where a client gets tokens with its own credentials (OpenAPI 3.0.4, OAuth Flows Object,
        /// `clientCredentials`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_url: Option<String>,
        /// How a person with a browser lets a client in (`authorizationCode`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization_code: Option<Box<OAuthFlow>>,
        /// How a person with another device does (3.2.0, `deviceAuthorization`; RFC 8628).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<Box<OAuthFlow>>,
        /// Where the authorization server describes itself (3.2.0, `oauth2MetadataUrl`; RFC 8414).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata_url: Option<String>,
    },
    /// As `OAuth2`, at a server that describes itself (OpenID Connect Discovery 1.0).
    OpenIdConnect {
        /// Of the description, such as `https://login.example/.well-known/openid-configuration`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// Known by name only; calls that need it are sent without it.
    Unsupported {
        /// What the document says.
        scheme: String,
    },
}

/// How a person lets a client have tokens (OpenAPI 3.0.4, OAuth Flow Object).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuthFlow {
    /// `authorizationUrl`, or `deviceAuthorizationUrl`.
    pub url: String,
    /// `tokenUrl`.
    pub token_url: String,
    /// `refreshUrl`; tokens are renewed at `token_url` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<String>,
    /// The names of what can be asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

impl SecurityScheme {
    /// Whether it is an access token that goes as a bearer token.
    pub fn is_bearer(&self) -> bool {
        matches!(self, Self::Bearer) || self.has_logins()
    }

    /// Whether a person can log in to it, and gets an access token.
    pub fn has_logins(&self) -> bool {
        matches!(self, Self::OAuth2 { .. } | Self::OpenIdConnect { .. })
    }
}
