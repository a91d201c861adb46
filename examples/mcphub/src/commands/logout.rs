//! `mcphub logout`: a login is forgotten.

use std::process::ExitCode;

use mcphub_core::connection::Connection;
use mcphub_core::server::{Serve, ServerRecord};
use mcphub_core::{Error, Result};

use super::login;
use crate::cli::Logout;
use crate::config::Config;
use crate::host::Host;
use crate::output;

pub async fn run(args: Logout) -> Result<ExitCode> {
    let config = Config::load(None)?
        .with_store(&args.store)
        .with_shared(&args.shared);
    let host = Host::open_existing(&config).await?;
    let record = host.platform.find(&login::source(&args.server)).await?;
    let name = name(&host, &args, &record).await?;
    host.platform.log_out(&record.name, &name).await?;
    output::line(&format!("Logged out of {} ({name})", record.name))?;
    Ok(ExitCode::SUCCESS)
}

/// What the login is kept as.
async fn name(host: &Host, args: &Logout, record: &ServerRecord) -> Result<String> {
    match (&args.user, &args.scheme) {
        (Some(user), _) => return Ok(user.actor().to_string()),
        (None, Some(scheme)) => return Ok(scheme.clone()),
        (None, None) if record.serve == Serve::Remote => return Ok(Connection::LOGIN.to_owned()),
        (None, None) => {}
    }
    let held = host.platform.credentials(&record.name).await?;
    let names: Vec<_> = held.grants.into_keys().collect();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            Err(Error::not_found("nobody is logged in to this server").with("server", &record.name))
        }
        _ => {
            let error = Error::invalid("there are several logins; name one with --scheme");
            Err(error.with("schemes", names.join(", ")))
        }
    }
}
