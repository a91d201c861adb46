//! The gateway as a program, with real clients, servers and databases.

#![allow(clippy::print_stdout, reason = "tests say when they do not run")]

#[path = "../common/mod.rs"]
mod common;

mod cached;
mod cluster;
mod connected_programs;
mod connected_servers;
mod containers;
mod everything;
mod keys;
mod list_changes;
mod nodes;
mod postgres;
mod purge;
mod restarts;
mod routes;
mod sign_in;
mod streams;
mod virtual_servers;
