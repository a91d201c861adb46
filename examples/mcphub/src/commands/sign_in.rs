//! `mcphub user password`, `mcphub user sign-ins` and `mcphub user sign-out`.

use std::io::IsTerminal;
use std::process::ExitCode;

use mcphub_core::password::{MAX_PASSWORD, PasswordHash};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::store::{Passwords, SignInStore};
use mcphub_core::{Error, Result};
use mcphub_gateway::PasswordHasher;
use tokio::io::AsyncReadExt;

use super::list;
use crate::cli::{Format, UserPassword, UserSignIns, UserSignOut};
use crate::host::blocking;
use crate::output;

/// The longest line that is read: a password or a hash, and the end of the line.
const MAX_INPUT: u64 = 1_024;

/// How many sign-ins are read at once.
const PAGE: u32 = 1_000;

pub async fn password(args: UserPassword) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let user = &args.name;
    let hash = if args.remove {
        None
    } else if args.hashed {
        Some(PasswordHash::new(piped().await?.expose_secret())?)
    } else {
        let password = if std::io::stdin().is_terminal() {
            typed().await?
        } else {
            piped().await?
        };
        Some(PasswordHasher::default().hash(password).await?)
    };
    if !host.store.set_password(user, hash.as_ref()).await? {
        let message = "there is no such user; `mcphub user add` adds one";
        return Err(Error::not_found(message).with("user", user));
    }
    let done = if args.remove {
        "has no password any more"
    } else {
        "has the new password"
    };
    output::line(&format!(
        "{user} {done}; what they were signed in to has ended"
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub async fn sign_ins(args: UserSignIns) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let (mut sign_ins, mut after) = (Vec::new(), None);
    loop {
        let page = host.store.sign_ins(&args.name, after.as_ref(), PAGE);
        let page = page.await?;
        sign_ins.extend(page.sign_ins);
        match page.next {
            None => break,
            next => after = next,
        }
    }
    match args.format {
        Format::Json => output::json(&sign_ins)?,
        Format::Text if sign_ins.is_empty() => {
            output::say(&format!("{} is not signed in", args.name));
        }
        Format::Text => {
            for sign_in in sign_ins {
                output::line(&format!(
                    "{}\tsince {}\trefreshed {}\tuntil {}",
                    sign_in.id,
                    output::time(sign_in.began_at),
                    output::time(sign_in.refreshed_at),
                    output::time(sign_in.lapses_at)
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn sign_out(args: UserSignOut) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let ended = host
        .store
        .end_sign_ins(&args.name, args.id.as_ref())
        .await?;
    if ended == 0 {
        let message = "the user has no such sign-in; `mcphub user sign-ins` lists them";
        return Err(Error::not_found(message).with("user", &args.name));
    }
    output::line(&format!(
        "{ended} ended; running gateways let {} in no more with what they had within a second or two",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What somebody types twice, without showing it.
async fn typed() -> Result<SecretString> {
    blocking(|| {
        let ask = |prompt: &str| {
            let typed = rpassword::prompt_password(prompt);
            typed.map(SecretString::from).map_err(|error| {
                Error::invalid("the password cannot be read from the terminal").caused_by(error)
            })
        };
        let (first, second) = (ask("Password: ")?, ask("Again: ")?);
        if first.expose_secret() == second.expose_secret() {
            return Ok(first);
        }
        Err(Error::invalid("the two passwords are not the same"))
    })
    .await
}

/// The one line of standard input.
async fn piped() -> Result<SecretString> {
    let mut text = String::with_capacity(MAX_PASSWORD);
    let mut input = tokio::io::stdin().take(MAX_INPUT);
    input
        .read_to_string(&mut text)
        .await
        .map_err(|error| Error::invalid("standard input cannot be read").caused_by(error))?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    let text = SecretString::from(text);
    if text.expose_secret().contains(['\n', '\r']) {
        return Err(Error::invalid("standard input has more than one line"));
    }
    Ok(text)
}
