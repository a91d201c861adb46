//! `mcphub user`, `mcphub role` and `mcphub member`: people and services, and what they may do in a
//! tenant.

use clap::{Args, Subcommand};
use mcphub_core::principal::ToolRule;
use mcphub_core::role::RoleName;
use mcphub_core::sign_in::SignInId;
use mcphub_core::user::UserName;

use super::{Format, StoreArgs};

/// `mcphub user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a user to the store
    Add(UserAdd),
    /// List the users
    List(PeopleList),
    /// Let none of a user's keys in any more, in any tenant, until they are enabled
    Disable(UserNamed),
    /// Let the keys of a disabled user in again
    Enable(UserNamed),
    /// Give a user a password to sign in with, typed or from standard input
    Password(UserPassword),
    /// List what a user is signed in to the tenant with
    SignIns(UserSignIns),
    /// End sign-ins of a user
    SignOut(UserSignOut),
}

/// `mcphub user add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub role set staff --read-only              # what members may do
  mcphub user add ada@example.com
  mcphub member set ada@example.com --role staff
  mcphub key create laptop --user ada@example.com")]
pub struct UserAdd {
    /// The name of the user, such as an address of electronic mail
    pub name: UserName,

    /// A program that acts for nobody in particular
    #[arg(long)]
    pub service: bool,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// A user, by name.
#[derive(Debug, Args)]
pub struct UserNamed {
    /// The name of the user
    pub name: UserName,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub user password`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub user password ada@example.com            # asks for it, twice
  mcphub user password ada@example.com < FILE     # one line
  mcphub user password ada@example.com --hashed < FILE

Another password ends what the user is signed in to, in all tenants.")]
pub struct UserPassword {
    /// The name of the user
    pub name: UserName,

    /// Read a hash of another system, not a password: Argon2id or bcrypt
    #[arg(long)]
    pub hashed: bool,

    /// Take the password away
    #[arg(long, conflicts_with = "hashed")]
    pub remove: bool,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub user sign-ins`.
#[derive(Debug, Args)]
pub struct UserSignIns {
    /// The name of the user
    pub name: UserName,

    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub user sign-out`.
#[derive(Debug, Args)]
pub struct UserSignOut {
    /// The name of the user
    pub name: UserName,

    /// The one that `mcphub user sign-ins` lists under this id [default: all]
    pub id: Option<SignInId>,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// A list of users, roles or members.
#[derive(Debug, Args)]
pub struct PeopleList {
    #[command(flatten)]
    pub store: StoreArgs,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `mcphub role`.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Make a role, or change what those who have it may do
    Set(RoleSet),
    /// List the roles of the tenant
    List(PeopleList),
    /// Remove a role that no member has
    Remove(RoleNamed),
}

/// `mcphub role set`.
#[derive(Debug, Args)]
pub struct RoleSet {
    /// The name of the role
    pub name: RoleName,

    /// What may be used: SERVER for all that it has, or SERVER/TOOL for tools alone, with `*` for any
    /// text; repeatable [default: everything]
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<ToolRule>,

    /// Of tools, only those may be called that say that they only read
    #[arg(long)]
    pub read_only: bool,

    /// Only if the role still has this revision, as `mcphub role list` told it; 0 if it is to be new
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub role remove`.
#[derive(Debug, Args)]
pub struct RoleNamed {
    /// The name of the role
    pub name: RoleName,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub member`.
#[derive(Debug, Subcommand)]
pub enum Member {
    /// Make a user a member of the tenant, or give a member another role
    Set(MemberSet),
    /// List the members of the tenant
    List(PeopleList),
    /// Take a user out of the tenant; none of their keys there lets in any more
    Remove(UserNamed),
}

/// `mcphub member set`.
#[derive(Debug, Args)]
pub struct MemberSet {
    /// The name of the user
    pub name: UserName,

    /// The role that they get
    #[arg(long, value_name = "ROLE")]
    pub role: RoleName,

    /// Only if the membership still has this revision, as `mcphub member list` told it; 0 if it is to
    /// be new
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,

    #[command(flatten)]
    pub store: StoreArgs,
}
