//! `mcphub list` and `mcphub remove`.

use std::process::ExitCode;

use mcphub_core::{Error, Result};

use crate::cli::{Format, List, Remove};
use crate::config::Config;
use crate::host::Host;
use crate::output;

pub async fn run(args: List) -> Result<ExitCode> {
    let servers = open(args.store.store).await?.platform.servers().await?;
    match args.format {
        Format::Json => output::json(&servers)?,
        Format::Text if servers.is_empty() => {
            output::say("nothing is registered; `mcphub up SPEC` registers an API")
        }
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
    let host = open(args.store.store).await?;
    if !host.platform.remove(&args.name).await? {
        return Err(
            Error::not_found("no server of that name is registered").with("name", &args.name)
        );
    }
    output::line(&format!(
        "{} is removed; a running gateway drops it within a second",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn open(store: Option<String>) -> Result<Host> {
    let mut config = Config::load(None)?;
    if let Some(store) = store {
        config.store = store;
    }
    Host::open_existing(&config).await
}
