//! `mcphub db`: the database itself.

mod archive;
mod jobs;

use std::process::ExitCode;

use mcphub_core::{Error, Result};
use mcphub_store::{OptimizeOptions, SCHEMA};

use super::list;
use crate::cli::{Db, DbCheck, DbMigrate, DbOptimize, DbRotateKey, DbStatus, Format, StoreArgs};
use crate::config::Config;
use crate::{host, output, progress};

pub async fn run(command: Db) -> Result<ExitCode> {
    match command {
        Db::Status(args) => status(args).await,
        Db::Migrate(args) => migrate(args).await,
        Db::Check(args) => check(args).await,
        Db::Optimize(args) => optimize(args).await,
        Db::Jobs(args) => jobs::run(args).await,
        Db::Export(args) => archive::export(args).await,
        Db::Import(args) => archive::import(args).await,
        Db::RotateKey(args) => rotate_key(args).await,
    }
}

async fn status(args: DbStatus) -> Result<ExitCode> {
    let schema = schema(&args.store).await?;
    if schema < SCHEMA {
        output::line(&format!(
            "schema {schema} of {SCHEMA}; `mcphub db migrate` brings it up to date"
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = list::open(&args.store).await?.store.status().await?;
    if args.format == Format::Json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!(
        "{} at {}, schema {}, {} KiB",
        status.engine,
        status.location,
        status.schema,
        status.size.div_ceil(1_024)
    ))?;
    for tenant in status.tenants {
        output::line(&format!(
            "tenant {}: {} servers, {} removed, {} documents, {} entries in the audit log",
            tenant.name, tenant.servers, tenant.removed, tenant.documents, tenant.audit_entries
        ))?;
    }
    for key in status.keys {
        let outdated = if key.current {
            ""
        } else {
            ", outdated: `mcphub db rotate-key` replaces it"
        };
        output::line(&format!(
            "key {} under master key {}: {} credentials{outdated}",
            key.id, key.master_key, key.credentials
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(args: DbMigrate) -> Result<ExitCode> {
    let before = schema(&args.store).await?;
    list::open(&args.store).await?;
    output::line(&if before == SCHEMA {
        format!("the schema is {SCHEMA} already")
    } else {
        format!("the schema was {before} and is {SCHEMA} now")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The version of the schema, as it is.
async fn schema(args: &StoreArgs) -> Result<i64> {
    let config = Config::load(None)?.with_store(args);
    let schema = mcphub_store::schema(&host::settings(&config)?).await?;
    schema.ok_or_else(|| {
        Error::not_found("there is no store here; `mcphub up` makes one, --store names another")
    })
}

async fn check(args: DbCheck) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let problems = progress::during("reading everything", host.store.check()).await?;
    match args.format {
        Format::Json => output::json(&problems)?,
        Format::Text if problems.is_empty() => output::line("all is well")?,
        Format::Text => {
            for problem in &problems {
                output::line(&format!("{}: {}", problem.place, problem.what))?;
            }
        }
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn optimize(args: DbOptimize) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut options = OptimizeOptions::default();
    options.dry_run = args.dry_run;
    options.indexes_only = args.indexes_only;
    let work = host.store.optimize(options);
    let advice = progress::during("looking at the database", work).await?;
    match args.format {
        Format::Json => output::json(&advice)?,
        Format::Text if advice.is_empty() => output::line("there is nothing to do")?,
        Format::Text => {
            for advice in &advice {
                output::line(&format!("{}: {}", advice.what, advice.statement))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate_key(args: DbRotateKey) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let keys = host.store.master_keys().cloned();
    let in_a_file = keys.filter(|keys| keys.are_in_a_file());
    if args.new_master_key {
        let keys = in_a_file.clone().ok_or_else(|| {
            Error::invalid(
                "the master key is not in a file; start with MCPHUB_MASTER_KEY=NEW,OLD and without \
                 --new-master-key",
            )
        })?;
        // One that was broken off has made its key already.
        if keys.count() == 1 {
            host::blocking(move || keys.add_new()).await?;
        }
    }
    let work = host.store.rotate_key();
    let rotation = progress::during("encrypting all credentials anew", work).await?;
    if let Some(keys) = in_a_file.filter(|keys| keys.count() > 1) {
        // What does not open with the old key now does not open with any.
        if rotation.unreadable.is_empty() {
            host::blocking(move || keys.drop_old()).await?;
        } else {
            output::say("the old master key stays in the key file, below the new one");
        }
    }
    match args.format {
        Format::Json => output::json(&rotation)?,
        Format::Text => {
            output::line(&format!(
                "{} credentials have key {} now, under master key {}",
                rotation.encrypted, rotation.key_id, rotation.master_key_id
            ))?;
            for credential in &rotation.unreadable {
                output::line(&format!("{credential}: does not open; register it again"))?;
            }
        }
    }
    Ok(if rotation.unreadable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
