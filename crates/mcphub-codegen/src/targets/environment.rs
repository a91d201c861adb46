//! The environment variables of a project: the same names in every language.

use mcphub_core::project::{Purpose, Variable};
use mcphub_core::spec::{Location, SecurityScheme};
use mcphub_core::tool::ToolSet;

use super::names::{Unique, snake};

/// The variables, and the security schemes that some of them hold secrets of.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) variables: Vec<Variable>,
    /// Those whose secrets a generated project can send, in the order of the document.
    pub(super) schemes: Vec<Scheme>,
}

/// A security scheme as generated code needs it.
#[derive(Debug)]
pub(super) struct Scheme {
    /// The name in the document.
    pub(super) name: String,
    /// The environment variable of its secret.
    pub(super) variable: String,
    pub(super) kind: SchemeKind,
}

/// How a secret is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SchemeKind {
    /// Under a name, in the `header`, the `query` or a `cookie`.
    ApiKey {
        place: &'static str,
        name: String,
    },
    Basic,
    Bearer,
    /// The answer to what the API asks.
    Digest,
    /// The client certificate, which is one for all schemes.
    Certificate,
}

impl Environment {
    /// The variables of a project of this name; those of the API begin with the name.
    pub(super) fn new(name: &str, tools: &ToolSet, base_url: Option<&str>) -> Self {
        let prefix = snake(name, "api").to_ascii_uppercase();
        let mut names = Unique::default();
        let mut variables = Vec::new();
        let mut add = |name: String, purpose: Purpose, description: String| {
            let name = names.name(name);
            variables.push(Variable {
                name: name.clone(),
                purpose,
                description,
            });
            name
        };
        add(
            "MCP_TRANSPORT".into(),
            Purpose::Transport,
            "`stdio` (the default) or `http`.".into(),
        );
        add(
            "MCP_HOST".into(),
            Purpose::Host,
            "The address that HTTP listens on. Default `127.0.0.1`.".into(),
        );
        add(
            "MCP_PORT".into(),
            Purpose::Port,
            "The port that HTTP listens on. Default `8000`.".into(),
        );
        add(
            "MCP_SERVER_TOKEN".into(),
            Purpose::ServerToken,
            "When set, HTTP clients have to send it as `Authorization: Bearer`. Set it whenever others can reach the port.".into(),
        );
        let default = match base_url {
            Some(url) if !url.contains(['`', '|', '\n']) => {
                format!("Where the API is. Default `{url}`.")
            }
            Some(_) => "Where the API is.".to_owned(),
            None => "Where the API is: an http(s) URL. Required.".to_owned(),
        };
        add(format!("{prefix}_BASE_URL"), Purpose::BaseUrl, default);
        add(
            format!("{prefix}_HEADERS"),
            Purpose::Headers,
            "Headers for every call to the API: a JSON object of strings.".into(),
        );
        add(
            format!("{prefix}_BEARER_TOKEN"),
            Purpose::Bearer,
            if tools.security_schemes.is_empty() {
                "A token for every call to the API.".into()
            } else {
                "A token for every bearer, OAuth 2 or OpenID Connect scheme without a secret of its own.".into()
            },
        );
        let identity = add(
            format!("{prefix}_CLIENT_CERT"),
            Purpose::Identity,
            "A client certificate and its private key, shown to an API that asks for one: a PEM file, or its text.".into(),
        );
        add(
            format!("{prefix}_CA_CERT"),
            Purpose::Authorities,
            "Certificates of authorities to trust besides the system's: a PEM file, or its text."
                .into(),
        );
        let mut schemes = Vec::new();
        for (name, scheme) in &tools.security_schemes {
            let Some((kind, description)) = describe(scheme) else {
                continue;
            };
            let suffix = snake(name, "secret").to_ascii_uppercase();
            let variable = match kind {
                SchemeKind::Certificate => identity.clone(),
                _ => add(
                    format!("{prefix}_{suffix}"),
                    Purpose::Scheme(name.clone()),
                    description.to_owned(),
                ),
            };
            schemes.push(Scheme {
                name: name.clone(),
                variable,
                kind,
            });
        }
        Self { variables, schemes }
    }

    /// The name of the variable with that purpose; empty where there is none.
    pub(super) fn name(&self, purpose: &Purpose) -> &str {
        self.variables
            .iter()
            .find(|variable| variable.purpose == *purpose)
            .map_or("", |variable| &variable.name)
    }
}

/// Whether the generated code can send a secret for this scheme.
pub(super) fn supported(scheme: &SecurityScheme) -> bool {
    describe(scheme).is_some()
}

fn describe(scheme: &SecurityScheme) -> Option<(SchemeKind, &'static str)> {
    Some(match scheme {
        SecurityScheme::ApiKey { location, name } => {
            let (place, description) = match location {
                Location::Query => ("query", "An API key, sent in the query."),
                Location::Cookie => ("cookie", "An API key, sent as a cookie."),
                _ => ("header", "An API key, sent as a header."),
            };
            let name = name.clone();
            (SchemeKind::ApiKey { place, name }, description)
        }
        SecurityScheme::Basic => (
            SchemeKind::Basic,
            "`user:password`, sent as basic authentication.",
        ),
        SecurityScheme::Bearer => (SchemeKind::Bearer, "A bearer token."),
        SecurityScheme::Digest => (
            SchemeKind::Digest,
            "`user:password`, with which what the API asks is answered (HTTP digest).",
        ),
        SecurityScheme::MutualTls => (SchemeKind::Certificate, "A client certificate."),
        SecurityScheme::OAuth2 { .. } => (
            SchemeKind::Bearer,
            "An OAuth 2 access token that you obtained.",
        ),
        SecurityScheme::OpenIdConnect { .. } => (
            SchemeKind::Bearer,
            "An OpenID Connect token that you obtained.",
        ),
        _ => return None,
    })
}
