//! `mcphub discover`: MCP servers at addresses that somebody names, in containers, or behind services.

use std::process::ExitCode;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mcphub_core::connection::Connection;
use mcphub_core::discovery::{DiscoveredServer, Discovery, Rejected};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::store::DocumentStore;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::time::timeout;
use url::Url;

use crate::cli::{Discover, Format};
use crate::config::Config;
use crate::connected::{self, Wanted};
use crate::host::{Host, IN_MEMORY};
use crate::{discovering, output};

/// How many addresses are asked at once, and for how long each.
const AT_ONCE: usize = 16;
const LIMIT: Duration = Duration::from_secs(3);

/// What was found at an address.
#[derive(Serialize)]
struct Found {
    name: ServerName,
    url: Url,
    tools: usize,
    /// What says that it is one, such as a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Whether it is registered now.
    registered: bool,
}

pub async fn run(args: Discover) -> Result<ExitCode> {
    let candidates = candidates(&args).await?;
    let mut config = Config::load(None)?
        .with_store(&args.store)
        .with_shared(&args.shared);
    if !args.add {
        // Nothing is kept, so that no store is made in whatever folder this is.
        config.store = IN_MEMORY.to_owned();
    }
    let host = Host::open(&config).await?;
    let asked = candidates.len();
    let asking = candidates.into_iter().map(|it| ask(&host, it, &args));
    let found: Vec<Found> = stream::iter(asking)
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
        let message = if args.docker.is_some() {
            "no MCP server answers in any container with the label io.mcphub.server"
        } else if args.kubernetes.is_some() {
            "no MCP server answers behind any service with the label io.mcphub.server"
        } else {
            "no MCP server answers at any of the addresses"
        };
        return Err(Error::not_found(message).with("addresses", asked));
    }
    Ok(ExitCode::SUCCESS)
}

/// What may be a server.
struct Candidate {
    wanted: Wanted,
    url: Url,
    /// What says that it is one, where something does.
    place: Option<String>,
}

/// What looks for labels, where that is asked for.
fn labelled(args: &Discover) -> Result<Option<Box<dyn Discovery>>> {
    if let Some(daemon) = &args.docker {
        let found = discovering::docker(daemon, args.reach, args.network.as_ref(), args.host)?;
        return Ok(Some(Box::new(found)));
    }
    let Some(context) = &args.kubernetes else {
        return Ok(None);
    };
    let all = ["*".to_owned()];
    let namespaces = if args.all_namespaces {
        Some(&all[..])
    } else {
        Some(&args.namespaces[..]).filter(|names| !names.is_empty())
    };
    let found = discovering::kubernetes(context, args.reach, namespaces, args.host)?;
    Ok(Some(Box::new(found)))
}

/// The addresses of the command line, the containers of a daemon, or the services of a cluster.
async fn candidates(args: &Discover) -> Result<Vec<Candidate>> {
    let Some(discovery) = labelled(args)? else {
        let urls = args.urls()?.into_iter();
        let candidates = urls.map(|url| {
            let mut credentials = Credentials::default();
            Ok(Candidate {
                wanted: Wanted {
                    name: name(&url),
                    connection: Connection::http(url.clone(), &mut credentials)?,
                    credentials,
                },
                url,
                place: None,
            })
        });
        return candidates.collect();
    };
    let found = discovery.discover().await?;
    for Rejected { place, why } in found.rejected {
        output::say(&format!("warning: {place} is left out: {why}"));
    }
    let candidates = found.servers.into_iter().filter_map(|server| {
        let DiscoveredServer {
            name,
            place,
            connection,
        } = server;
        let url = connection.remote()?.url.clone();
        Some(Candidate {
            wanted: Wanted {
                name,
                connection,
                credentials: Credentials::default(),
            },
            url,
            place: Some(place),
        })
    });
    Ok(candidates.collect())
}

/// What is at an address; `None` where no MCP server lists its tools to whoever asks.
///
/// # Errors
/// Those of registering it.
async fn ask(host: &Host, candidate: Candidate, args: &Discover) -> Result<Option<Found>> {
    let Candidate { wanted, url, place } = candidate;
    let silent = |why: String| {
        if let Some(place) = &place {
            output::say(&format!("warning: {place} does not answer at {url}: {why}"));
        }
        tracing::debug!(%url, why, "no MCP server");
    };
    let tools = match timeout(LIMIT, connected::tools(host, &wanted)).await {
        Ok(Ok(tools)) => tools,
        Ok(Err(error)) => {
            silent(error.report());
            return Ok(None);
        }
        Err(_) => {
            silent("not in time".to_owned());
            return Ok(None);
        }
    };
    let (name, listed) = (wanted.name.clone(), tools.len());
    let mut registered = args.add;
    if args.add && !connected::is_registered(host, &wanted).await? {
        // A label says what a container is called, and takes no name from what is registered.
        let labelled = place.is_some();
        registered = !labelled || host.store.document(&name).await?.is_none();
        if registered {
            registered = match connected::register(host, wanted, Some(tools)).await {
                Ok(_) => true,
                Err(error) if labelled && error.kind() == ErrorKind::Conflict => false,
                Err(error) => return Err(error),
            };
        }
        if !registered {
            output::say(&format!(
                "warning: {name} is not registered: another server has that name"
            ));
        }
    }
    Ok(Some(Found {
        name,
        url,
        tools: listed,
        place,
        registered,
    }))
}

/// A name that says where it is.
fn name(url: &Url) -> ServerName {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    ServerName::from_title(&format!("{host} {port}"))
}
