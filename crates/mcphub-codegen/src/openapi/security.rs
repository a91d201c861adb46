//! Security Scheme Object and Security Requirement Object.

use indexmap::IndexMap;
use mcphub_core::spec::{Location, OAuthFlow, SecurityScheme};

use super::Walk;
use super::media_type::is_token;
use super::node::{Node, Object};
use super::place::Place;
use super::remark::shown;

/// The most scopes of a flow; those after them are left out.
const MAX_SCOPES: usize = 256;

impl<'d> Walk<'d> {
    /// `components.securitySchemes`, or `securityDefinitions` of Swagger 2.0.
    pub(super) fn security_schemes(
        &mut self,
        root: &'d Object<'d>,
    ) -> IndexMap<String, SecurityScheme> {
        let mut schemes = IndexMap::new();
        let components = Place::ROOT.key("components");
        let (parent, parent_at, key) = if self.is_swagger() {
            (Some(root), Place::ROOT, "securityDefinitions")
        } else {
            let parent = self.object(root, "components", Place::ROOT);
            (parent, components, "securitySchemes")
        };
        let at = parent_at.key(key);
        let Some(parent) = parent else {
            return schemes;
        };
        for (name, scheme) in self.object(parent, key, parent_at).into_iter().flatten() {
            let here = at.key(name);
            let scheme = match self.follow(scheme, here) {
                Ok(target) => match target.object() {
                    Some(scheme) => self.security_scheme(scheme, target.place(here)),
                    None => {
                        self.remarks
                            .wrong_type(here, "a security scheme object", target.value);
                        continue;
                    }
                },
                Err(skip) => {
                    self.remarks.warn(skip.code, here, || skip.message);
                    continue;
                }
            };
            schemes.insert(name.to_owned(), scheme);
        }
        schemes
    }

    fn security_scheme(&mut self, scheme: &'d Object<'d>, at: Place<'_>) -> SecurityScheme {
        let text = |key: &str| scheme.get(key).and_then(Node::as_str).unwrap_or_default();
        let kind = text("type");
        let known = match kind {
            "basic" if self.is_swagger() => Some(SecurityScheme::Basic),
            "apiKey" => api_key(text("in"), text("name")),
            "http" if text("scheme").eq_ignore_ascii_case("basic") => Some(SecurityScheme::Basic),
            "http" if text("scheme").eq_ignore_ascii_case("bearer") => Some(SecurityScheme::Bearer),
            "http" if text("scheme").eq_ignore_ascii_case("digest") => Some(SecurityScheme::Digest),
            "mutualTLS" => Some(SecurityScheme::MutualTls),
            "oauth2" => Some(self.oauth2(scheme)),
            "openIdConnect" => Some(SecurityScheme::OpenIdConnect {
                url: filled(scheme, "openIdConnectUrl"),
            }),
            _ => None,
        };
        known.unwrap_or_else(|| {
            let named = if kind == "http" { text("scheme") } else { kind };
            let scheme = if named.is_empty() { "unknown" } else { named }.to_owned();
            self.remarks.warn("unsupported-security", at, || {
                format!(
                    "the scheme {} is not supported; calls that need it are sent without it",
                    shown(&scheme)
                )
            });
            SecurityScheme::Unsupported { scheme }
        })
    }

    /// The flows that need no secret of a person: 3.0.4, OAuth Flows Object; 2.0, Security Scheme
    /// Object, `flow`.
    fn oauth2(&self, scheme: &'d Object<'d>) -> SecurityScheme {
        if self.is_swagger() {
            let flow = scheme.get("flow").and_then(Node::as_str);
            return SecurityScheme::OAuth2 {
                token_url: filled(scheme, "tokenUrl").filter(|_| flow == Some("application")),
                authorization_code: oauth_flow(scheme, "authorizationUrl")
                    .filter(|_| flow == Some("accessCode")),
                device: None,
                metadata_url: None,
            };
        }
        let flow = |name: &str| scheme.get("flows")?.get(name)?.as_object();
        SecurityScheme::OAuth2 {
            token_url: flow("clientCredentials").and_then(|flow| filled(flow, "tokenUrl")),
            authorization_code: flow("authorizationCode")
                .and_then(|flow| oauth_flow(flow, "authorizationUrl")),
            device: flow("deviceAuthorization")
                .and_then(|flow| oauth_flow(flow, "deviceAuthorizationUrl")),
            metadata_url: filled(scheme, "oauth2MetadataUrl"),
        }
    }

    /// A list of security requirements; `None` when there is none, or one that cannot be read.
    pub(super) fn security(
        &mut self,
        security: Option<&'d Node<'d>>,
        at: Place<'_>,
        schemes: &IndexMap<String, SecurityScheme>,
    ) -> Option<Vec<Vec<String>>> {
        let alternatives = match security? {
            Node::Array(alternatives) => alternatives,
            other => {
                self.remarks
                    .wrong_type(at, "an array of security requirements", other);
                return None;
            }
        };
        let mut out = Vec::with_capacity(alternatives.len());
        for (index, alternative) in alternatives.iter().enumerate() {
            let here = at.index(index);
            let Node::Object(names) = alternative else {
                self.remarks
                    .wrong_type(here, "a security requirement object", alternative);
                continue;
            };
            let mut needed = Vec::with_capacity(names.len());
            for key in names.keys() {
                let name = scheme_name(key, schemes);
                if !schemes.contains_key(name) {
                    self.remarks
                        .warn("unknown-security-scheme", here.key(key), || {
                            format!(
                                "{} is not among the document's security schemes",
                                shown(key)
                            )
                        });
                }
                needed.push(name.to_owned());
            }
            out.push(needed);
        }
        Some(out)
    }
}

/// A flow with both of its URLs.
fn oauth_flow(flow: &Object<'_>, url: &str) -> Option<Box<OAuthFlow>> {
    let scopes = flow.get("scopes").and_then(Node::as_object);
    Some(Box::new(OAuthFlow {
        url: filled(flow, url)?,
        token_url: filled(flow, "tokenUrl")?,
        refresh_url: filled(flow, "refreshUrl"),
        scopes: scopes
            .into_iter()
            .flat_map(|scopes| scopes.keys().take(MAX_SCOPES))
            .map(str::to_owned)
            .collect(),
    }))
}

/// A text that says something.
fn filled(object: &Object<'_>, key: &str) -> Option<String> {
    let text = object.get(key).and_then(Node::as_str)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The name of the scheme that a requirement names: from 3.2 on it may be a reference, where no
/// scheme has it as its name (3.2.0, Security Requirement Object).
fn scheme_name<'k>(key: &'k str, schemes: &IndexMap<String, SecurityScheme>) -> &'k str {
    match key.strip_prefix("#/components/securitySchemes/") {
        Some(name) if !schemes.contains_key(key) => name,
        _ => key,
    }
}

fn api_key(location: &str, name: &str) -> Option<SecurityScheme> {
    let location = match location {
        "header" => Location::Header,
        "query" => Location::Query,
        "cookie" => Location::Cookie,
        _ => return None,
    };
    let legal = if location == Location::Query {
        !name.is_empty()
    } else {
        is_token(name)
    };
    legal.then(|| SecurityScheme::ApiKey {
        location,
        name: name.to_owned(),
    })
}
