//! `mcphub up`: register documents and serve them.

use std::net::SocketAddr;
use std::process::ExitCode;

use mcphub_core::catalog::CatalogSource;
use mcphub_core::platform::{PublishRequest, Published};
use mcphub_core::spec::Severity;
use mcphub_core::{Error, Result};

use crate::cli::{Auth, ServeMode, Up};
use crate::config::Config;
use crate::host::{self, Host};
use crate::{client_config, credentials, document, output, progress, running, serving};

pub async fn run(args: Up) -> Result<ExitCode> {
    let document = &args.document;
    let for_one = args.name.is_some()
        || args.api.base_url.is_some()
        || !document.overlays.is_empty()
        || !document.choice().is_empty();
    if args.specs.len() > 1 && for_one {
        return Err(Error::invalid(
            "--name, --overlay, --server, --server-variable and --base-url are for one document; run `mcphub up` for each",
        ));
    }
    document.agree_with(args.api.base_url.as_ref())?;
    let mut config = Config::load(None)?
        .with_store(&args.store)
        .with_shared(&args.shared);
    config.store = match (&args.store.store, args.stdio) {
        (Some(store), _) => store.clone(),
        // A desktop client starts programs wherever it likes, and one for each window.
        (None, true) => host::IN_MEMORY.to_owned(),
        (None, false) => config.store,
    };
    if let Some(auth) = args.auth {
        config.auth = auth;
    }
    config
        .allowed_hosts
        .extend(args.allow_hosts.iter().cloned());
    let requests = requests(&args).await?;
    if args.stdio {
        return stdio(&config, requests).await;
    }
    let host = Host::open(&config).await?;
    // The port is taken first: when it cannot be had, nothing has been registered.
    let listener = serving::bind(args.listen).await?;
    if listener.is_none() && !running::is_running(args.listen, &host.instance).await {
        return Err(serving::in_use(args.listen, "--listen"));
    }
    let published = publish(&host, requests).await?;
    match listener {
        None => {
            if args.auth.is_some() {
                output::say("note: the running gateway lets in whom it did; --auth is for a start");
            }
            if !args.allow_hosts.is_empty() {
                output::say(
                    "note: the running gateway has the names that it had; --allow-host is for a start",
                );
            }
            tell_running(&host, args.listen, &published).await?;
        }
        Some(listener) => {
            let gateway = host.gateway()?;
            let address = listener.local_addr().unwrap_or(args.listen);
            start_deployments(&host).await?;
            gateway.refresh().await?;
            let stop = serving::stop_signal();
            announce(&host, address, &args, &published).await?;
            serving::serve_http(&host, &gateway, listener, stop).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn requests(args: &Up) -> Result<Vec<PublishRequest>> {
    let credentials = credentials::from_flags(&args.api)?;
    if matches!(args.serve, ServeMode::Process) && !credentials.clients.is_empty() {
        return Err(Error::invalid(
            "--client-env is for --serve native: a generated project takes tokens that are there already",
        ));
    }
    let mut requests = Vec::new();
    for spec in &args.specs {
        let document = document::load(spec, &args.document);
        let document = progress::during(&format!("fetching {spec}"), document).await?;
        requests.push(PublishRequest {
            document,
            name: args.name.clone(),
            serve: args.serve.into(),
            base_url: args.api.base_url.clone(),
            credentials: credentials.clone(),
            choices: args.tools.choices(),
        });
    }
    Ok(requests)
}

/// Registers the documents; all are read before the first is registered.
pub async fn publish(host: &Host, requests: Vec<PublishRequest>) -> Result<Vec<Published>> {
    let mut prepared = Vec::new();
    for request in requests {
        let platform = host.platform.clone();
        let source = request.document.source.clone();
        let work = host::blocking(move || platform.prepare(request));
        let ready = progress::during("reading the document", work).await;
        prepared.push(ready.map_err(|error| error.with("document", source))?);
    }
    let mut published = Vec::new();
    for prepared in prepared {
        let work = host.platform.publish(prepared);
        published.push(progress::during("registering and building", work).await?);
    }
    for published in &published {
        report(published);
    }
    Ok(published)
}

fn report(published: &Published) {
    let api = &published.tools.api;
    let count = published.tools.tools.len();
    let state = if published.changed {
        ""
    } else {
        " (unchanged)"
    };
    output::say(&format!(
        "{}: {count} tools from {} {}{state}",
        published.name, api.title, api.version
    ));
    let skipped = published
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    if skipped > 0 {
        output::say(&format!(
            "  {skipped} operations were left out; `mcphub inspect` says why"
        ));
    }
}

async fn start_deployments(host: &Host) -> Result<()> {
    let report = progress::during("starting servers", host.platform.reconcile()).await?;
    for (server, error) in report.failed {
        output::say(&format!(
            "warning: {server} does not run: {}",
            error.report()
        ));
    }
    Ok(())
}

async fn tell_running(host: &Host, address: SocketAddr, published: &[Published]) -> Result<()> {
    let version = host.platform.version().await?;
    progress::during(
        "waiting for the running gateway",
        running::serves(address, version.registry),
    )
    .await?;
    let changed = published
        .iter()
        .filter(|published| published.changed)
        .count();
    output::line(&format!(
        "updated {changed} of {} servers of the gateway at http://{address}/mcp",
        published.len()
    ))
}

async fn announce(
    host: &Host,
    address: SocketAddr,
    args: &Up,
    published: &[Published],
) -> Result<()> {
    let servers = host.platform.servers().await?;
    output::line(&format!(
        "Serving MCP at http://{address}/mcp (Ctrl-C stops)"
    ))?;
    for server in &servers {
        let new = published
            .iter()
            .any(|published| published.name == server.name);
        let origin = if new { "" } else { "  (registered before)" };
        output::line(&format!(
            "  http://{address}/mcp/{}  {} tools{origin}",
            server.name, server.tools
        ))?;
    }
    output::line("\nFor a client that takes a URL:")?;
    let mut config = client_config::http("mcphub", &format!("http://{address}/mcp"));
    if host.auth == Auth::Keys {
        client_config::add_key(&mut config, "mcphub");
    }
    output::json(&config)?;
    if let ([published], [spec]) = (published, args.specs.as_slice()) {
        output::line("\nFor a desktop client that starts a program:")?;
        output::json(&client_config::stdio(
            published.name.as_str(),
            &absolute(spec),
            &options(args),
        ))?;
    }
    Ok(())
}

/// The options that say which API it is, for another start; those with secrets are the user's.
fn options(args: &Up) -> Vec<String> {
    let document = &args.document;
    let overlays = document
        .overlays
        .iter()
        .map(|file| ("--overlay", absolute(file)));
    let server = document
        .server
        .iter()
        .map(|server| ("--server", server.clone()));
    let variables = document.server_variables.iter();
    let variables = variables.map(|(name, value)| ("--server-variable", format!("{name}={value}")));
    let base_url = args
        .api
        .base_url
        .iter()
        .map(|url| ("--base-url", url.to_string()));
    let all = overlays.chain(server).chain(variables).chain(base_url);
    all.flat_map(|(option, value)| [option.to_owned(), value])
        .chain(args.tools.to_arguments())
        .collect()
}

/// A path from wherever a program is started; a URL is one already.
fn absolute(document: &str) -> String {
    let path = std::path::absolute(document).ok();
    let path = path.filter(|path| path.exists());
    path.map_or_else(|| document.to_owned(), |path| path.display().to_string())
}

async fn stdio(config: &Config, requests: Vec<PublishRequest>) -> Result<ExitCode> {
    let host = Host::open(config).await?;
    publish(&host, requests).await?;
    start_deployments(&host).await?;
    let gateway = host.gateway()?;
    gateway.refresh().await?;
    serving::serve_stdio(&host, &gateway).await?;
    Ok(ExitCode::SUCCESS)
}
