//! What is over and takes up room, deleted by one of the gateways over a store, or of a machine.

use std::time::{Duration, UNIX_EPOCH};

use mcphub_core::Result;
use mcphub_core::audit::Pruned;
use mcphub_core::job::{ClaimedJob, JobName, NewJob};
use mcphub_core::store::{AuditRetention, JobStore, ServerStore, SignInStore};
use tokio::time::sleep;

use crate::host::Host;

/// What the job is called.
const JOB: &str = "purge";
/// How often it is done.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether it is due.
const LOOK: Duration = Duration::from_secs(60);
/// How long a gateway has for a step of it.
const CLAIM: Duration = Duration::from_secs(2 * 60);
/// How much is deleted in a step.
const STEP: u32 = 100;

/// Deletes lapsed sign-ins, and servers that were removed and entries of the audit log that are there for as
/// long as the host says. Never ends.
pub async fn keep_purged(host: &Host) {
    let mut works = true;
    loop {
        let outcome = look(host).await;
        if let Err(error) = &outcome
            && works
        {
            tracing::warn!(error = %error.report(), "nothing is purged");
        }
        works = outcome.is_ok();
        sleep(LOOK).await;
    }
}

/// Removes builds of generated projects that nobody uses any more, at the start and each hour: they are
/// files of this machine, so that no other gateway does it. Never ends.
pub async fn keep_builds_pruned(host: &Host) {
    loop {
        match host.builds.prune().await {
            Ok(pruned) if pruned.builds + pruned.environments > 0 => {
                let (builds, environments) = (pruned.builds, pruned.environments);
                tracing::info!(builds, environments, "old builds were removed");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error.report(), "old builds stay"),
        }
        sleep(EVERY).await;
    }
}

/// Does the job if it is due and nobody else does it.
async fn look(host: &Host) -> Result<()> {
    let mut next = NewJob::new(JobName::new(JOB)?);
    host.store.enqueue_job(&next).await?;
    let Some(claimed) = host.store.claim_job(JOB, CLAIM).await? else {
        return Ok(());
    };
    match purge(host, &claimed).await {
        Ok(()) => {
            host.store.finish_job(&claimed).await?;
            next.due_at = now().saturating_add(millis(EVERY));
            host.store.enqueue_job(&next).await?;
            Ok(())
        }
        Err(error) => {
            host.store.fail_job(&claimed, &error.report()).await?;
            Err(error)
        }
    }
}

async fn purge(host: &Host, claimed: &ClaimedJob) -> Result<()> {
    while host.store.purge_sign_ins(STEP).await? == u64::from(STEP) {
        if !host.store.keep_job(claimed, CLAIM).await? {
            return Ok(());
        }
    }
    if let Some(after) = host.purge_removed_after {
        let before = before(millis(after));
        while host.store.purge_removed(before, STEP).await? == u64::from(STEP) {
            if !host.store.keep_job(claimed, CLAIM).await? {
                return Ok(());
            }
        }
    }
    // Last, so that what was deleted above is told of by an entry that stays.
    if let Some(keep) = host.keep_audit {
        let more = async || host.store.keep_job(claimed, CLAIM).await;
        prune_audit(&*host.store, before(millis(keep)), more).await?;
    }
    Ok(())
}

/// Removes entries of the audit log from before a time, step by step while `more` says so. How many.
///
/// # Errors
/// Those of the store; steps that were done stay done.
pub async fn prune_audit(
    store: &dyn AuditRetention,
    before: i64,
    more: impl AsyncFn() -> Result<bool>,
) -> Result<u64> {
    let mut removed = 0;
    loop {
        let step = store.prune_audit(before, Pruned::MAX).await?;
        removed += step;
        if step < u64::from(Pruned::MAX) || !more().await? {
            return Ok(removed);
        }
    }
}

/// The time that was so many milliseconds ago.
pub fn before(millis: i64) -> i64 {
    now().saturating_sub(millis)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Now, in Unix milliseconds.
fn now() -> i64 {
    millis(UNIX_EPOCH.elapsed().unwrap_or_default())
}
