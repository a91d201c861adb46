//! `mcphub audit`: what was changed, and whether the log tells all of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use mcphub_core::audit::{AuditEntry, AuditHead, AuditQuery, Chain, Order};
use mcphub_core::store::AuditStore;
use mcphub_core::tenant::TenantName;
use mcphub_core::{Error, ErrorKind, Result};

use super::list;
use crate::cli::{Audit, AuditExport, AuditList, AuditPrune, AuditVerify, Format};
use crate::host::{self, Host};
use crate::{exit, output, purge};

/// The longest line of an exported log that is read, in bytes. An entry has a few hundred.
const MAX_LINE: u64 = 1 << 20;

pub async fn run(command: Audit) -> Result<ExitCode> {
    match command {
        Audit::List(args) => show(args).await,
        Audit::Export(args) => export(args).await,
        Audit::Verify(args) => verify(args).await,
        Audit::Prune(args) => prune(args).await,
    }
}

async fn show(args: AuditList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut query = AuditQuery::default();
    query.actor = args.actor;
    query.action = args.action;
    query.target = args.target;
    query.since = args.since;
    query.until = args.until;
    query.order = Order::NewestFirst;
    query.after = args.before;
    query.limit = args.limit;
    let page = host.store.audit(&query).await?;
    match args.format {
        Format::Json => output::json(&page.entries)?,
        Format::Text => {
            for entry in &page.entries {
                output::line(&format!(
                    "{}\t{}\t{}\t{}\t{}\t{}",
                    entry.sequence,
                    output::time(entry.at),
                    entry.actor,
                    entry.action,
                    entry.target,
                    entry.detail
                ))?;
            }
        }
    }
    if let Some(next) = page.next {
        output::say(&format!("earlier ones: --before {next}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(args: AuditExport) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    each(&host, output::json_line).await?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(args: AuditVerify) -> Result<ExitCode> {
    let tenant = args.store.tenant.clone().unwrap_or_default();
    let mut check = Check {
        chain: Chain::new(tenant.clone()),
        anchor: args.anchor,
    };
    match args.file {
        Some(file) => {
            let read = host::blocking(move || {
                read(&file, &mut check)?;
                Ok(check)
            });
            check = read.await?;
        }
        None => {
            let host = list::open(&args.store).await?;
            // What is added meanwhile is followed too; what was there at first has to be there.
            let head = host.store.audit_head().await?;
            each(&host, |entry| {
                check.follow(entry);
                Ok(())
            })
            .await?;
            if check.chain.head().sequence <= head.sequence {
                check.chain.expect(&head);
            }
        }
    }
    check.report(&tenant)
}

async fn prune(args: AuditPrune) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let before = purge::before(args.older_than);
    let removed = purge::prune_audit(&*host.store, before, async || Ok(true)).await?;
    output::line(&match removed {
        0 => "no entry is older".to_owned(),
        removed => format!("{removed} entries were removed"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Every entry, oldest first.
async fn each(host: &Host, mut take: impl FnMut(&AuditEntry) -> Result<()>) -> Result<()> {
    let mut query = AuditQuery::default();
    query.limit = 1_000;
    loop {
        let page = host.store.audit(&query).await?;
        page.entries.iter().try_for_each(&mut take)?;
        match page.next {
            None => return Ok(()),
            next => query.after = next,
        }
    }
}

/// Follows the entries of an exported log.
fn read(file: &Path, check: &mut Check) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::InvalidInput,
        };
        Error::new(kind, "the exported log cannot be read")
            .with("file", file.display())
            .caused_by(error)
    };
    let mut lines = BufReader::new(File::open(file).map_err(unreadable)?);
    for number in 1.. {
        let mut line = String::new();
        let length = (&mut lines)
            .take(MAX_LINE)
            .read_line(&mut line)
            .map_err(unreadable)?;
        if length == 0 {
            break;
        }
        let entry = serde_json::from_str(&line).map_err(|error| {
            Error::invalid("a line of the exported log is no entry")
                .with("file", file.display())
                .with("line", number)
                .caused_by(error)
        })?;
        check.follow(&entry);
    }
    Ok(())
}

/// A log that is followed, and the end that was noted before.
struct Check {
    chain: Chain,
    anchor: Option<AuditHead>,
}

impl Check {
    fn follow(&mut self, entry: &AuditEntry) {
        self.chain.follow(entry);
        // Here and now, because the chain knows no hash but the last.
        let here = |anchor: &AuditHead| anchor.sequence == entry.sequence;
        if let Some(anchor) = self.anchor.take_if(|anchor| here(anchor)) {
            self.chain.expect(&anchor);
        }
    }

    fn report(mut self, tenant: &TenantName) -> Result<ExitCode> {
        let start = self.chain.start();
        if let Some(anchor) = self.anchor {
            if anchor.sequence < start.sequence {
                output::complain(&format!(
                    "entry {} was pruned, so the end that was noted cannot be compared",
                    anchor.sequence
                ));
            } else if anchor.sequence == start.sequence && anchor != start {
                output::line(&format!("entry {} was altered", anchor.sequence))?;
                return tampered(tenant);
            }
            self.chain.expect(&anchor);
        }
        let head = self.chain.head();
        for finding in self.chain.findings() {
            output::line(&finding.to_string())?;
        }
        if !self.chain.findings().is_empty() {
            return tampered(tenant);
        }
        let from = match start.sequence {
            0 => String::new(),
            pruned => format!(" from entry {} on, with those before pruned,", pruned + 1),
        };
        output::line(&format!(
            "the audit log of tenant {tenant} is whole{from} and ends at {}:{}",
            head.sequence, head.hash
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn tampered(tenant: &TenantName) -> Result<ExitCode> {
    output::complain(&format!(
        "the audit log of tenant {tenant} was tampered with"
    ));
    Ok(ExitCode::from(exit::TAMPERED))
}
