//! `mcphub user`, `mcphub role` and `mcphub member`.

use std::process::ExitCode;

use mcphub_core::principal::Permissions;
use mcphub_core::role::{Membership, Role};
use mcphub_core::store::{MembershipStore, RoleStore, Users};
use mcphub_core::user::{User, UserKind};
use mcphub_core::{Error, ErrorKind, Result};

use super::{list, sign_in};
use crate::cli::{
    self, Format, MemberSet, PeopleList, RoleNamed, RoleSet, StoreArgs, UserAdd, UserNamed,
};
use crate::config::Config;
use crate::host::Host;
use crate::output;

/// How many are read at once.
const PAGE: u32 = 1_000;

pub async fn user(command: cli::User) -> Result<ExitCode> {
    match command {
        cli::User::Add(args) => add(args).await,
        cli::User::List(args) => users(args).await,
        cli::User::Disable(args) => disable(args).await,
        cli::User::Enable(args) => enable(args).await,
        cli::User::Password(args) => sign_in::password(args).await,
        cli::User::SignIns(args) => sign_in::sign_ins(args).await,
        cli::User::SignOut(args) => sign_in::sign_out(args).await,
    }
}

pub async fn role(command: cli::Role) -> Result<ExitCode> {
    match command {
        cli::Role::Set(args) => set_role(args).await,
        cli::Role::List(args) => roles(args).await,
        cli::Role::Remove(args) => remove_role(args).await,
    }
}

pub async fn member(command: cli::Member) -> Result<ExitCode> {
    match command {
        cli::Member::Set(args) => set_member(args).await,
        cli::Member::List(args) => members(args).await,
        cli::Member::Remove(args) => remove_member(args).await,
    }
}

/// People may come before the first server does.
async fn open(store: &StoreArgs) -> Result<Host> {
    Host::open(&Config::load(None)?.with_store(store)).await
}

async fn add(args: UserAdd) -> Result<ExitCode> {
    let host = open(&args.store).await?;
    let kind = if args.service {
        UserKind::Service
    } else {
        UserKind::Person
    };
    if !host.store.create_user(&args.name, kind).await? {
        let message = "there is a user of that name already";
        return Err(Error::new(ErrorKind::Conflict, message).with("user", &args.name));
    }
    output::line(&format!(
        "{0} is added; `mcphub member set {0} --role ROLE` lets them into a tenant",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn disable(args: UserNamed) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    if !host.store.disable_user(&args.name).await? {
        let message = "there is no such user, or they are disabled";
        return Err(Error::not_found(message).with("user", &args.name));
    }
    output::line(&format!(
        "{} is disabled; running gateways let their keys in no more within a second or two",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn enable(args: UserNamed) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    if !host.store.enable_user(&args.name).await? {
        let message = "there is no such user, or they are not disabled";
        return Err(Error::not_found(message).with("user", &args.name));
    }
    output::line(&format!("{} is enabled again", args.name))?;
    Ok(ExitCode::SUCCESS)
}

async fn users(args: PeopleList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut users: Vec<User> = Vec::new();
    let mut after = None;
    loop {
        let page = host.store.users(after.as_ref(), PAGE).await?;
        users.extend(page.users);
        match page.next {
            None => break,
            next => after = next,
        }
    }
    match args.format {
        Format::Json => output::json(&users)?,
        Format::Text if users.is_empty() => {
            output::say("there is no user; `mcphub user add NAME` adds one")
        }
        Format::Text => {
            for user in users {
                let state = user.disabled_at.map(output::time);
                let state =
                    state.map_or_else(|| "enabled".to_owned(), |at| format!("disabled {at}"));
                output::line(&format!("{}\t{}\t{state}", user.name, user.kind))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_role(args: RoleSet) -> Result<ExitCode> {
    let host = open(&args.store).await?;
    let mut permissions = Permissions::default();
    permissions.allow = args.allow;
    permissions.read_only = args.read_only;
    let saved = host
        .store
        .save_role(&args.name, &permissions, args.revision)
        .await?;
    let now = if saved.changed {
        "may now"
    } else {
        "already may"
    };
    output::line(&format!(
        "{} {now} use: {permissions} (revision {})",
        args.name, saved.revision
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn roles(args: PeopleList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut roles: Vec<Role> = Vec::new();
    let mut after = None;
    loop {
        let page = host.store.roles(after.as_ref(), PAGE).await?;
        roles.extend(page.roles);
        match page.next {
            None => break,
            next => after = next,
        }
    }
    match args.format {
        Format::Json => output::json(&roles)?,
        Format::Text if roles.is_empty() => {
            output::say("there is no role; `mcphub role set NAME` makes one")
        }
        Format::Text => {
            for role in roles {
                let (name, permissions) = (role.name, role.permissions);
                output::line(&format!(
                    "{name}\t{permissions}\trevision {}",
                    role.revision
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove_role(args: RoleNamed) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    if !host.store.remove_role(&args.name).await? {
        return Err(Error::not_found("there is no such role").with("role", &args.name));
    }
    output::line(&format!("{} is removed", args.name))?;
    Ok(ExitCode::SUCCESS)
}

async fn set_member(args: MemberSet) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let saved = host
        .store
        .set_membership(&args.name, &args.role, args.revision)
        .await?;
    let now = if saved.changed {
        "now has"
    } else {
        "already has"
    };
    output::line(&format!(
        "{} {now} the role {} (revision {})",
        args.name, args.role, saved.revision
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn members(args: PeopleList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut members: Vec<Membership> = Vec::new();
    let mut after = None;
    loop {
        let page = host.store.memberships(after.as_ref(), PAGE).await?;
        members.extend(page.members);
        match page.next {
            None => break,
            next => after = next,
        }
    }
    match args.format {
        Format::Json => output::json(&members)?,
        Format::Text if members.is_empty() => {
            output::say("there is no member; `mcphub member set NAME --role ROLE` makes one")
        }
        Format::Text => {
            for member in members {
                let since = output::time(member.since);
                output::line(&format!(
                    "{}\t{}\tsince {since}\trevision {}",
                    member.user, member.role, member.revision
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove_member(args: UserNamed) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    if !host.store.remove_membership(&args.name).await? {
        return Err(Error::not_found("there is no such member").with("user", &args.name));
    }
    output::line(&format!(
        "{} is no member any more; running gateways let their keys in no more within a second or two",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}
