//! `mcphub key`.

use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use mcphub_core::key::{ApiKey, KeyName, KeyToken, NewApiKey};
use mcphub_core::principal::{Denial, Permissions};
use mcphub_core::store::{ApiKeyStore, ServerStore};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::list;
use crate::cli::{
    Format, Key, KeyCreate, KeyExplain, KeyIdentify, KeyList, KeyRevoke, KeyRotate, Moment,
    StoreArgs, Thing,
};
use crate::config::Config;
use crate::host::Host;
use crate::{exit, output};

/// How many keys are read at once.
const PAGE: u32 = 1_000;

/// Enough for a token with white space around it.
const MAX_INPUT: u64 = 4_096;

pub async fn run(command: Key) -> Result<ExitCode> {
    match command {
        Key::Create(args) => create(args).await,
        Key::List(args) => show(args).await,
        Key::Rotate(args) => rotate(args).await,
        Key::Revoke(args) => revoke(args).await,
        Key::Explain(args) => explain(args).await,
        Key::Identify(args) => identify(args).await,
    }
}

async fn create(args: KeyCreate) -> Result<ExitCode> {
    let host = open(&args.store).await?;
    let token = new_token()?;
    let mut key = NewApiKey::new(args.name, token.digest());
    key.user = args.user;
    key.permissions.allow = args.allow;
    key.permissions.read_only = args.read_only;
    let now = now();
    key.expires_at = args.expires.map(|expires| match expires {
        Moment::At(time) => time,
        Moment::In(span) => now.saturating_add(span),
    });
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::invalid(
            "the key would have ended before it was made",
        ));
    }
    if !host.store.create_api_key(&key).await? {
        let message = "there is a key of that name; revoke it, or rotate it for another token";
        return Err(Error::new(ErrorKind::Conflict, message).with("key", &key.name));
    }
    if args.format == Format::Text {
        let ends = key.expires_at.map(output::time);
        let ends = ends.unwrap_or_else(|| "it is revoked".to_owned());
        let role = key
            .user
            .as_ref()
            .map(|user| format!(", as far as the role of {user} allows"));
        output::say(&format!(
            "{} may use: {}{}, until {ends}. This is its token; it is not shown again:",
            key.name,
            key.permissions,
            role.unwrap_or_default()
        ));
    }
    print(&key.name, &token, args.format)?;
    Ok(ExitCode::SUCCESS)
}

async fn rotate(args: KeyRotate) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let token = new_token()?;
    let until = now().saturating_add(args.overlap);
    let digest = token.digest();
    if !host
        .store
        .rotate_api_key(&args.name, &digest, until)
        .await?
    {
        let message = "there is no such key, or it has ended; `mcphub key list` has them";
        return Err(Error::not_found(message).with("key", &args.name));
    }
    if args.format == Format::Text {
        output::say(&format!(
            "The token before is good until {}. This is the new one; it is not shown again:",
            output::time(until)
        ));
    }
    print(&args.name, &token, args.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The token alone goes to standard output, so that a shell can take it.
fn print(name: &KeyName, token: &KeyToken, format: Format) -> Result<()> {
    match format {
        Format::Text => output::line(token.expose()),
        Format::Json => output::json(&json!({ "name": name, "token": token.expose() })),
    }
}

async fn revoke(args: KeyRevoke) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    if !host.store.revoke_api_key(&args.name).await? {
        let message = "there is no such key, or it is revoked; `mcphub key list` has them";
        return Err(Error::not_found(message).with("key", &args.name));
    }
    output::line(&format!(
        "{} is revoked; running gateways let it in no more within a second or two",
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: KeyList) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut keys: Vec<ApiKey> = Vec::new();
    let mut after = None;
    loop {
        let page = host.store.api_keys(after.as_ref(), PAGE).await?;
        keys.extend(page.keys);
        match page.next {
            None => break,
            next => after = next,
        }
    }
    match args.format {
        Format::Json => output::json(&keys)?,
        Format::Text if keys.is_empty() => {
            output::say("there is no key; `mcphub key create NAME` makes one")
        }
        Format::Text => {
            let now = now();
            for key in keys {
                output::line(&line(&key, now))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(key: &ApiKey, now: i64) -> String {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", output::time(at)),
        (None, Some(at)) if at <= now => format!("expired {}", output::time(at)),
        (None, Some(at)) => format!("until {}", output::time(at)),
        (None, None) => "good".to_owned(),
    };
    let used = key.last_used_at.map(output::time);
    let used = used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
    let user = key.user.as_ref().map(|user| format!("\tof {user}"));
    let user = user.unwrap_or_default();
    format!("{}\t{}\t{state}\t{used}{user}", key.name, key.permissions)
}

async fn explain(args: KeyExplain) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let found = host.store.api_key(&args.name).await?;
    let found =
        found.ok_or_else(|| Error::not_found("there is no such key").with("key", &args.name))?;
    let Thing { server, tool } = &args.thing;
    let record = host.store.get(server).await?;
    let record =
        record.ok_or_else(|| Error::not_found("there is no such server").with("server", server))?;
    let reads = match tool {
        None => true,
        Some(tool) => {
            let mut tools = record.tools.tools.iter();
            let known = tools.find(|known| known.name.as_str() == tool.as_str());
            let known = known.ok_or_else(|| {
                let message = "the server had no such tool when it was registered";
                Error::not_found(message).with("tool", tool)
            })?;
            known.annotations.read_only_hint
        }
    };
    let decide = |permissions: &Permissions| match tool {
        Some(tool) => permissions.decide(server, tool, reads),
        None => permissions.decide_whole(server, reads),
    };
    let what = match tool {
        Some(tool) => format!("call {server}/{tool}"),
        None => format!("use the prompts and resources of {server}"),
    };
    let name = &args.name;
    let denied = |whose: &str, denial: &Denial| format!("{name} may not {what}: {whose}: {denial}");
    let why = match (found.principal(now()), &found.standing.role) {
        (Err(refusal), _) => Some(format!("{name} may not {what}: {refusal}")),
        (Ok(_), role) => {
            let own = decide(&found.key.permissions).map_err(|denial| denied("the key", &denial));
            let role = role.as_ref().map_or(Ok(()), decide);
            let role = role.map_err(|denial| denied("the role of its user", &denial));
            own.and(role).err()
        }
    };
    match why {
        None => {
            output::line(&format!("{name} may {what}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(why) => {
            output::line(&why)?;
            Ok(exit::code(ErrorKind::PermissionDenied))
        }
    }
}

async fn identify(args: KeyIdentify) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut text = String::new();
    let mut input = tokio::io::stdin().take(MAX_INPUT);
    input.read_to_string(&mut text).await.map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "standard input cannot be read").caused_by(error)
    })?;
    let token =
        KeyToken::parse(text.trim()).map_err(|refusal| Error::invalid(refusal.to_string()))?;
    let found = host.store.find_api_key(&token.digest()).await?;
    let found = found.ok_or_else(|| Error::not_found("no key of this tenant has that token"))?;
    let now = now();
    let state = match found.principal(now) {
        Ok(_) => "it lets its holder in".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    output::line(&format!("{}\t{state}", line(&found.key, now)))?;
    Ok(ExitCode::SUCCESS)
}

/// A key may come before the first server does.
async fn open(store: &StoreArgs) -> Result<Host> {
    Host::open(&Config::load(None)?.with_store(store)).await
}

fn new_token() -> Result<KeyToken> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| {
        Error::internal("the operating system gives no random bytes").caused_by(error)
    })?;
    Ok(KeyToken::from_entropy(bits))
}

/// Now, in Unix milliseconds.
fn now() -> i64 {
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
