//! A client's own tokens, and where a client gets any.

use mcphub_core::secret::SecretString;
use mcphub_core::spec::SecurityScheme;
use tokio::time::Instant;
use url::Url;

use super::server::{Failure, Server};
use super::slot::{UNSTATED, until};

/// For which scheme a token is needed, and where.
pub(in crate::upstream) struct Asked<'a> {
    pub(in crate::upstream) name: &'a str,
    pub(in crate::upstream) authority: Authority<'a>,
    /// What relative URLs of the document are relative to; of an MCP server, where it is.
    pub(in crate::upstream) base_url: &'a Url,
}

/// Who gives a client its tokens. A login knows that itself.
pub(in crate::upstream) enum Authority<'a> {
    /// What a document says of a security scheme.
    Scheme(&'a SecurityScheme),
    /// This authorization server, for an MCP server.
    Issuer(&'a Url),
    /// Nobody.
    None,
}

/// Where a client gets tokens.
#[derive(Debug)]
pub(super) struct Place {
    /// The token endpoint.
    pub(super) url: Url,
    /// What the tokens are for (RFC 8707), where they are for an MCP server.
    pub(super) resource: Option<String>,
    /// What to ask for where nobody chose.
    pub(super) scopes: Option<String>,
}

/// A token by RFC 6749, 4.4.2, and until when it is used.
pub(super) async fn client_credentials(
    server: &Server<'_>,
    of: &Asked<'_>,
    client: &SecretString,
    scopes: Option<&str>,
) -> Result<(SecretString, Instant), Failure> {
    let place = place(server, of).await?;
    let scopes = scopes
        .or(place.scopes.as_deref())
        .filter(|it| !it.is_empty());
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scopes.map(|it| ("scope", it)));
    form.extend(place.resource.as_deref().map(|it| ("resource", it)));
    let answer = server.tokens(&place.url, client, &form).await?;
    let until = until(answer.life.unwrap_or(UNSTATED));
    Ok((answer.access_token, until))
}

/// Where a client gets the tokens that are asked for.
pub(super) async fn place(server: &Server<'_>, of: &Asked<'_>) -> Result<Place, Failure> {
    match of.authority {
        Authority::Scheme(scheme) => Ok(Place {
            url: stated(server, scheme).await?,
            resource: None,
            scopes: None,
        }),
        Authority::Issuer(issuer) => {
            let found = server.protected(Some(issuer)).await?;
            let none = || Failure::new("the issuer has no token endpoint");
            let url = found.metadata.token_endpoint.ok_or_else(none)?;
            Ok(Place {
                url: server.url(&url, "token endpoint")?,
                resource: Some(found.resource),
                scopes: found.scopes,
            })
        }
        Authority::None => Err(Failure::new("nobody says which server gives them")),
    }
}

/// The token endpoint for clients of a security scheme.
async fn stated(server: &Server<'_>, scheme: &SecurityScheme) -> Result<Url, Failure> {
    let stated = match scheme {
        SecurityScheme::OAuth2 { token_url, .. } => token_url.clone(),
        _ => None,
    };
    let url = match stated {
        Some(url) => Some(url),
        None => {
            let metadata = server.described(scheme).await?;
            metadata.and_then(|metadata| metadata.token_endpoint)
        }
    };
    let url = url.ok_or_else(|| {
        Failure::new("the document has no token endpoint for clients; give a token instead")
    })?;
    server.url(&url, "document's `tokenUrl`")
}
