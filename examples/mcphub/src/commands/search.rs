//! `mcphub search`.

use std::process::ExitCode;

use mcphub_core::Result;
use mcphub_core::store::ToolSearch;

use super::list;
use crate::cli::{Format, Search};
use crate::output;

pub async fn run(args: Search) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut search = ToolSearch::new(args.text.join(" "));
    search.kind = args.kind.map(Into::into);
    search.limit = args.limit;
    search.after = args.after;
    let page = host.platform.search(&search).await?;
    match args.format {
        Format::Json => output::json(&page)?,
        Format::Text if page.tools.is_empty() => output::say("no tool is found by these words"),
        Format::Text => {
            for tool in &page.tools {
                // One line of it, which may not move the cursor of a terminal.
                let said = tool.description.lines().next().unwrap_or_default();
                let said = said.replace(char::is_control, " ");
                output::line(&format!(
                    "{}\t{}\t{}\t{said}",
                    tool.server, tool.name, tool.kind
                ))?;
            }
            if let Some(next) = page.next {
                output::say(&format!("there are more: --after {next}"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
