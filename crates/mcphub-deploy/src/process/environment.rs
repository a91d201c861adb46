//! What a process finds in its environment.

use std::collections::BTreeMap;
use std::ffi::OsString;

use mcphub_core::deployment::DeploymentSpec;
use mcphub_core::project::{Purpose, Variable};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::{Error, Result};
use serde_json::Value;

/// The variables of the host that a server gets, with all that begin with `LC_`. Everything else is
/// left out, so that one server does not see the host's secrets or another's.
pub const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Variables that say where Python finds its code: a virtual environment of the host must not leak
/// into one that is being built.
const PYTHON_STATE: &[&str] = &[
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PROJECT_ENVIRONMENT",
];

/// The environment of a server that listens on a loopback port.
///
/// # Errors
/// `InvalidInput` when the artifact has no variable for its port, or a name is no POSIX name.
pub(super) fn of_server(
    spec: &DeploymentSpec,
    port: u16,
    token: &SecretString,
) -> Result<Vec<(OsString, OsString)>> {
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| is_inherited(name))
        .collect();
    // Output arrives when it is printed, not when a buffer is full.
    environment.push(("PYTHONUNBUFFERED".into(), "1".into()));
    for (name, value) in &spec.environment {
        check_name(name)?;
        environment.push((name.into(), value.expose_secret().into()));
    }
    let port = port.to_string();
    let mut has_port = false;
    for Variable { name, purpose, .. } in &spec.artifact.environment {
        let value = match purpose {
            Purpose::Transport => "http",
            Purpose::Host => "127.0.0.1",
            Purpose::Port => &port,
            Purpose::ServerToken => token.expose_secret(),
            _ => continue,
        };
        check_name(name)?;
        has_port |= *purpose == Purpose::Port;
        environment.push((name.into(), value.into()));
    }
    if !has_port {
        return Err(Error::invalid(
            "the artifact has no variable that says which port to listen on",
        ));
    }
    Ok(environment)
}

/// The environment of a program that is spoken to: what servers inherit, and the variables given.
///
/// # Errors
/// `InvalidInput` when a name is no POSIX name.
pub(super) fn of_program(
    variables: &BTreeMap<String, SecretString>,
) -> Result<Vec<(OsString, OsString)>> {
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| is_inherited(name))
        .collect();
    environment.push(("PYTHONUNBUFFERED".into(), "1".into()));
    for (name, value) in variables {
        check_name(name)?;
        environment.push((name.into(), value.expose_secret().into()));
    }
    Ok(environment)
}

/// The values that must not show in what the server prints.
pub(super) fn secrets_of(spec: &DeploymentSpec, token: &SecretString) -> Vec<SecretString> {
    let mut secrets = vec![token.clone()];
    for (name, value) in &spec.environment {
        let variable = spec
            .artifact
            .environment
            .iter()
            .find(|variable| variable.name == *name);
        match variable.map(|variable| &variable.purpose) {
            Some(Purpose::BaseUrl | Purpose::Transport | Purpose::Host | Purpose::Port) => continue,
            Some(Purpose::Headers) => {
                if let Ok(Value::Object(headers)) = serde_json::from_str(value.expose_secret()) {
                    secrets.extend(
                        headers
                            .values()
                            .filter_map(Value::as_str)
                            .map(SecretString::from),
                    );
                }
            }
            _ => {}
        }
        secrets.push(value.clone());
    }
    secrets
}

/// The environment of a tool that builds: the host's, since it holds how to reach the package
/// index, without the host's own secrets and the Python that it runs in.
pub(super) fn of_tool() -> Vec<(OsString, OsString)> {
    let own = |name: &OsString| {
        name.to_str()
            .is_some_and(|name| name.starts_with("MCPHUB_") || PYTHON_STATE.contains(&name))
    };
    let mut environment: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| !own(name)).collect();
    for (name, value) in [
        ("NO_COLOR", "1"),
        ("UV_NO_PROGRESS", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_PROGRESS_BAR", "off"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ] {
        environment.push((name.into(), value.into()));
    }
    environment
}

fn is_inherited(name: &OsString) -> bool {
    name.to_str()
        .is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
}

fn check_name(name: &str) -> Result<()> {
    let legal = name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if legal && !name.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(
        "a variable name has A-Z, a-z, 0-9 and `_`, and does not begin with a digit",
    )
    .with("name", name.chars().take(64).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mcphub_core::artifact::{Artifact, Program};

    use super::*;

    fn spec(purposes: &[(&str, Purpose)], environment: &[(&str, &str)]) -> DeploymentSpec {
        let artifact = Artifact {
            digest: "d".into(),
            program: Program::Command {
                executable: "/bin/true".into(),
                arguments: vec![],
                directory: "/".into(),
            },
            environment: purposes
                .iter()
                .map(|(name, purpose)| Variable {
                    name: (*name).into(),
                    purpose: purpose.clone(),
                    description: String::new(),
                })
                .collect(),
        };
        let mut spec = DeploymentSpec::new("x".parse().unwrap(), artifact);
        spec.environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        spec
    }

    #[test]
    fn a_server_gets_what_it_needs_and_nothing_else() {
        let purposes = [
            ("T", Purpose::Transport),
            ("P", Purpose::Port),
            ("H", Purpose::Host),
            ("K", Purpose::ServerToken),
        ];
        let environment =
            of_server(&spec(&purposes, &[("API", "v")]), 4711, &"token".into()).unwrap();
        let map: BTreeMap<_, _> = environment
            .iter()
            .map(|(k, v)| (k.to_str().unwrap(), v.to_str().unwrap()))
            .collect();
        for (name, value) in [
            ("T", "http"),
            ("P", "4711"),
            ("H", "127.0.0.1"),
            ("K", "token"),
            ("API", "v"),
        ] {
            assert_eq!(map[name], value);
        }
        assert!(map.contains_key("PATH"));
        assert!(
            !map.keys().any(|name| name.starts_with("CARGO")),
            "the host's own variables leak"
        );
    }

    #[test]
    fn names_that_a_shell_drops_and_artifacts_without_a_port_are_refused() {
        let port = [("P", Purpose::Port)];
        for name in ["A-B", "1A", "", "A=B", "É"] {
            assert!(
                of_server(&spec(&port, &[(name, "v")]), 1, &"t".into()).is_err(),
                "{name}"
            );
        }
        assert!(of_server(&spec(&[], &[]), 1, &"t".into()).is_err());
    }

    #[test]
    fn the_base_url_is_no_secret_and_each_header_is_one() {
        let purposes = [("B", Purpose::BaseUrl), ("H", Purpose::Headers)];
        let spec = spec(
            &purposes,
            &[
                ("B", "http://api"),
                ("H", r#"{"X-Key":"sesame"}"#),
                ("OTHER", "other"),
            ],
        );
        let secrets = secrets_of(&spec, &"token".into());
        let secrets: Vec<&str> = secrets
            .iter()
            .map(|secret| secret.expose_secret())
            .collect();
        assert_eq!(
            secrets,
            ["token", "sesame", r#"{"X-Key":"sesame"}"#, "other"]
        );
    }
}
