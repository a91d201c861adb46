//! `mcphub login`: a person lets a server's calls in.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use mcphub_core::secret::{Credentials, Grant, SecretString};
use mcphub_core::server::ServerRecord;
use mcphub_core::spec::SecurityScheme;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::native::oauth::{self, LoginSettings};
use mcphub_gateway::upstream::native::{NativeClient, NativeSettings};
use url::Url;

use crate::cli::Login;
use crate::config::Config;
use crate::host::Host;
use crate::redirect::Redirect;
use crate::{credentials, output, progress};

pub async fn run(args: Login) -> Result<ExitCode> {
    let config = Config::load(None)?.with_store(&args.store);
    let host = Host::open(&config).await?;
    let record = host.platform.find(&source(&args.server)).await;
    let record = record.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::not_found(
            "no such server is registered; `mcphub up SPEC` registers one, and may go on running",
        )
        .with("server", &args.server),
        _ => error,
    })?;
    let held = host.platform.credentials(&record.name).await?;
    let (name, scheme) = scheme(&record, args.scheme.as_deref())?;
    let mut settings = LoginSettings::new(client(&args, &held, name)?);
    settings.scopes.clone_from(&args.scopes);
    settings.issuer.clone_from(&args.issuer);
    let mut limits = NativeSettings::default();
    limits.refuse_private_addresses = config.refuse_private_addresses;
    let http = NativeClient::new(limits)?.trusting(held.authorities.as_deref())?;
    let found = oauth::Login::discover(http, record.base_url()?, scheme, settings);
    let login = progress::during("finding out where to log in", found).await?;
    let grant = if args.device || !login.has_browser() {
        with_device(login).await?
    } else {
        with_browser(login, &args).await?
    };
    let lasts = match (&grant.refresh_token, grant.remaining()) {
        (Some(_), _) => "it is renewed by itself".to_owned(),
        (None, Some(left)) => format!(
            "it ends in {} min, and cannot be renewed",
            left.as_secs() / 60
        ),
        (None, None) => "its server does not say how long it lasts".to_owned(),
    };
    host.platform.log_in(&record.name, name, grant).await?;
    output::line(&format!("Logged in to {} ({name}): {lasts}", record.name))?;
    Ok(ExitCode::SUCCESS)
}

async fn with_browser(login: oauth::Login, args: &Login) -> Result<Grant> {
    let redirect = Redirect::bind(args.port).await?;
    let login = login.with_browser(redirect.url().clone())?;
    open(login.url(), args.no_browser)?;
    let login = Arc::new(login);
    let ours = Arc::clone(&login);
    let answer = redirect.answer(Arc::new(move |query| ours.is_answer(query)));
    let query = progress::during("waiting for the browser", answer).await?;
    // The listener that shared it has ended.
    let login = Arc::into_inner(login)
        .ok_or_else(|| Error::internal("the listener for the browser goes on"))?;
    progress::during("getting the tokens", login.finish(&query)).await
}

async fn with_device(login: oauth::Login) -> Result<Grant> {
    let login = progress::during("asking for a code", login.with_device()).await?;
    output::line(&format!("Open {}\nand enter {}", login.url(), login.code()))?;
    if let Some(url) = login.complete_url() {
        output::line(&format!("or open {url}"))?;
    }
    progress::during("waiting for the other device", login.finish()).await
}

/// Shows where to log in, and opens a browser there unless that is unwanted or impossible.
fn open(url: &Url, only_show: bool) -> Result<()> {
    output::line(&format!("Log in at\n{url}"))?;
    if !only_show && open::that_detached(url.as_str()).is_err() {
        output::say("no browser can be started here; open the address in one of this machine");
    }
    Ok(())
}

/// What a document is registered under, however it is named here.
fn source(name: &str) -> String {
    let path = std::fs::canonicalize(Path::new(name)).ok();
    path.map_or_else(
        || name.to_owned(),
        |path| path.to_string_lossy().into_owned(),
    )
}

/// The security scheme to log in to: the one named, else the only one with logins.
fn scheme<'r>(
    record: &'r ServerRecord,
    wanted: Option<&str>,
) -> Result<(&'r str, &'r SecurityScheme)> {
    let schemes = &record.tools.security_schemes;
    let found: Vec<_> = schemes
        .iter()
        .filter(|(name, scheme)| {
            scheme.has_logins() && wanted.is_none_or(|wanted| wanted == name.as_str())
        })
        .map(|(name, scheme)| (name.as_str(), scheme))
        .collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Error::invalid(
            "the document has no such OAuth 2 or OpenID Connect scheme to log in to",
        )
        .with("scheme", wanted.unwrap_or("any"))),
        _ => {
            let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            let error = Error::invalid("the document has several schemes; name one with --scheme");
            Err(error.with("schemes", names.join(", ")))
        }
    }
}

/// The client to log in as: the one named, else that of the login before.
fn client(args: &Login, held: &Credentials, scheme: &str) -> Result<SecretString> {
    if let Some(id) = &args.client_id {
        return Ok(id.as_str().into());
    }
    if let Some(variable) = &args.client_env {
        return Ok(credentials::variable_value("--client-env", variable)?.into());
    }
    let before = held.grants.get(scheme).map(|grant| grant.client.clone());
    before.ok_or_else(|| {
        Error::invalid(
            "an authorization server lets in clients that it knows; register one with it, and give --client-id ID, or --client-env VAR for `id:secret`",
        )
    })
}
