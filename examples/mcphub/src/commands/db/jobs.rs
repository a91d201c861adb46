//! `mcphub db jobs`.

use std::process::ExitCode;

use mcphub_core::Result;
use mcphub_core::job::Job;
use mcphub_core::store::JobStore;

use crate::cli::{DbJobs, Format};
use crate::commands::list;
use crate::output;

/// How many are read at once.
const PAGE: u32 = 1_000;

pub async fn run(args: DbJobs) -> Result<ExitCode> {
    let host = list::open(&args.store).await?;
    let mut jobs: Vec<Job> = Vec::new();
    let mut after = None;
    loop {
        let page = host.store.jobs(after.as_ref(), PAGE).await?;
        jobs.extend(page.jobs);
        match page.next {
            None => break,
            next => after = next,
        }
    }
    match args.format {
        Format::Json => output::json(&jobs)?,
        Format::Text if jobs.is_empty() => output::say("there is nothing to do"),
        Format::Text => {
            for job in jobs {
                let state = match job.failed_at {
                    Some(at) => format!("failed {}", output::time(at)),
                    None => format!("due {}", output::time(job.due_at)),
                };
                let error = job.error.map(|error| format!("\t{error}"));
                output::line(&format!(
                    "{}\t{state}\tbegun {} of {}{}",
                    job.name,
                    job.begun,
                    job.attempts,
                    error.unwrap_or_default()
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
