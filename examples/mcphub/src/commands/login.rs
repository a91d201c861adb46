//! `mcphub login`: a person lets a server's calls in.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use mcphub_core::connection::Connection;
use mcphub_core::secret::{Credentials, Grant, SecretString};
use mcphub_core::server::{Serve, ServerRecord};
use mcphub_core::spec::SecurityScheme;
use mcphub_core::store::{DocumentStore, Users};
use mcphub_core::user::UserName;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::native::{NativeClient, NativeSettings};
use mcphub_gateway::upstream::oauth::{self, LoginSettings};
use url::Url;

use crate::cli::Login;
use crate::config::Config;
use crate::host::Host;
use crate::redirect::Redirect;
use crate::{connected, credentials, output, progress};

/// How many users are read at once.
const USERS: u32 = 1_000;

pub async fn run(args: Login) -> Result<ExitCode> {
    let config = Config::load(None)?.with_store(&args.store);
    let host = Host::open(&config).await?;
    let record = host.platform.find(&source(&args.server)).await;
    let record = record.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::not_found(
            "no such server is registered; `mcphub up SPEC` registers an API, and `mcphub add` an MCP server",
        )
        .with("server", &args.server),
        _ => error,
    })?;
    let held = host.platform.credentials(&record.name).await?;
    let mut limits = NativeSettings::default();
    limits.refuse_private_addresses = config.refuse_private_addresses;
    let http = NativeClient::new(limits)?.trusting(held.authorities.as_deref())?;
    let (name, login) = match record.serve {
        Serve::Remote => at_mcp_server(&host, &args, &record, &held, http).await?,
        _ => at_api(&args, &record, &held, http).await?,
    };
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
    host.platform
        .log_in(&record.name, &name, grant.clone())
        .await?;
    output::line(&format!("Logged in to {} ({name}): {lasts}", record.name))?;
    // A login that is exchanged is not for the server, which lists its tools to the client.
    let shown = !held.exchanges.contains_key(Connection::LOGIN);
    if record.serve == Serve::Remote && record.tools.tools.is_empty() && shown {
        let meeting = connected::meet_first(&host, &record.name, grant);
        match progress::during("asking for its tools", meeting).await {
            Ok(number) => output::line(&format!("{}: {number} tools", record.name))?,
            Err(error) => output::complain(&format!("its tools are not known: {}", error.report())),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A login to a security scheme of an API's document, and what it is kept as.
async fn at_api(
    args: &Login,
    record: &ServerRecord,
    held: &Credentials,
    http: NativeClient,
) -> Result<(String, oauth::Login)> {
    if args.user.is_some() {
        return Err(Error::invalid(
            "users have logins of their own at MCP servers, added with --per-user; an API has one for all",
        ));
    }
    let (name, scheme) = scheme(record, args.scheme.as_deref())?;
    let mut settings = settings(args)?;
    if settings.client.is_none() {
        settings.client = Some(client_of_before(held, name)?);
    }
    let found = oauth::Login::discover(http, record.base_url()?, scheme, settings);
    let login = progress::during("finding out where to log in", found).await?;
    Ok((name.to_owned(), login))
}

/// A login to an MCP server, and what it is kept as.
async fn at_mcp_server(
    host: &Host,
    args: &Login,
    record: &ServerRecord,
    held: &Credentials,
    http: NativeClient,
) -> Result<(String, oauth::Login)> {
    if args.scheme.is_some() {
        return Err(Error::invalid("an MCP server has no security schemes"));
    }
    let document = host.store.document(&record.name).await?;
    let document = document.ok_or_else(|| Error::not_found("the server was removed"))?;
    let connection = Connection::from_document(&document)?;
    let remote = connection.remote();
    let remote = remote.ok_or_else(|| Error::invalid("a program has no login"))?;
    let name = match &args.user {
        Some(_) if !remote.per_user => {
            return Err(Error::invalid(
                "all calls carry the gateway's login at this server; `mcphub add --per-user` says otherwise",
            )
            .with("server", &record.name));
        }
        Some(user) if !is_user(host, user).await? => {
            let message = "there is no such user; `mcphub user add` adds one";
            return Err(Error::not_found(message).with("user", user));
        }
        Some(user) => user.actor().to_string(),
        None => Connection::LOGIN.to_owned(),
    };
    let mut settings = settings(args)?;
    let configured = || remote.issuer.clone();
    settings.issuer = settings.issuer.or_else(configured);
    let found = oauth::Login::at_mcp_server(http, remote.url.clone(), settings);
    let mut login = progress::during("finding out where to log in", found).await?;
    if let Some(before) = held.grants.get(&name) {
        login = login.as_before(before);
    }
    Ok((name, login))
}

/// Whether somebody is called so, disabled or not.
async fn is_user(host: &Host, name: &UserName) -> Result<bool> {
    let mut after = None;
    loop {
        let page = host.store.users(after.as_ref(), USERS).await?;
        if page.users.iter().any(|user| user.name == *name) {
            return Ok(true);
        }
        match page.next {
            // They are sorted.
            Some(next) if next < *name => after = Some(next),
            _ => return Ok(false),
        }
    }
}

fn settings(args: &Login) -> Result<LoginSettings> {
    let mut settings = LoginSettings::unregistered();
    settings.scopes.clone_from(&args.scopes);
    settings.issuer.clone_from(&args.issuer);
    settings.client = match (&args.client_id, &args.client_env) {
        (Some(id), _) => Some(id.as_str().into()),
        (None, Some(variable)) => {
            let value = credentials::variable_value("--client-env", variable)?;
            Some(value.into())
        }
        (None, None) => None,
    };
    Ok(settings)
}

async fn with_browser(mut login: oauth::Login, args: &Login) -> Result<Grant> {
    let redirect = Redirect::bind(args.port).await?;
    login.register(Some(redirect.url())).await?;
    let login = login.with_browser(redirect.url().clone())?;
    open(login.url(), args.no_browser)?;
    let login = Arc::new(login);
    let ours = Arc::clone(&login);
    let answer = redirect.answer(Arc::new(move |query| ours.is_answer(query)));
    let query = progress::during("waiting for the browser", answer).await?;
    progress::during("getting the tokens", login.finish(&query)).await
}

async fn with_device(mut login: oauth::Login) -> Result<Grant> {
    login.register(None).await?;
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
pub(super) fn source(name: &str) -> String {
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

/// The client of the login before.
fn client_of_before(held: &Credentials, scheme: &str) -> Result<SecretString> {
    let before = held.grants.get(scheme).map(|grant| grant.client.clone());
    before.ok_or_else(|| {
        Error::invalid(
            "an authorization server lets in clients that it knows; register one with it, and give --client-id ID, or --client-env VAR for `id:secret`",
        )
    })
}
