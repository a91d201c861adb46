//! `mcphub status`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Format, address};

/// `mcphub status`.
#[derive(Debug, Args)]
#[command(after_help = "\
For each server: whether it lists its tools, and whether it is called. A server that failed several
times in a row is not called for a while; `[guard]` in the configuration says after how many and for
how long. The same is at GET /healthz of the endpoint. Where clients are asked for keys, servers are
named to who shows one, in MCPHUB_KEY, and on the address of --metrics-listen to everybody.")]
pub struct Status {
    /// Address of the running gateway [default: that of the configuration]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,

    /// The configuration [default: mcphub.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}
