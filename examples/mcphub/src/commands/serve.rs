//! `mcphub serve`: the gateway over the store.

use std::process::ExitCode;

use mcphub_core::tenant::Actor;
use mcphub_core::{Error, ErrorKind, Result};

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::host::Host;
use crate::{connected, output, progress, running, serving};

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
    if let Some(auth) = args.auth {
        config.auth = auth;
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    let host = Host::open(&config).await?;
    let Some(listener) = serving::bind(config.listen).await? else {
        if running::is_running(config.listen, &host.instance).await {
            output::say(&format!(
                "a gateway over this store already serves http://{}/mcp",
                config.listen
            ));
        }
        return Err(serving::in_use(config.listen));
    };
    register(&host, &config).await?;
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
    let address = listener.local_addr().unwrap_or(config.listen);
    output::line(&format!(
        "Serving MCP at http://{address}/mcp (Ctrl-C stops)"
    ))?;
    serving::serve_http(&host, &gateway, listener).await?;
    Ok(ExitCode::SUCCESS)
}

/// Registers the servers of the configuration. One that cannot be met is registered all the same:
/// its tools come when it answers.
async fn register(host: &Host, config: &Config) -> Result<()> {
    for (name, configured) in &config.servers {
        let wanted = configured.wanted(name)?;
        if connected::is_registered(host, &wanted).await? {
            continue;
        }
        let met = connected::add(host, wanted.clone(), true);
        let met = progress::during(&format!("meeting {name}"), met).await;
        match met.as_ref().map_err(Error::kind) {
            Err(ErrorKind::Unavailable | ErrorKind::Upstream | ErrorKind::Timeout) => {
                if let Err(error) = met {
                    let report = error.report();
                    output::say(&format!("warning: {name} does not answer: {report}"));
                }
                connected::add(host, wanted, false).await?;
            }
            _ => drop(met?),
        }
    }
    Ok(())
}
