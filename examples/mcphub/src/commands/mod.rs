//! One file a command.

mod add;
mod audit;
mod bundle;
mod call;
mod changes;
mod db;
mod demo;
mod discover;
mod docs;
mod generate;
mod history;
mod inspect;
mod key;
mod list;
mod login;
mod logout;
mod mock;
mod people;
mod search;
mod serve;
mod sign_in;
mod status;
mod tenant;
mod up;
mod virtual_servers;

use std::process::ExitCode;

use mcphub_core::Result;

use crate::cli::Command;

/// Runs a command.
///
/// # Errors
/// Whatever kept the command from being done.
pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Add(args) => add::run(args).await,
        Command::Discover(args) => discover::run(args).await,
        Command::Up(args) => up::run(args).await,
        Command::Inspect(args) => inspect::run(args).await,
        Command::Call(args) => call::run(args).await,
        Command::Generate(args) => generate::run(args).await,
        Command::Bundle(args) => bundle::run(args).await,
        Command::Docs(args) => docs::run(args).await,
        Command::Mock(args) => mock::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Search(args) => search::run(args).await,
        Command::Login(args) => login::run(args).await,
        Command::Logout(args) => logout::run(args).await,
        Command::Remove(args) => list::remove(args).await,
        Command::Restore(args) => list::restore(args).await,
        Command::History(args) => history::run(args).await,
        Command::Changes(args) => changes::run(args).await,
        Command::Rollback(args) => history::rollback(args).await,
        Command::Virtual(command) => virtual_servers::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::User(command) => people::user(command).await,
        Command::Role(command) => people::role(command).await,
        Command::Member(command) => people::member(command).await,
        Command::Tenant(command) => tenant::run(command).await,
        Command::Db(command) => db::run(command).await,
    }
}
