//! `mcphub db export` and `mcphub db import`.

use std::path::Path;
use std::process::ExitCode;

use mcphub_core::{Error, ErrorKind, Result};
use mcphub_store::MasterKeys;
use tokio::fs::{File, OpenOptions};
use tokio::io::{BufReader, BufWriter};

use crate::cli::{DbExport, DbImport};
use crate::commands::list;
use crate::config::Config;
use crate::host::Host;
use crate::{output, progress};

pub async fn export(args: DbExport) -> Result<ExitCode> {
    let key = key(args.secrets_key_env.as_deref())?;
    let host = list::open(&args.store).await?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(&args.file).await;
    let file = file.map_err(|error| unusable(&args.file, error))?;
    let mut out = BufWriter::new(file);
    let work = host.store.export(&mut out, key.as_ref());
    let exported = progress::during("exporting", work).await;
    let synced = match exported {
        Ok(exported) => {
            let synced = out.get_ref().sync_all().await;
            synced.map_err(|error| unusable(&args.file, error))?;
            exported
        }
        Err(error) => {
            // Half an archive is of no use, and would be in the way the next time.
            let _ = tokio::fs::remove_file(&args.file).await;
            return Err(error);
        }
    };
    output::line(&format!(
        "{} tenants, {} servers, {} documents, {} entries of audit logs and {} credentials are in {}",
        synced.tenants,
        synced.servers,
        synced.documents,
        synced.entries,
        synced.credentials,
        args.file.display()
    ))?;
    if key.is_none() {
        output::say("credentials and passwords were left out; --secrets-key-env takes them along");
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn import(args: DbImport) -> Result<ExitCode> {
    let key = key(args.secrets_key_env.as_deref())?;
    let file = File::open(&args.file).await;
    let file = file.map_err(|error| unusable(&args.file, error))?;
    let config = Config::load(None)?.with_store(&args.store);
    let host = Host::open(&config).await?;
    let mut archive = BufReader::new(file);
    let work = host.store.import(&mut archive, key.as_ref());
    let imported = progress::during("importing", work).await?;
    let counts = imported.counts;
    output::line(&format!(
        "{} tenants, {} servers, {} documents, {} entries of audit logs and {} credentials were imported",
        counts.tenants, counts.servers, counts.documents, counts.entries, counts.credentials
    ))?;
    if imported.secrets_left_out {
        output::say(
            "the archive has no credentials and passwords: give them again with `mcphub up`, for each \
             server that needs some, and with `mcphub user password`",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The key that takes credentials along.
fn key(variable: Option<&str>) -> Result<Option<MasterKeys>> {
    let Some(variable) = variable else {
        return Ok(None);
    };
    let text = std::env::var(variable).map_err(|_| {
        Error::invalid("--secrets-key-env: the environment variable is not set")
            .with("variable", variable)
    })?;
    let key = MasterKeys::from_text(&text);
    key.map(Some)
        .map_err(|error| error.with("variable", variable))
}

fn unusable(file: &Path, error: std::io::Error) -> Error {
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "the file is not there"),
        std::io::ErrorKind::AlreadyExists => (
            ErrorKind::Conflict,
            "the file is there already; name another one",
        ),
        std::io::ErrorKind::PermissionDenied => {
            (ErrorKind::PermissionDenied, "the file may not be opened")
        }
        _ => (ErrorKind::Unavailable, "the file cannot be read or written"),
    };
    Error::new(kind, message)
        .with("file", file.display())
        .caused_by(error)
}
