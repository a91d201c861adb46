//! What becomes of a store when something fails: PostgreSQL servers, which this starts, kills, halts, cuts
//! off, fills and damages; SQLite files, which are moved away, locked, made read-only and damaged; disks; clocks; and
//! the processes themselves. What was acknowledged is there afterwards, whole, every call ends in time, its error
//! says what is the matter and whether to try again, and service goes on by itself.
//! `scripts/fault-table.py` makes a table of what this prints.

#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "a test has no other way to say it")]

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod clocks;
#[cfg(target_os = "linux")]
mod disk;
mod opening;
mod postgres;
mod process;
mod relay;
mod saving;
mod sqlite;

use std::time::Duration;

/// How long a fault lasts.
const OUTAGE: Duration = Duration::from_secs(4);

/// How soon everything works again after it.
const RESUMED: Duration = Duration::from_secs(10);

/// How long a call may take, whatever happens to the server.
const BOUND: Duration = Duration::from_secs(10);

/// Between a call that failed and the next.
const PAUSE: Duration = Duration::from_millis(50);

/// What the tables call them.
const SQLITE: &str = "SQLite";
const POSTGRESQL: &str = "PostgreSQL";
