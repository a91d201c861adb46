//! The environment variables of a project.

use mcphub_core::project::{Purpose, Variable};
use mcphub_core::spec::{Location, SecurityScheme};
use mcphub_core::tool::ToolSet;

use super::literal::{bracketed, python_literal};
use super::names::{Names, snake};

/// The variables, and the security schemes that some of them hold secrets of.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) variables: Vec<Variable>,
    /// A Python expression: a dict of schemes by name.
    pub(super) schemes: String,
}

impl Environment {
    /// The variables of a project of this name; those of the API begin with the name.
    pub(super) fn new(name: &str, tools: &ToolSet, base_url: Option<&str>) -> Self {
        let prefix = snake(name, "api").to_ascii_uppercase();
        let mut names = Names::default();
        let mut variables = Vec::new();
        let mut add = |name: String, purpose: Purpose, description: String| {
            let name = names.variable(&name);
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
        let mut schemes = Vec::new();
        for (name, scheme) in &tools.security_schemes {
            let Some((kind, place, description)) = describe(scheme) else {
                continue;
            };
            let suffix = snake(name, "secret").to_ascii_uppercase();
            let variable = add(
                format!("{prefix}_{suffix}"),
                Purpose::Scheme(name.clone()),
                description.to_owned(),
            );
            let mut arguments = vec![
                python_literal(kind),
                format!("variable={}", python_literal(&variable)),
            ];
            arguments.extend(place);
            schemes.push(bracketed(
                &format!("{}: Scheme(", python_literal(name)),
                &arguments,
                ")",
                4,
            ));
        }
        let schemes = if schemes.is_empty() {
            "{}".to_owned()
        } else {
            format!(
                "{{\n{}}}",
                schemes
                    .iter()
                    .map(|scheme| format!("    {scheme},\n"))
                    .collect::<String>()
            )
        };
        Self { variables, schemes }
    }
}

/// Whether the generated code can send a secret for this scheme.
pub(super) fn supported(scheme: &SecurityScheme) -> bool {
    describe(scheme).is_some()
}

fn describe(scheme: &SecurityScheme) -> Option<(&'static str, Vec<String>, &'static str)> {
    Some(match scheme {
        SecurityScheme::ApiKey { location, name } => {
            let (place, description) = match location {
                Location::Query => ("query", "An API key, sent in the query."),
                Location::Cookie => ("cookie", "An API key, sent as a cookie."),
                _ => ("header", "An API key, sent as a header."),
            };
            (
                "apiKey",
                vec![
                    format!("location=\"{place}\""),
                    format!("name={}", python_literal(name)),
                ],
                description,
            )
        }
        SecurityScheme::Basic => (
            "basic",
            Vec::new(),
            "`user:password`, sent as basic authentication.",
        ),
        SecurityScheme::Bearer => ("bearer", Vec::new(), "A bearer token."),
        SecurityScheme::OAuth2 => (
            "bearer",
            Vec::new(),
            "An OAuth 2 access token that you obtained.",
        ),
        SecurityScheme::OpenIdConnect => (
            "bearer",
            Vec::new(),
            "An OpenID Connect token that you obtained.",
        ),
        _ => return None,
    })
}
