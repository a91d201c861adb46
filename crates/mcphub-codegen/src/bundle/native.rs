//! A document and the program that serves it, in one bundle.

use mcphub_core::Result;
use mcphub_core::tool::ToolSet;

use super::Bundle;
use super::manifest::{Kind, MANIFEST, Manifest, Server, Setting};
use crate::archive::{self, Entry};
use crate::targets::about::base_url;
use crate::targets::version::semantic;

/// Where the program and the document lie in the bundle.
const PROGRAM: &str = "server/mcphub";
const DOCUMENT: &str = "server/openapi";

/// What goes into a bundle of [`native`].
#[derive(Debug, Clone)]
pub struct Native<'a> {
    /// The name of the server.
    pub name: &'a str,
    /// The program: `mcphub` for [`Native::platform`].
    pub program: &'a [u8],
    /// As [`platform()`](super::platform) has it.
    pub platform: &'a str,
    /// The document as it is served, all in one.
    pub document: &'a [u8],
    /// Where the API is; where nobody knows, the client asks its user.
    pub base_url: Option<&'a str>,
    /// More arguments of `mcphub up`: which operations of the document become tools.
    pub options: Vec<String>,
    /// What the client asks its user for.
    pub secrets: Vec<Secret>,
}

/// A secret that the program reads from its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The security scheme; `None` for a bearer token of every scheme that takes one.
    pub scheme: Option<String>,
    /// The environment variable.
    pub variable: String,
}

/// A bundle that serves a document with `mcphub up --stdio`: it needs neither Python nor Node.js, and
/// runs on one platform.
///
/// # Errors
/// `Internal` when the archive cannot be made.
pub fn native(tools: &ToolSet, native: &Native<'_>) -> Result<Bundle> {
    let json = native.document.trim_ascii_start().starts_with(b"{");
    let document = format!("{DOCUMENT}.{}", if json { "json" } else { "yaml" });
    let mut arguments: Vec<String> = [
        "up",
        &format!("${{__dirname}}/{document}"),
        "--stdio",
        "--name",
        native.name,
    ]
    .map(str::to_owned)
    .into();
    arguments.extend(native.options.iter().cloned());
    let mut settings = Vec::new();
    let known = native
        .base_url
        .map(str::to_owned)
        .or_else(|| base_url(tools, None));
    let place = Setting {
        key: "base_url".to_owned(),
        variable: None,
        title: "Base URL".to_owned(),
        description: "Where the API is.".to_owned(),
        required: known.is_none(),
        secret: false,
        default: known.unwrap_or_default(),
    };
    arguments.extend(["--base-url".to_owned(), place.reference()]);
    settings.push(place);
    for secret in &native.secrets {
        arguments.extend(match &secret.scheme {
            Some(scheme) => [
                "--secret-env".to_owned(),
                format!("{scheme}={}", secret.variable),
            ],
            None => ["--bearer-env".to_owned(), secret.variable.clone()],
        });
        settings.push(Setting {
            key: secret.variable.to_ascii_lowercase(),
            variable: Some(secret.variable.clone()),
            title: secret
                .scheme
                .clone()
                .unwrap_or_else(|| "Bearer token".to_owned()),
            description: "A secret of the API.".to_owned(),
            required: true,
            secret: true,
            default: String::new(),
        });
    }
    let manifest = Manifest {
        name: native.name,
        version: &semantic(&tools.api.version),
        tools,
        server: Server {
            kind: Kind::Binary(Some(native.platform)),
            entry_point: PROGRAM,
            command: &format!("${{__dirname}}/{PROGRAM}"),
            arguments,
        },
        settings,
    };
    let manifest = manifest.to_json()?;
    let entries = [
        Entry::file(MANIFEST, manifest.as_bytes()),
        Entry {
            path: PROGRAM,
            bytes: native.program,
            program: true,
        },
        Entry::file(&document, native.document),
    ];
    Ok(Bundle {
        name: native.name.to_owned(),
        files: entries.len(),
        bytes: archive::write(entries)?,
    })
}
