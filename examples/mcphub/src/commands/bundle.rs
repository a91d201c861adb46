//! `mcphub bundle`: one file that desktop clients install.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mcphub_codegen::bundle::{self, Native, Secret};
use mcphub_core::server::{self, ServerName};
use mcphub_core::{Error, ErrorKind, Result};

use super::inspect;
use crate::cli::Bundle;
use crate::{document, host, output, progress};

pub async fn run(args: Bundle) -> Result<ExitCode> {
    let made = if Path::new(&args.source).is_dir() {
        is_as_generated(&args)?;
        let folder = PathBuf::from(&args.source);
        let work = host::blocking(move || bundle::project(&folder));
        progress::during("packing the project", work).await?
    } else {
        native(&args).await?
    };
    let out = args
        .out
        .unwrap_or_else(|| PathBuf::from(format!("{}.mcpb", made.name)));
    tokio::fs::write(&out, &made.bytes).await.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::PermissionDenied,
        };
        Error::new(kind, "the bundle cannot be written")
            .with("file", out.display())
            .caused_by(error)
    })?;
    output::line(&format!(
        "{}: {} files, {} KiB in {}",
        made.name,
        made.files,
        made.bytes.len().div_ceil(1024),
        out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Checks that nothing is asked of a project that was settled when it was generated.
fn is_as_generated(args: &Bundle) -> Result<()> {
    let document = &args.document;
    let asked = !args.tools.to_arguments().is_empty()
        || !document.overlays.is_empty()
        || !document.allowed_references.is_empty()
        || !document.choice().is_empty()
        || !args.secrets.is_empty()
        || args.name.is_some()
        || args.base_url.is_some()
        || args.bearer_env.is_some();
    if asked {
        return Err(Error::invalid(
            "a project is packed as it was generated: of these options only --out is for one; give the others to `mcphub generate`",
        ));
    }
    Ok(())
}

/// This very program with the document.
async fn native(args: &Bundle) -> Result<bundle::Bundle> {
    args.document.agree_with(args.base_url.as_ref())?;
    let loaded = document::load(&args.source, &args.document);
    let loaded = progress::during("fetching the document", loaded).await?;
    let (bytes, source) = (loaded.bytes.clone(), loaded.source.clone());
    let tools = inspect::inspect(loaded, args.tools.choices()).await?.tools;
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| ServerName::from_title(&tools.api.title));
    let secrets = secrets(args, tools.security_schemes.keys())?;
    let options = args.tools.to_arguments();
    let base_url = server::base_url(args.base_url.as_ref(), &tools, &source);
    let base_url = if args.base_url.is_some() {
        Some(base_url?)
    } else {
        base_url.ok()
    };
    let work = host::blocking(move || {
        let program = std::env::current_exe()
            .and_then(std::fs::read)
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "this program cannot be read").caused_by(error)
            })?;
        let native = Native {
            name: name.as_str(),
            program: &program,
            platform: bundle::platform(),
            document: &bytes,
            base_url: base_url.as_ref().map(url::Url::as_str),
            options,
            secrets,
        };
        bundle::native(&tools, &native)
    });
    progress::during("packing the document", work).await
}

/// What `--bearer-env` and `--secret-env` name. The values stay with the user of the client.
fn secrets<'a>(args: &Bundle, schemes: impl Iterator<Item = &'a String>) -> Result<Vec<Secret>> {
    let schemes: Vec<_> = schemes.collect();
    let legal = |variable: &str| {
        !variable.is_empty()
            && variable
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let bearer = args
        .bearer_env
        .iter()
        .map(|variable| Ok((None, variable.as_str())));
    let named = args.secrets.iter().map(|secret| {
        let (scheme, variable) = secret.split_once('=').ok_or_else(|| {
            Error::invalid(
                "--secret-env takes SCHEME=VAR: a security scheme of the document and a variable",
            )
        })?;
        if !schemes.iter().any(|known| *known == scheme) {
            return Err(
                Error::invalid("--secret-env: the document has no such security scheme")
                    .with("scheme", scheme),
            );
        }
        Ok((Some(scheme.to_owned()), variable))
    });
    bearer
        .chain(named)
        .map(|secret| {
            let (scheme, variable) = secret?;
            if !legal(variable) {
                return Err(Error::invalid("a variable has letters, digits and `_`")
                    .with("variable", variable));
            }
            Ok(Secret {
                scheme,
                variable: variable.to_owned(),
            })
        })
        .collect()
}
