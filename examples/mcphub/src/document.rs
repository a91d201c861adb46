//! Documents from paths and URLs.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use mcphub_codegen::openapi::ParserSettings;
use mcphub_codegen::overlay;
use mcphub_core::spec::Document;
use mcphub_core::{Error, ErrorKind, Result};
use url::Url;

use crate::cli::DocumentArgs;
use crate::{host, output};

/// The largest document that is read.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a document from a path or an http(s) URL, at most 64 MiB, within 30 s.
///
/// The source is the URL or the absolute path, so that the same document keeps its registration
/// from wherever it is named.
///
/// # Errors
/// `NotFound`, `TooLarge`, `PermissionDenied`; `Upstream`, `Timeout` or `Unavailable` from a URL.
pub async fn load(spec: &str) -> Result<Document> {
    match Url::parse(spec) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => fetch(url).await,
        _ => read(spec.to_owned()).await,
    }
}

/// Reads a document and changes it as the command line says. An action that selects nothing is
/// told on standard error.
///
/// # Errors
/// Those of [`load`], also for each overlay; `InvalidDocument`, `Unsupported` and `TooLarge` for
/// an overlay that cannot be applied.
pub async fn load_changed(spec: &str, args: &DocumentArgs) -> Result<Document> {
    let document = load(spec).await?;
    if args.overlays.is_empty() {
        return Ok(document);
    }
    let mut overlays = Vec::with_capacity(args.overlays.len());
    for overlay in &args.overlays {
        overlays.push(load(overlay).await?);
    }
    let settings = ParserSettings::default();
    let work = move || overlay::apply(&document, &overlays, &settings);
    let overlaid = host::blocking(work).await?;
    for diagnostic in &overlaid.diagnostics {
        output::say(&format!(
            "warning: overlay {}: {}",
            diagnostic.pointer, diagnostic.message
        ));
    }
    Ok(overlaid.document)
}

async fn read(spec: String) -> Result<Document> {
    let task = tokio::task::spawn_blocking(move || {
        let path = Path::new(&spec);
        let file = std::fs::File::open(path).map_err(|error| unreadable(&spec, error))?;
        let length = file.metadata().map_err(|error| unreadable(&spec, error))?;
        if length.is_dir() {
            return Err(Error::invalid("this is a folder, not a document").with("path", &spec));
        }
        let mut bytes = Vec::new();
        let limit = MAX_BYTES as u64 + 1;
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&spec, error))?;
        if bytes.len() > MAX_BYTES {
            return Err(too_large(&spec));
        }
        let absolute = std::fs::canonicalize(path).map_err(|error| unreadable(&spec, error))?;
        Ok(Document {
            source: absolute.to_string_lossy().into_owned(),
            bytes: bytes.into(),
        })
    });
    task.await
        .map_err(|error| Error::internal("reading the document was interrupted").caused_by(error))?
}

fn unreadable(spec: &str, error: std::io::Error) -> Error {
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such document"),
        std::io::ErrorKind::PermissionDenied => {
            (ErrorKind::PermissionDenied, "the document may not be read")
        }
        _ => (ErrorKind::InvalidInput, "the document cannot be read"),
    };
    Error::new(kind, message)
        .with("path", spec)
        .caused_by(error)
}

fn too_large(spec: &str) -> Error {
    Error::new(ErrorKind::TooLarge, "the document is larger than 64 MiB").with("document", spec)
}

async fn fetch(url: Url) -> Result<Document> {
    // A URL may hold a password or a token: errors show it without.
    let shown = shown(&url);
    let failed = |error: reqwest::Error| {
        let kind = if error.is_timeout() {
            ErrorKind::Timeout
        } else {
            ErrorKind::Unavailable
        };
        Error::new(kind, "the document cannot be fetched")
            .with("url", &shown)
            .caused_by(error.without_url())
    };
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .user_agent(concat!("mcphub/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(failed)?;
    let response = client
        .get(url.clone())
        .header("accept", "application/json, application/yaml, */*;q=0.5")
        .send()
        .await
        .map_err(failed)?;
    let status = response.status();
    if !status.is_success() {
        let kind = if status.as_u16() == 404 {
            ErrorKind::NotFound
        } else {
            ErrorKind::Upstream
        };
        return Err(Error::new(kind, "the document cannot be fetched")
            .with("url", &shown)
            .with("status", status));
    }
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
        if bytes.len() > MAX_BYTES {
            return Err(too_large(&shown));
        }
    }
    Ok(Document {
        source: url.to_string(),
        bytes: bytes.into(),
    })
}

fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_shown_without_what_may_be_secret() {
        let url = Url::parse("https://me:pw@api.example.com/openapi.json?token=t0ken#x").unwrap();
        assert_eq!(shown(&url), "https://api.example.com/openapi.json");
    }
}
