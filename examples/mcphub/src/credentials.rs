//! Credentials from flags and environment variables.

use std::io::Read;
use std::path::Path;

use mcphub_core::secret::{Credentials, ExposeSecret, SecretString, Subject, TokenExchange};
use mcphub_core::{Error, Result};
use mcphub_gateway::upstream::native::{NativeClient, NativeSettings};

use crate::cli::ApiArgs;

/// The largest file of certificates, in bytes.
const MAX_PEM: u64 = 1024 * 1024;

/// The credentials that the flags name.
///
/// # Errors
/// `InvalidInput` for a header without `:`, an illegal header name, a variable that is not set, or a
/// certificate that cannot be used.
/// No error shows a value.
pub fn from_flags(args: &ApiArgs) -> Result<Credentials> {
    let mut credentials = Credentials::default();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Error::invalid("--header takes `Name: value`, with a colon after the name")
        })?;
        credentials.headers.push(self::header(name, value)?);
    }
    if let Some(variable) = &args.bearer_env {
        credentials.bearer = Some(variable_value("--bearer-env", variable)?.into());
    }
    for secret in &args.secrets {
        let (scheme, variable) = secret.split_once('=').ok_or_else(|| {
            Error::invalid(
                "--secret-env takes SCHEME=VAR: a security scheme of the document and a variable",
            )
        })?;
        let value = variable_value("--secret-env", variable)?;
        credentials.schemes.insert(scheme.to_owned(), value.into());
    }
    for client in &args.clients {
        let (scheme, variable) = client.split_once('=').ok_or_else(|| {
            Error::invalid(
                "--client-env takes SCHEME=VAR: an OAuth 2 scheme of the document and a variable",
            )
        })?;
        let value = variable_value("--client-env", variable)?;
        credentials.clients.insert(scheme.to_owned(), value.into());
    }
    for scope in &args.scopes {
        let (scheme, scopes) = scope.split_once('=').ok_or_else(|| {
            Error::invalid("--client-scope takes SCHEME=SCOPES, the scopes separated by spaces")
        })?;
        if !credentials.clients.contains_key(scheme) {
            return Err(
                Error::invalid("--client-scope: the scheme has no --client-env")
                    .with("scheme", scheme),
            );
        }
        let scopes = scopes.to_owned();
        credentials.scopes.insert(scheme.to_owned(), scopes);
    }
    for exchange in &args.exchanges {
        let (scheme, exchange) = exchange.split_once('=').ok_or_else(|| {
            Error::invalid("--exchange takes SCHEME=gateway, an OAuth 2 scheme of the document")
        })?;
        if !credentials.clients.contains_key(scheme) {
            return Err(
                Error::invalid("--exchange: the scheme has no --client-env").with("scheme", scheme)
            );
        }
        let exchange: TokenExchange = exchange.parse()?;
        if exchange.subject != Subject::Gateway {
            return Err(Error::invalid(
                "--exchange: an API has one login for all; `gateway` says who calls",
            ));
        }
        credentials.exchanges.insert(scheme.to_owned(), exchange);
    }
    for (scheme, client) in &credentials.clients {
        check_client(client, credentials.exchanges.contains_key(scheme))
            .map_err(|error| error.with("scheme", scheme))?;
    }
    certificates(args, &mut credentials)?;
    Ok(credentials)
}

/// That a client can do what it is for: one that gets tokens of its own has a secret.
///
/// # Errors
/// `InvalidInput` otherwise.
pub fn check_client(client: &SecretString, exchanges: bool) -> Result<()> {
    if exchanges || client.expose_secret().contains(':') {
        return Ok(());
    }
    Err(Error::invalid(
        "the variable of --client-env holds `id:secret` of a client",
    ))
}

/// A header with its value.
///
/// # Errors
/// `InvalidInput` for what no header can be.
pub fn header(name: &str, value: &str) -> Result<(String, SecretString)> {
    let (name, value) = (name.trim(), value.trim());
    if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(Error::invalid("this is no legal header name").with("name", name));
    }
    if reqwest::header::HeaderValue::from_str(value).is_err() {
        return Err(
            Error::invalid("the value has characters that no header can hold").with("header", name),
        );
    }
    Ok((name.to_owned(), value.into()))
}

/// Reads the files of certificates, and sees that they can be used.
fn certificates(args: &ApiArgs, credentials: &mut Credentials) -> Result<()> {
    if let Some(file) = &args.ca_cert {
        credentials.authorities = Some(pem("--ca-cert", file)?);
    }
    if let Some(file) = &args.client_cert {
        let mut identity = pem("--client-cert", file)?;
        if let Some(file) = &args.client_key {
            identity.push('\n');
            identity.push_str(&pem("--client-key", file)?);
        }
        credentials.identity = Some(identity.into());
    }
    if credentials.authorities.is_some() || credentials.identity.is_some() {
        let client = NativeClient::new(NativeSettings::default())?;
        let client = client.trusting(credentials.authorities.as_deref())?;
        if let Some(identity) = &credentials.identity {
            client.identified(identity)?;
        }
    }
    Ok(())
}

fn pem(flag: &str, file: &Path) -> Result<String> {
    let unreadable = || Error::invalid(format!("{flag}: the file cannot be read"));
    let unreadable = |error: std::io::Error| {
        let error = unreadable().caused_by(error);
        error.with("file", file.display())
    };
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let mut text = String::new();
    let read = opened.take(MAX_PEM + 1).read_to_string(&mut text);
    if read.map_err(unreadable)? as u64 > MAX_PEM {
        return Err(
            Error::invalid(format!("{flag}: the file is larger than 1 MiB"))
                .with("file", file.display()),
        );
    }
    Ok(text)
}

/// The value of a variable that a flag names.
///
/// # Errors
/// `InvalidInput` when it is not set or empty.
pub fn variable_value(flag: &str, variable: &str) -> Result<String> {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(
            Error::invalid(format!("{flag}: the environment variable is not set"))
                .with("variable", variable),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_header_is_refused_without_showing_its_value() {
        for header in ["no-colon-s3cret", "bad name: s3cret", "X-Key: s3cret\u{7f}"] {
            let args = ApiArgs {
                headers: vec![header.to_owned()],
                ..ApiArgs::default()
            };
            let error = from_flags(&args).unwrap_err();
            assert!(!error.report().contains("s3cret"), "{}", error.report());
        }
    }

    #[test]
    fn scopes_belong_to_a_client() {
        let args = |clients: &[&str]| ApiArgs {
            clients: clients.iter().map(|client| (*client).to_owned()).collect(),
            scopes: vec!["login=read write".to_owned()],
            ..ApiArgs::default()
        };
        let error = from_flags(&args(&[])).unwrap_err();
        assert!(error.to_string().contains("scheme: login"), "{error}");
        // The one variable that surely has a colon in it.
        let credentials = from_flags(&args(&["login=PATH"])).unwrap();
        assert!(credentials.clients.contains_key("login"));
        assert_eq!(credentials.scopes["login"], "read write");
        // And one that surely has none.
        let error = from_flags(&args(&["login=CARGO_PKG_NAME"])).unwrap_err();
        assert!(error.to_string().contains("id:secret"), "{error}");
    }

    #[test]
    fn an_exchange_belongs_to_a_client_which_may_be_public() {
        let args = |clients: &[&str], exchange: &str| ApiArgs {
            clients: clients.iter().map(|client| (*client).to_owned()).collect(),
            exchanges: vec![exchange.to_owned()],
            ..ApiArgs::default()
        };
        let client = ["login=CARGO_PKG_NAME"];
        let credentials = from_flags(&args(&client, "login=gateway,audience=a")).unwrap();
        let audience = credentials.exchanges["login"].audience.as_deref();
        assert_eq!(audience, Some("a"));
        for wrong in ["login", "other=gateway", "login=login"] {
            assert!(from_flags(&args(&client, wrong)).is_err(), "{wrong}");
        }
        assert!(from_flags(&args(&[], "login=gateway")).is_err());
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let args = ApiArgs {
            bearer_env: Some("MCPHUB_TEST_NOT_SET".to_owned()),
            ..ApiArgs::default()
        };
        assert!(
            from_flags(&args)
                .unwrap_err()
                .to_string()
                .contains("MCPHUB_TEST_NOT_SET")
        );
    }
}
