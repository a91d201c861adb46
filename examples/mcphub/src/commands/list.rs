//! `mcphub list`, `mcphub remove` and `mcphub restore`.

use std::process::ExitCode;

use mcphub_core::server::ServerName;
use mcphub_core::store::{ServerFilter, ServerStore};
use mcphub_core::{Error, Result};

use crate::cli::{Format, List, Remove, Restore, SharedArgs, StoreArgs};
use crate::config::Config;
use crate::host::{self, Host};
use crate::output;

pub async fn run(args: List) -> Result<ExitCode> {
    let host = open(&args.store).await?;
    let mut filter = ServerFilter::default();
    filter.serve = args.serve.map(Into::into);
    filter.text = args.search;
    filter.tool = args.tool;
    filter.kind = args.kind.map(Into::into);
    filter.status = args.status.into();
    let everything = filter == ServerFilter::default();
    let servers = host.platform.servers_where(filter).await?;
    match args.format {
        Format::Json => output::json(&servers)?,
        Format::Text if servers.is_empty() && everything => {
            output::say("nothing is registered; `mcphub up SPEC` registers an API")
        }
        Format::Text if servers.is_empty() => output::say("there is no such server"),
        Format::Text => {
            for server in servers {
                let (name, how, tools) = (&server.name, server.serve.as_str(), server.tools);
                output::line(&format!(
                    "{name}\t{tools} tools\t{how}\t{}\t{}",
                    server.title, server.source
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn remove(args: Remove) -> Result<ExitCode> {
    let host = open_to_change(&args.store, &args.shared).await?;
    let removed = host.platform.remove(&args.name).await?;
    let purged = args.purge && host.store.purge(&args.name).await?;
    if !removed && !purged {
        return Err(unknown(&args.name));
    }
    let name = &args.name;
    output::line(&match (removed, purged) {
        (_, false) => format!(
            "{name} is removed; a running gateway drops it within a second, and \
             `mcphub restore {name}` brings it back"
        ),
        (true, true) => {
            format!("{name} is deleted; a running gateway drops it within a second")
        }
        (false, true) => format!("{name} is deleted"),
    })?;
    Ok(ExitCode::SUCCESS)
}

pub async fn restore(args: Restore) -> Result<ExitCode> {
    let host = open_to_change(&args.store, &args.shared).await?;
    if !host.platform.restore(&args.name).await? {
        return Err(Error::not_found(
            "no server of that name was removed; `mcphub list --status removed` lists those that were",
        )
        .with("name", &args.name));
    }
    output::line(&format!(
        "{} is back; a running gateway serves it within a second",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The store that is there, for whoever only looks and so has nothing to tell other nodes.
pub async fn open(args: &StoreArgs) -> Result<Host> {
    let mut config = Config::load(None)?.with_store(args);
    config.shared = Some(host::NOTHING_SHARED.to_owned());
    Host::open_existing(&config).await
}

/// The store that is there, and the nodes over it.
pub async fn open_to_change(args: &StoreArgs, shared: &SharedArgs) -> Result<Host> {
    let config = Config::load(None)?.with_store(args).with_shared(shared);
    Host::open_existing(&config).await
}

/// The error for a server that is not there.
pub fn unknown(name: &ServerName) -> Error {
    Error::not_found("no server of that name is registered").with("name", name)
}
