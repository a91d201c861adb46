//! What the end-to-end tests stand on: the real binary, a real API, and MCP clients of others.
//!
//! - `sandbox`: a folder of its own for each test, with a store, in which `mcphub` is run
//! - `gateway`: `mcphub up` or `mcphub serve` as a child process
//! - `client`: the official Python and TypeScript SDKs as child processes
//! - `demo`: the bookshop API
//! - `rust`: a generated server in Rust
//! - `process`: children that are read with a bound and never outlive the test
//!
//! Whatever fails here fails the test at once, with what the child said.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod client;
pub mod demo;
pub mod gateway;
pub mod process;
pub mod rust;
pub mod sandbox;

/// Whether the tests with foreign clients are asked for; says so when they are not.
///
/// `scripts/test.sh` always asks. Where they are asked for, a missing client fails the test.
#[allow(clippy::print_stdout, reason = "a test has no other way to say it")]
pub fn clients_wanted() -> bool {
    let wanted = std::env::var_os("MCPHUB_TEST_CLIENTS").is_some();
    if !wanted {
        println!("not run: set MCPHUB_TEST_CLIENTS=1, after scripts/install-test-clients.sh");
    }
    wanted
}
