//! Documents from paths and URLs.

mod references;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mcphub_codegen::openapi::{self, ParserSettings};
use mcphub_codegen::{import, overlay, servers};
use mcphub_core::spec::Document;
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::redirect;
use url::Url;

use self::references::References;
use crate::cli::DocumentArgs;
use crate::{host, output};

/// The largest document that is read.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// Reads a document, a Postman collection or an HTTP archive from a path or an http(s) URL, at most
/// 64 MiB, within 30 s, changes it as the command line says, and makes what it refers to a part of
/// it. An action of an overlay that selects nothing is told on standard error.
///
/// The source is the URL or the absolute path, so that the same document keeps its registration
/// from wherever it is named.
///
/// # Errors
/// `NotFound`, `TooLarge`, `PermissionDenied`; `Upstream`, `Timeout` or `Unavailable` from a URL,
/// also for each overlay; `InvalidDocument`, `Unsupported` and `TooLarge` for an overlay that
/// cannot be applied; `InvalidInput` for a server or a variable that the document does not have.
pub async fn load(spec: &str, args: &DocumentArgs) -> Result<Document> {
    let document = open(spec).await?;
    let import = move || import::openapi(document, &ParserSettings::default());
    let mut document = host::blocking(import).await?;
    if !args.overlays.is_empty() {
        document = changed(document, &args.overlays).await?;
    }
    let references = References::of(&document.source, &args.allowed_references)?;
    let document = openapi::bundle(document, &references, &ParserSettings::default()).await?;
    let choice = args.choice();
    if choice.is_empty() {
        return Ok(document);
    }
    let choose = move || servers::choose(document, &choice, &ParserSettings::default());
    host::blocking(choose).await
}

async fn changed(document: Document, paths: &[String]) -> Result<Document> {
    let mut overlays = Vec::with_capacity(paths.len());
    for overlay in paths {
        overlays.push(open(overlay).await?);
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

/// Reads one file or URL.
async fn open(spec: &str) -> Result<Document> {
    match Url::parse(spec) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => fetch(url, |_| true).await,
        _ => read(spec.to_owned()).await,
    }
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

/// Fetches a document; a redirect is followed where `may_follow` says so.
async fn fetch(url: Url, may_follow: impl Fn(&Url) -> bool) -> Result<Document> {
    let mut target = url.clone();
    for _ in 0..MAX_REDIRECTS {
        match fetch_one(target).await? {
            Fetched::Body(bytes) => {
                return Ok(Document {
                    source: url.to_string(),
                    bytes,
                });
            }
            Fetched::Elsewhere(next) if may_follow(&next) => target = next,
            Fetched::Elsewhere(next) => {
                return Err(Error::new(
                    ErrorKind::PermissionDenied,
                    "the document redirects to where it may not; allow that with --allow-ref URL",
                )
                .with("url", shown(&url))
                .with("redirects to", shown(&next)));
            }
        }
    }
    Err(
        Error::new(ErrorKind::Upstream, "the document redirects too often")
            .with("url", shown(&url)),
    )
}

enum Fetched {
    Body(Bytes),
    Elsewhere(Url),
}

async fn fetch_one(url: Url) -> Result<Fetched> {
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
        .redirect(redirect::Policy::none())
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
    let location = response.headers().get("location");
    if let (true, Some(location)) = (status.is_redirection(), location) {
        let next = location.to_str().ok().and_then(|text| url.join(text).ok());
        let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
        return next.map(Fetched::Elsewhere).ok_or_else(|| {
            Error::new(
                ErrorKind::Upstream,
                "the document redirects to what is no URL",
            )
            .with("url", &shown)
        });
    }
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
    Ok(Fetched::Body(bytes.into()))
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
