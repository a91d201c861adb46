//! The command line: reads options and environment, and serves until told to stop.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};

use crate::about::{NAME, VERSION};
use crate::api::Api;
use crate::server::Server;
use crate::serving;
use crate::settings::{Settings, Transport, port_from, transport_from};

type Failure = Box<dyn Error + Send + Sync>;

/// How long the health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);

const USAGE: &str = "\
An MCP server. Options come before the environment variables that README.md lists.

  --transport stdio|http  default: MCP_TRANSPORT, or stdio
  --host HOST             where HTTP listens; default: MCP_HOST, or 127.0.0.1
  --port PORT             where HTTP listens; default: MCP_PORT, or 8000
  --health                asks the server on this machine how it is, and ends
  --version
  --help";

/// Runs the program.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut transport, mut host, mut port) = (None, None, None);
    let mut health = false;
    let mut options = lexopt::Parser::from_env();
    while let Some(option) = options.next()? {
        match option {
            Long("transport") => transport = Some(options.value()?.string()?),
            Long("host") => host = Some(options.value()?.string()?),
            Long("port") => port = Some(options.value()?.string()?),
            Long("health") => health = true,
            Long("version") => {
                println!("{VERSION}");
                return Ok(());
            }
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let variable = |name: &str| std::env::var(name).ok();
    if health {
        let port = port.or_else(|| variable("MCP_PORT"));
        return ask_health(port_from(port.as_deref().unwrap_or("8000"))?);
    }
    let mut settings = Settings::from_environment(variable)?;
    if let Some(transport) = transport {
        settings.transport = transport_from(&transport)?;
    }
    if let Some(port) = port {
        settings.port = port_from(&port)?;
    }
    settings.host = host.unwrap_or(settings.host);
    serve(settings)
}

#[tokio::main]
async fn serve(settings: Settings) -> Result<(), Failure> {
    let server = Server::new(Api::new(settings.clone())?)?;
    match settings.transport {
        Transport::Stdio => serving::stdio(server).await,
        Transport::Http => Ok(serving::http(server, &settings).await?),
    }
}

/// Fails unless the server on this machine is well.
fn ask_health(port: u16) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    match answer.ends_with(b" 200") {
        true => Ok(()),
        false => Err("the server is not well".into()),
    }
}
