//! `mcphub history` and `mcphub rollback`.

use std::process::ExitCode;

use mcphub_core::server::ServerName;
use mcphub_core::store::{DocumentStore, DocumentVersion, ServerStore};
use mcphub_core::{Error, Result};

use super::list;
use crate::cli::{Format, History, Rollback};
use crate::host::Host;
use crate::{host, output, progress};

/// How many are read at once.
const PAGE: u32 = 1_000;

pub async fn run(args: History) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let versions = versions(&host, &args.name).await?;
    if versions.is_empty() {
        return Err(list::unknown(&args.name));
    }
    match args.format {
        Format::Json => output::json(&versions)?,
        Format::Text => {
            for version in versions {
                let digest: String = version.digest.chars().take(12).collect();
                let current = if version.current { "\tcurrent" } else { "" };
                output::line(&format!(
                    "{}\t{}\t{} bytes\t{digest}\t{}{current}",
                    version.revision,
                    output::time(version.uploaded_at),
                    version.size,
                    version.source
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All documents that a server had, the newest first.
pub async fn versions(host: &Host, server: &ServerName) -> Result<Vec<DocumentVersion>> {
    let (mut versions, mut before) = (Vec::new(), None);
    loop {
        let page = host.store.document_versions(server, before, PAGE).await?;
        versions.extend(page.versions);
        match page.next {
            None => return Ok(versions),
            next => before = next,
        }
    }
}

pub async fn rollback(args: Rollback) -> Result<ExitCode> {
    let host = list::open_to_change(&args.store, &args.shared).await?;
    if host.store.get(&args.name).await?.is_none() {
        return Err(list::unknown(&args.name));
    }
    let (request, over) = host.platform.earlier(&args.name, args.revision).await?;
    let platform = host.platform.clone();
    let prepare = host::blocking(move || platform.prepare(request));
    let prepared = progress::during("reading the document", prepare).await?;
    let published = host.platform.publish_over(prepared, over).await?;
    if !published.changed {
        return Err(Error::invalid("the server has this document already")
            .with("server", &args.name)
            .with("revision", args.revision));
    }
    output::line(&format!(
        "{} has the document of revision {} again: {} tools",
        args.name,
        args.revision,
        published.tools.tools.len()
    ))?;
    Ok(ExitCode::SUCCESS)
}
