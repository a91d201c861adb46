//! `mcphub changes`: how a server's tools differ from those that were there before.

use std::process::ExitCode;
use std::sync::Arc;

use mcphub_core::server::{Serve, ServerName, ServerRecord};
use mcphub_core::store::ServerStore;
use mcphub_core::tool::{ToolDifference, ToolSet};
use mcphub_core::{Error, Result};
use serde::Serialize;

use super::{history, list};
use crate::cli::{Changes, Format};
use crate::host::{self, Host};
use crate::{connected, output, progress};

/// What is printed.
#[derive(Serialize)]
struct Report {
    server: ServerName,
    before: Version,
    after: Version,
    changes: Vec<ToolDifference>,
}

/// One state of a server's tools.
#[derive(Serialize)]
struct Version {
    /// The server's revision; absent for what a server lists and nobody registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    /// The SHA-256 of the document that the tools come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    /// The SHA-256 of the definitions.
    tools: String,
}

pub async fn run(args: Changes) -> Result<ExitCode> {
    let host = if args.approve {
        list::open_to_change(&args.store, &args.shared).await?
    } else {
        list::open(&args.store).await?
    };
    let record = host.store.get(&args.name).await?;
    let record = record.ok_or_else(|| list::unknown(&args.name))?;
    match record.serve {
        Serve::Remote | Serve::Stdio => of_server(&host, &record, &args).await,
        _ => of_document(&host, &record, &args).await,
    }
}

/// What the server lists now, against what is registered.
async fn of_server(host: &Host, record: &ServerRecord, args: &Changes) -> Result<ExitCode> {
    if args.since.is_some() {
        return Err(Error::invalid(
            "--since is for APIs; this server is compared with what it lists now",
        ));
    }
    let met = connected::meet_again(host, &record.name);
    let met = progress::during(&format!("meeting {}", record.name), met).await?;
    let report = Report {
        server: record.name.clone(),
        before: version(Some(record.revision), None, &record.tools),
        after: version(None, None, met.tools()),
        changes: record.tools.differences(met.tools()),
    };
    show(&report, args.format)?;
    if args.approve && !report.changes.is_empty() {
        host.platform.publish_over(met, record.revision).await?;
        output::say(&format!(
            "approved; a gateway over this store serves it within a second. \
             `mcphub rollback {} REVISION` leads back",
            record.name
        ));
    } else if !report.changes.is_empty() {
        output::say(&format!(
            "`mcphub changes {} --approve` takes this over",
            record.name
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The tools of the document that is served, against those of one before.
async fn of_document(host: &Host, record: &ServerRecord, args: &Changes) -> Result<ExitCode> {
    if args.approve {
        return Err(Error::invalid(
            "the tools of an API change with its document: `mcphub up` takes a new one over",
        ));
    }
    let versions = history::versions(host, &record.name).await?;
    let mut others = versions.iter().filter(|version| !version.current);
    let before = match args.since {
        Some(revision) => others.find(|version| version.revision == revision),
        None => others.max_by_key(|version| version.revision),
    };
    let before = before.ok_or_else(|| {
        Error::not_found("there is no such document to compare with; `mcphub history` lists them")
            .with("server", &record.name)
    })?;
    let (request, _) = host.platform.earlier(&record.name, before.revision).await?;
    let platform = Arc::clone(&host.platform);
    let planned = host::blocking(move || platform.prepare(request));
    let planned = progress::during("reading the document", planned).await?;
    let (old, new) = (&before.digest, &record.document_digest);
    show(
        &Report {
            server: record.name.clone(),
            before: version(Some(before.revision), Some(old), planned.tools()),
            after: version(Some(record.revision), Some(new), &record.tools),
            changes: planned.tools().differences(&record.tools),
        },
        args.format,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn version(revision: Option<u64>, document: Option<&String>, tools: &ToolSet) -> Version {
    Version {
        revision,
        document: document.cloned(),
        tools: tools.definitions_digest(),
    }
}

fn show(report: &Report, format: Format) -> Result<()> {
    if format == Format::Json {
        return output::json(report);
    }
    let (before, after) = (report.before.shown(), report.after.shown());
    output::say(&format!("{}: {before} → {after}", report.server));
    if report.changes.is_empty() {
        output::say("nothing has changed");
    }
    for tool in &report.changes {
        output::line(&format!("{}\t{}", tool.change, tool.name))?;
        for detail in &tool.details {
            let detail: String = detail.chars().filter(|c| !c.is_control()).collect();
            output::line(&format!("\t{detail}"))?;
        }
    }
    Ok(())
}

impl Version {
    fn shown(&self) -> String {
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let mut text = match self.revision {
            Some(revision) => format!("revision {revision}"),
            None => "listed now".to_owned(),
        };
        if let Some(document) = &self.document {
            text.push_str(&format!(", document {}", short(document)));
        }
        format!("{text}, tools {}", short(&self.tools))
    }
}
