//! `mcphub virtual`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use mcphub_core::server::ServerName;
use mcphub_core::store::VirtualServerStore;
use mcphub_core::virtual_server::{Definition, StoredVirtualServer};
use mcphub_core::{Error, ErrorKind, Result};

use super::list;
use crate::cli::{Format, Virtual, VirtualAdd, VirtualList, VirtualRemove, VirtualShow};
use crate::config::Config;
use crate::host::Host;
use crate::output;

/// The largest file that is read, in bytes: comments are no part of what is kept.
const MAX_FILE: u64 = 1 << 20;

pub async fn run(command: Virtual) -> Result<ExitCode> {
    match command {
        Virtual::Add(args) => add(args).await,
        Virtual::List(args) => servers(args).await,
        Virtual::Show(args) => show(args).await,
        Virtual::Remove(args) => remove(args).await,
    }
}

async fn add(args: VirtualAdd) -> Result<ExitCode> {
    let in_file = |error: Error| error.with("file", args.from.display());
    let definition = read(&args.from).map_err(in_file)?;
    let server = definition.server(&args.name).map_err(in_file)?;
    let config = Config::load(None)?
        .with_store(&args.store)
        .with_shared(&args.shared);
    refuse_configured(&config, &args.name)?;
    // It may come before the first of its servers does.
    let host = Host::open(&config).await?;
    let saved = host.platform.save_virtual_server(&server, args.revision);
    let saved = saved.await?;
    let state = if saved.changed {
        "is kept; a running gateway serves it within a second"
    } else {
        "is as it was"
    };
    let name = &args.name;
    output::line(&format!(
        "{name} {state}, at /mcp/{name} (revision {})",
        saved.revision
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What the configuration has goes first, so that what is made here would not be seen.
fn refuse_configured(config: &Config, name: &ServerName) -> Result<()> {
    let place = if config.virtual_servers.contains_key(name) {
        "virtual"
    } else if config.servers.contains_key(name) {
        "servers"
    } else {
        return Ok(());
    };
    let message = "the configuration has a server of that name; choose another name";
    Err(Error::new(ErrorKind::Conflict, message).with("in", format!("[{place}.{name}]")))
}

fn read(file: &Path) -> Result<Definition> {
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::NotFound, "the file cannot be read").caused_by(error)
    };
    let mut text = String::new();
    let opened = File::open(file).map_err(unreadable)?;
    let read = opened.take(MAX_FILE + 1).read_to_string(&mut text);
    if read.map_err(unreadable)? as u64 > MAX_FILE {
        return Err(Error::new(
            ErrorKind::TooLarge,
            "the file has more than 1 MiB",
        ));
    }
    let wrong = || Error::invalid("the file is no virtual server");
    if file.extension().is_some_and(|it| it == "json") {
        return serde_json::from_str(&text).map_err(|error| wrong().caused_by(error));
    }
    toml::from_str(&text).map_err(|error| wrong().caused_by(error))
}

async fn servers(args: VirtualList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let servers = host.platform.virtual_servers().await?;
    match args.format {
        Format::Json => output::json(&servers)?,
        Format::Text if servers.is_empty() => output::say(
            "the store keeps no virtual server; `mcphub virtual add NAME --from FILE` makes one",
        ),
        Format::Text => {
            for StoredVirtualServer { server, revision } in servers {
                let patterns = [&server.tools, &server.prompts, &server.resources];
                let patterns: Vec<String> = patterns
                    .into_iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect();
                output::line(&format!(
                    "{}\trevision {revision}\t{}",
                    server.name,
                    patterns.join(" ")
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: VirtualShow) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let found = host.store.virtual_server(&args.name).await?;
    let found = found.ok_or_else(|| unknown(&args.name))?;
    if args.format == Format::Json {
        output::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let StoredVirtualServer { server, revision } = &found;
    output::line(&format!("{}\trevision {revision}", server.name))?;
    if let Some(text) = &server.instructions {
        output::line(&format!("instructions\t{text}"))?;
    }
    for (what, patterns) in [
        ("tools", &server.tools),
        ("prompts", &server.prompts),
        ("resources", &server.resources),
    ] {
        for pattern in patterns {
            output::line(&format!("{what}\t{pattern}"))?;
        }
    }
    for (tool, changed) in Definition::of(server).change {
        let changed = serde_json::to_string(&changed).map_err(|error| {
            Error::internal("a change of a tool cannot be written").caused_by(error)
        })?;
        output::line(&format!("change\t{tool}\t{changed}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(args: VirtualRemove) -> Result<ExitCode> {
    let host = list::open_to_change(&args.store, &args.shared).await?;
    if !host.platform.remove_virtual_server(&args.name).await? {
        return Err(unknown(&args.name));
    }
    output::line(&format!(
        "{} is removed; a running gateway drops it within a second",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn unknown(name: &ServerName) -> Error {
    Error::not_found("the store keeps no virtual server of that name").with("name", name)
}
