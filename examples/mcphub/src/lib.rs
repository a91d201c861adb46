//! The full platform as one program: parse arguments, compose the crates, run.
//!
//! `host` is where backends are picked; a host of your own would look much like it.

mod alerting;
mod cli;
mod client_config;
mod commands;
mod config;
mod connected;
mod credentials;
pub mod demo_api;
mod discovering;
mod document;
mod exit;
mod host;
mod output;
mod progress;
mod purge;
mod redirect;
mod running;
mod serving;
mod size;
mod templates;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    // The one place that picks a crypto provider. An error means that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("the runtime cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(commands::run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.report());
            exit::code(error.kind())
        }
    };
    // A read of standard input that nobody waits for must not keep the process.
    runtime.shutdown_background();
    code
}

fn log_to_stderr(verbose: u8) {
    // Whoever looks at a cluster says once that it does not answer; its client would say it each time.
    let default = match verbose {
        0 => "warn,kube_client=off,kube_runtime=off",
        1 => "info,mcphub_gateway=debug,mcphub_deploy=debug,kube_client=off,kube_runtime=off",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// The README's Rust compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
