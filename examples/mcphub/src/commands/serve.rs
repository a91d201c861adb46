//! `mcphub serve`: the gateway over the store.

use std::process::ExitCode;

use futures::stream::{self, StreamExt, TryStreamExt};
use mcphub_core::tenant::Actor;
use mcphub_core::virtual_server::StoredVirtualServer;
use mcphub_core::{ErrorKind, Result};

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::connected::Wanted;
use crate::host::Host;
use crate::{connected, output, progress, running, serving};

/// How many servers of the configuration are met at once.
const AT_ONCE: usize = 16;

pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    let mut config = Config::load(args.config.as_deref())?
        .with_store(&args.store)
        .with_shared(&args.shared);
    // What changes while it serves is nobody's doing.
    config.actor = Actor::default();
    if args.rate_limit.is_some() {
        config.rate_limit = args.rate_limit;
        config.rate_burst = args.rate_burst;
    }
    if args.cache.is_some() {
        config.cache = args.cache;
    }
    if let Some(auth) = args.auth {
        config.auth = auth;
    }
    if let Some(tools) = args.tools {
        config.tools = tools;
    }
    config.allowed_hosts.extend(args.allow_hosts);
    if args.public_url.is_some() {
        config.public_url = args.public_url;
    }
    if args.metrics_listen.is_some() {
        config.metrics_listen = args.metrics_listen;
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    // What is wrong with a server shows before anything is opened.
    let servers = wanted(&config)?;
    let host = Host::open(&config).await?;
    let Some(listener) = serving::bind(config.listen).await? else {
        if running::is_running(config.listen, &host.instance).await {
            output::say(&format!(
                "a gateway over this store already serves http://{}/mcp",
                config.listen
            ));
        }
        return Err(serving::in_use(config.listen, "--listen"));
    };
    let metrics = match config.metrics_listen {
        Some(address) => {
            let listener = serving::bind(address).await?;
            Some(listener.ok_or_else(|| serving::in_use(address, "--metrics-listen"))?)
        }
        None => None,
    };
    register(&host, servers).await?;
    host.discovering.look().await;
    let gateway = host.gateway()?;
    gateway.refresh().await?;
    let servers = host.platform.servers().await?;
    if servers.is_empty() {
        output::say(
            "nothing is registered yet; `mcphub up SPEC` registers an API, also while this runs",
        );
    }
    for server in &servers {
        output::say(&format!(
            "{}: {} tools from {}",
            server.name, server.tools, server.source
        ));
    }
    for (name, chosen) in gateway.virtual_servers() {
        output::say(&format!("{name}: {chosen} tools chosen from other servers"));
    }
    let _operators = metrics.map(|listener| serving::serve_operators(&gateway, listener));
    let address = listener.local_addr().unwrap_or(config.listen);
    let stop = serving::stop_signal();
    output::line(&format!(
        "Serving MCP at http://{address}/mcp (Ctrl-C stops)"
    ))?;
    serving::serve_http(&host, &gateway, listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// The servers of the configuration.
fn wanted(config: &Config) -> Result<Vec<Wanted>> {
    let servers = config.servers.iter();
    servers
        .map(|(name, configured)| configured.wanted(name))
        .collect()
}

/// Registers the servers of the configuration, a few at once. One that cannot be met is registered
/// all the same: its tools come when it answers.
async fn register(host: &Host, mut servers: Vec<Wanted>) -> Result<()> {
    // A name that was given twice keeps nobody else from being served.
    for StoredVirtualServer { server, .. } in host.platform.virtual_servers().await? {
        servers.retain(|wanted| {
            let free = wanted.name != server.name;
            if !free {
                output::say(&format!(
                    "warning: [servers.{}] is left out: a virtual server has that name",
                    server.name
                ));
            }
            free
        });
    }
    let meeting = stream::iter(servers)
        .map(|wanted| meet(host, wanted))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>();
    let warnings = progress::during("meeting servers", meeting).await?;
    warnings.iter().flatten().for_each(|text| output::say(text));
    Ok(())
}

/// Registers one server. Gives a warning for one that cannot be met.
async fn meet(host: &Host, wanted: Wanted) -> Result<Option<String>> {
    if connected::is_registered(host, &wanted).await? {
        return Ok(None);
    }
    match connected::add(host, wanted.clone(), true).await {
        Ok(_) => Ok(None),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Upstream | ErrorKind::Timeout
            ) =>
        {
            let (name, report) = (wanted.name.clone(), error.report());
            connected::add(host, wanted, false).await?;
            Ok(Some(format!("warning: {name} does not answer: {report}")))
        }
        Err(error) => Err(error),
    }
}
