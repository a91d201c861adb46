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
    /// Absent for who showed no key where keys are asked for.
    servers: Option<Vec<Server>>,
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
    #[serde(default)]
    replicas: Vec<Replica>,
}

#[derive(Deserialize)]
struct Replica {
    answers: bool,
    circuit: String,
    running: usize,
}

pub async fn run(args: Status) -> Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    let address = args.listen.unwrap_or(config.listen);
    let key = std::env::var("MCPHUB_KEY").ok();
    let health: Value = running::state(address, key.as_deref())
        .await
        .ok_or_else(|| {
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
    match health.servers.as_deref() {
        Some([]) => output::say("no server is registered"),
        Some(servers) => {
            for server in servers {
                output::line(&server.line())?;
                for (number, replica) in server.replicas.iter().enumerate() {
                    output::line(&replica.line(number))?;
                }
            }
        }
        None => output::say("servers are named to who shows a key: set MCPHUB_KEY to one"),
    }
    if health.catalog != "current" {
        output::say("the registry cannot be read; what was read last is served");
    }
    output::say(&format!("{}: http://{address}/mcp", health.status));
    Ok(ExitCode::SUCCESS)
}

impl Replica {
    /// The one with the number 0 is the server's own URL.
    fn line(&self, number: usize) -> String {
        let calls = match (self.answers, &*self.circuit) {
            (false, _) => "does not answer, not called",
            (true, "closed") => "called",
            (true, "open") => "not called",
            (true, _) => "tried with the next call",
        };
        format!("  replica {number}\t{calls}\t{} running", self.running)
    }
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
