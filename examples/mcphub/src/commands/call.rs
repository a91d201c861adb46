//! `mcphub call`: one call, without a gateway.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::call::{Arguments, Content, HttpRequest, ToolResult};
use mcphub_core::platform::Platform;
use mcphub_core::secret::{Credentials, Grant};
use mcphub_core::server::ServerName;
use mcphub_core::spec::SecurityScheme;
use mcphub_core::tool::ToolSet;
use mcphub_core::{Error, ErrorKind, Result, server};
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde::Serialize;
use url::Url;

use super::inspect;
use crate::cli::{Call, Format, StoreArgs};
use crate::config::Config;
use crate::host::Host;
use crate::{credentials, document, exit, output, progress};

pub async fn run(args: Call) -> Result<ExitCode> {
    let mut credentials = credentials::from_flags(&args.api)?;
    args.document.agree_with(args.api.base_url.as_ref())?;
    let arguments = arguments(&args.args)?;
    let document = document::load(&args.spec, &args.document);
    let document = progress::during("fetching the document", document).await?;
    let source = document.source.clone();
    let mut tools = inspect::inspect(document, args.tools.choices())
        .await?
        .tools;
    if args.api.base_url.is_some() {
        tools.ignore_operation_servers();
    }
    if tools.get(&args.tool).is_none() {
        return Err(unknown(
            &args.tool,
            tools.tools.iter().map(|tool| tool.name.as_str()),
        ));
    }
    let base_url = server::base_url(args.api.base_url.as_ref(), &tools, &source)?;
    let kept = if !args.dry_run && needs_login(&tools, &args.tool, &credentials) {
        login(&args.store, &source, &tools, &base_url).await?
    } else {
        None
    };
    let keeper = kept.map(|(name, logins, platform)| {
        credentials.grants = logins;
        (name, platform)
    });
    let mut api = NativeApi::new(
        Arc::new(tools),
        base_url,
        credentials,
        NativeSettings::default(),
    )?;
    if let Some((name, platform)) = keeper {
        api = api.keeping(name, platform);
    }
    if args.dry_run {
        let request = api.prepare(&args.tool, &arguments)?;
        output::json(&DryRun::from(&request.redacted()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let result = progress::during("waiting for the API", api.call(&args.tool, &arguments)).await;
    match args.format {
        Format::Json => output::json(&result)?,
        Format::Text => print(&result)?,
    }
    Ok(if result.is_error {
        ExitCode::from(exit::CALL_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether the tool takes a login for which the command line has nothing else.
fn needs_login(tools: &ToolSet, tool: &str, given: &Credentials) -> bool {
    let security = tools.get(tool).map(|tool| &tool.binding.security);
    let mut schemes = security.into_iter().flatten().flatten();
    given.bearer.is_none()
        && schemes.any(|name| {
            let scheme = tools.security_schemes.get(name);
            scheme.is_some_and(SecurityScheme::has_logins)
                && !given.schemes.contains_key(name)
                && !given.clients.contains_key(name)
        })
}

/// What `mcphub login` keeps for the document, in a store that is there.
async fn login(
    store: &StoreArgs,
    source: &str,
    tools: &ToolSet,
    base_url: &Url,
) -> Result<Option<(ServerName, BTreeMap<String, Grant>, Arc<Platform>)>> {
    let config = Config::load(None)?.with_store(store);
    let platform = match Host::open_existing(&config).await {
        Ok(host) => host.platform,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let kept = platform.logins(source, tools, base_url).await?;
    Ok(kept.map(|(name, logins)| (name, logins, platform)))
}

/// The arguments from the command line or, after `@`, from a file.
fn arguments(text: &str) -> Result<Arguments<'_>> {
    let Some(path) = text.strip_prefix('@') else {
        return Arguments::parse(text);
    };
    let json = std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            ErrorKind::NotFound,
            "the file with the arguments cannot be read",
        )
        .with("file", path)
        .caused_by(error)
    })?;
    Arguments::parse(&json).map(Arguments::into_owned)
}

fn unknown<'a>(tool: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::not_found("the document has no such tool; `mcphub inspect` lists them")
        .with("tool", tool);
    let wanted = tool.to_lowercase();
    let near: Vec<_> = names
        .filter(|name| name.to_lowercase().contains(&wanted))
        .take(5)
        .collect();
    if near.is_empty() {
        error
    } else {
        error.with("similar", near.join(", "))
    }
}

#[derive(Serialize)]
struct DryRun<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(String, String)],
    body: Option<String>,
    /// The bytes, where they are no text.
    #[serde(rename = "bodyBase64", skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

impl<'a> From<&'a HttpRequest> for DryRun<'a> {
    fn from(request: &'a HttpRequest) -> Self {
        let body = request.body.as_ref().map(|body| &body.bytes);
        let bytes = body.filter(|bytes| std::str::from_utf8(bytes).is_err());
        Self {
            method: request.method.as_str(),
            url: request.url.as_str(),
            headers: &request.headers,
            body: body.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            bytes: bytes.map(|bytes| STANDARD.encode(bytes)),
        }
    }
}

fn print(result: &ToolResult) -> Result<()> {
    for content in &result.content {
        match content {
            Content::Text { text } if result.is_error => output::say(text),
            Content::Text { text } => output::line(text)?,
            Content::Image { mime_type, .. } | Content::Audio { mime_type, .. } => {
                output::line(&format!(
                    "[{mime_type}; --format json has its bytes in base64]"
                ))?;
            }
            Content::Resource { resource } => {
                output::line(&format!(
                    "[{}; --format json has its bytes in base64]",
                    resource.mime_type
                ))?;
            }
            _ => {}
        }
    }
    Ok(())
}
