//! `mcphub tenant`.

use std::process::ExitCode;

use mcphub_core::store::Tenants;
use mcphub_core::{Error, ErrorKind, Result};

use super::list;
use crate::cli::{Format, Tenant, TenantCreate, TenantList};
use crate::config::Config;
use crate::host::Host;
use crate::output;

/// How many tenants are read at once.
const PAGE: u32 = 1_000;

pub async fn run(command: Tenant) -> Result<ExitCode> {
    match command {
        Tenant::Create(args) => create(args).await,
        Tenant::List(args) => show(args).await,
    }
}

async fn create(args: TenantCreate) -> Result<ExitCode> {
    let config = Config::load(None)?.with_store(&args.store);
    let host = Host::open(&config).await?;
    if !host.store.create_tenant(&args.name).await? {
        let message = "there is a tenant of that name already";
        return Err(Error::new(ErrorKind::Conflict, message).with("tenant", &args.name));
    }
    output::line(&format!(
        "{} is made; `mcphub up SPEC --tenant {}` registers its first server",
        args.name, args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: TenantList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let (mut tenants, mut after) = (Vec::new(), None);
    loop {
        let page = host.store.tenants(after.as_ref(), PAGE).await?;
        tenants.extend(page.tenants);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match args.format {
        Format::Json => output::json(&tenants)?,
        Format::Text => {
            for tenant in tenants {
                output::line(&format!(
                    "{}\t{}\t{} changes",
                    tenant.name,
                    output::time(tenant.created_at),
                    tenant.registry_version
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
