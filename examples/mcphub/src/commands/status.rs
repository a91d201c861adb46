//! `mcphub status`: how the servers behind a running gateway are.

use std::process::ExitCode;

use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{Format, Status};
use crate::config::Config;
use crate::{output, running};

#[derive(Deserialize)]
struct Health {
    status: String,
    catalog: String,
    servers: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    name: String,
    state: String,
    tools: usize,
    circuit: Option<String>,
    retry_after_seconds: Option<u64>,
    #[serde(default)]
    waiting: usize,
}

pub async fn run(args: Status) -> Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    let address = args.listen.unwrap_or(config.listen);
    let health: Value = running::state(address).await.ok_or_else(|| {
        let message = "no gateway answers there; `mcphub serve` starts one";
        Error::new(ErrorKind::Unavailable, message).with("address", address)
    })?;
    if args.format == Format::Json {
        output::json(&health)?;
        return Ok(ExitCode::SUCCESS);
    }
    let health: Health = serde_json::from_value(health).map_err(|error| {
        let message = "what answers there is no gateway of this version";
        Error::new(ErrorKind::Upstream, message)
            .with("address", address)
            .caused_by(error)
    })?;
    for server in &health.servers {
        output::line(&server.line())?;
    }
    if health.servers.is_empty() {
        output::say("no server is registered");
    }
    if health.catalog != "current" {
        output::say("the registry cannot be read; what was read last is served");
    }
    output::say(&format!("{}: http://{address}/mcp", health.status));
    Ok(ExitCode::SUCCESS)
}

impl Server {
    fn line(&self) -> String {
        let calls = match (self.circuit.as_deref(), self.retry_after_seconds) {
            (Some("open"), Some(seconds)) => format!("not called, tried again in {seconds} s"),
            (Some("half-open"), _) => "tried with the next call".to_owned(),
            (Some(other), _) => other.to_owned(),
            (None, _) => "called".to_owned(),
        };
        let Self {
            name, state, tools, ..
        } = self;
        let waiting = match self.waiting {
            0 => String::new(),
            waiting => format!("\t{waiting} wait for approval: mcphub changes {name}"),
        };
        format!("{name}\t{state}\t{tools} tools\t{calls}{waiting}")
    }
}
