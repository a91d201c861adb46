//! `mcphub discover`: MCP servers at addresses that somebody names.

use std::process::ExitCode;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mcphub_core::connection::Connection;
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::time::timeout;
use url::Url;

use crate::cli::{Discover, Format};
use crate::config::Config;
use crate::connected::{self, Wanted};
use crate::host::{Host, IN_MEMORY};
use crate::output;

/// How many addresses are asked at once, and for how long each.
const AT_ONCE: usize = 16;
const LIMIT: Duration = Duration::from_secs(3);

/// What was found at an address.
#[derive(Serialize)]
struct Found {
    name: ServerName,
    url: Url,
    tools: usize,
    /// Whether it is registered now.
    registered: bool,
}

pub async fn run(args: Discover) -> Result<ExitCode> {
    let urls = args.urls()?;
    let mut config = Config::load(None)?
        .with_store(&args.store)
        .with_shared(&args.shared);
    if !args.add {
        // Nothing is kept, so that no store is made in whatever folder this is.
        config.store = IN_MEMORY.to_owned();
    }
    let host = Host::open(&config).await?;
    let asked = urls.len();
    let found: Vec<Found> = stream::iter(urls.into_iter().map(|url| ask(&host, url, args.add)))
        .buffered(AT_ONCE)
        .filter_map(|found| async { found.transpose() })
        .collect::<Vec<Result<Found>>>()
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    if args.format == Format::Json {
        output::json(&found)?;
    } else {
        for server in &found {
            let Found {
                name, url, tools, ..
            } = server;
            let state = if server.registered {
                "registered"
            } else {
                "mcphub discover --add registers it"
            };
            output::line(&format!("{name}\t{url}\t{tools} tools\t{state}"))?;
        }
    }
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "no MCP server answers at any of the addresses",
        )
        .with("addresses", asked));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is at an address; `None` where no MCP server lists its tools to whoever asks.
///
/// # Errors
/// Those of registering it.
async fn ask(host: &Host, url: Url, add: bool) -> Result<Option<Found>> {
    let mut credentials = Credentials::default();
    let wanted = Wanted {
        name: name(&url),
        connection: Connection::http(url.clone(), &mut credentials)?,
        credentials,
    };
    let tools = match timeout(LIMIT, connected::tools(host, &wanted)).await {
        Ok(Ok(tools)) => tools.len(),
        Ok(Err(error)) => {
            tracing::debug!(%url, error = %error.report(), "no MCP server");
            return Ok(None);
        }
        Err(_) => {
            tracing::debug!(%url, "no MCP server: no answer in time");
            return Ok(None);
        }
    };
    let name = wanted.name.clone();
    if add && !connected::is_registered(host, &wanted).await? {
        connected::add(host, wanted, true).await?;
    }
    Ok(Some(Found {
        name,
        url,
        tools,
        registered: add,
    }))
}

/// A name that says where it is.
fn name(url: &Url) -> ServerName {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    ServerName::from_title(&format!("{host} {port}"))
}
