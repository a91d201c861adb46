//! Servers as processes of this machine.
//!
//! [`PythonBuilder`] turns a Python project into a command, [`ProcessDeployer`] runs commands and
//! keeps them running, [`ProcessLauncher`] starts programs that are spoken to over their standard input
//! and output. Each server is one process group, which ends with the host however the host
//! ends (`group.rs` says how), listens on a loopback port of its own, and takes a random token that
//! only the host knows.
//! A process that leaves its group (`setsid`) is out of reach: that takes a container.

mod deployer;
mod environment;
mod group;
mod instance;
mod launcher;
mod output;
mod ports;
mod probe;
mod python;
mod supervisor;

pub use deployer::{ProcessDeployer, ProcessSettings};
pub use environment::INHERITED;
pub use launcher::{LauncherSettings, ProcessLauncher};
pub use python::{Installer, PrunedBuilds, PythonBuilder, PythonSettings};
