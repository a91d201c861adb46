//! `mcphub docs`: documentation of the tools of a document.

use std::process::ExitCode;

use mcphub_codegen::docs::{self, Format};
use mcphub_core::{Error, ErrorKind, Result};

use super::inspect;
use crate::cli::{Docs, DocsFormat};
use crate::{document, host, output, progress};

pub async fn run(args: Docs) -> Result<ExitCode> {
    let document = document::load(&args.spec, &args.document);
    let document = progress::during("fetching the document", document).await?;
    let inspected = inspect::inspect(document, args.tools.choices()).await?;
    let tools = inspected.tools;
    let format = match args.format {
        DocsFormat::Html => Format::Html,
        DocsFormat::Markdown => Format::Markdown,
        DocsFormat::Llms => Format::Llms,
        DocsFormat::OpenapiJson => Format::OpenApiJson,
        DocsFormat::OpenapiYaml => Format::OpenApiYaml,
    };
    let work = host::blocking(move || docs::document(&tools, format));
    let text = progress::during("writing the documentation", work).await?;
    match args.out {
        None => output::text(&text)?,
        Some(path) => {
            tokio::fs::write(&path, text).await.map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "the file cannot be written")
                    .with("file", path.display())
                    .caused_by(error)
            })?;
            output::say(&format!("written to {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
