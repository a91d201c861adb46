//! `mcphub add`: MCP servers that exist already.

use std::process::ExitCode;

use mcphub_core::{Error, ErrorKind, Result};

use crate::cli::Add;
use crate::client_config::import;
use crate::config::Config;
use crate::connected::{self, Added, Wanted};
use crate::host::Host;
use crate::{exit, output, progress};

pub async fn run(args: Add) -> Result<ExitCode> {
    let wanted = match &args.from {
        Some(_) => None,
        None => Some(connected::from_flags(&args)?),
    };
    let config = Config::load(None)?
        .with_store(&args.store)
        .with_shared(&args.shared);
    let host = Host::open(&config).await?;
    match wanted {
        Some(wanted) => {
            report(&add(&host, wanted, !args.no_probe).await?)?;
            output::say(
                "a gateway over this store serves it within a second; `mcphub serve` starts one",
            );
            Ok(ExitCode::SUCCESS)
        }
        None => import(&host, &args).await,
    }
}

async fn add(host: &Host, wanted: Wanted, probe: bool) -> Result<Added> {
    let what = format!("meeting {}", wanted.name);
    let work = connected::add(host, wanted, probe);
    progress::during(&what, work).await.map_err(|error| {
        let hint = "--no-probe; its tools come when it answers";
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Upstream | ErrorKind::Timeout => {
                error.with("to register it anyway", hint)
            }
            _ => error,
        }
    })
}

/// Registers the servers of a client, each whatever becomes of the others.
async fn import(host: &Host, args: &Add) -> Result<ExitCode> {
    let Some(file) = &args.from else {
        return Err(Error::invalid("no file is named"));
    };
    let mut failed = None;
    let mut found = false;
    for (title, server) in import::read(file)? {
        if args.name.as_ref().is_some_and(|only| match &server {
            Ok(server) => server.name != *only,
            Err(_) => title != only.as_str(),
        }) {
            continue;
        }
        found = true;
        let outcome = async {
            let server = server?;
            if !server.ignored.is_empty() {
                let ignored = server.ignored.join(", ");
                output::say(&format!("{}: not taken over: {ignored}", server.name));
            }
            let wanted = Wanted {
                name: server.name,
                connection: server
                    .connection
                    .with_call_timeout(args.timeout)?
                    .with_changes(args.changes.into()),
                credentials: server.credentials,
            };
            add(host, wanted, !args.no_probe).await
        };
        match outcome.await {
            Ok(added) => report(&added)?,
            Err(error) => {
                output::complain(&format!("{title}: {}", error.report()));
                failed.get_or_insert(error.kind());
            }
        }
    }
    match (found, failed) {
        (false, _) => {
            Err(Error::not_found("the file has no such server").with("file", file.display()))
        }
        (true, Some(kind)) => Ok(exit::code(kind)),
        (true, None) => Ok(ExitCode::SUCCESS),
    }
}

fn report(added: &Added) -> Result<()> {
    let (name, place) = (&added.name, &added.place);
    let state = if added.changed { "" } else { " (unchanged)" };
    let Some(tools) = &added.tools else {
        return output::line(&format!("{name}: {place}, not asked for its tools{state}"));
    };
    output::line(&format!(
        "{name}: {} tools from {place}{state}",
        tools.len()
    ))?;
    for tool in tools {
        let shown: String = tool.chars().filter(|c| !c.is_control()).collect();
        output::line(&format!("  {shown}"))?;
    }
    Ok(())
}
