//! Jobs: work that is done once, by whichever node.

use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::job::{ClaimedJob, Job, JobListing, JobName, NewJob};
use mcphub_core::store::JobStore;
use mcphub_core::{Error, Result};

use super::failure::Failure;
use super::server::number;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now, page_limit};

const DUE: &str = "
    SELECT name, detail, created_at, due_at, begun, attempts, error, failed_at
    FROM job
    WHERE tenant_id = $1 AND kind = $2 AND failed_at IS NULL AND due_at <= $3
    ORDER BY due_at
    LIMIT 1";

/// That the job is still claimed by whoever began it at that time: nobody else did since, and it is
/// no later one of the same name.
const STILL: &str = " WHERE tenant_id = $1 AND name = $2 AND begun = $3 AND created_at = $4
    AND failed_at IS NULL";

#[async_trait]
impl JobStore for SqlStore {
    async fn enqueue_job(&self, job: &NewJob) -> Result<bool> {
        let outcome = self.add_job(job).await;
        self.explain("store::enqueue_job", outcome)
    }

    async fn claim_job(&self, kind: &str, time: Duration) -> Result<Option<ClaimedJob>> {
        let outcome = self.claim(kind, time).await;
        self.explain("store::claim_job", outcome)
    }

    async fn keep_job(&self, claimed: &ClaimedJob, time: Duration) -> Result<bool> {
        let keep = self.claimed("UPDATE job SET due_at = $5", claimed);
        let outcome = self.change_job(keep.bind(end(time))).await;
        self.explain("store::keep_job", outcome)
    }

    async fn finish_job(&self, claimed: &ClaimedJob) -> Result<bool> {
        let outcome = self
            .change_job(self.claimed("DELETE FROM job", claimed))
            .await;
        self.explain("store::finish_job", outcome)
    }

    async fn fail_job(&self, claimed: &ClaimedJob, why: &str) -> Result<bool> {
        let outcome = self.change_job(self.failure(claimed, why)).await;
        self.explain("store::fail_job", outcome)
    }

    async fn jobs(&self, after: Option<&JobName>, limit: u32) -> Result<JobListing> {
        let outcome = self.read_jobs(after, limit).await;
        self.explain("store::jobs", outcome)
    }
}

impl SqlStore {
    async fn add_job(&self, new: &NewJob) -> Result<bool, Failure> {
        let detail = new.detail.to_string();
        if detail.len() > Job::MAX_DETAIL || !(1..=Job::MAX_ATTEMPTS).contains(&new.attempts) {
            let message = "a job has 1 to 100 attempts, and 64 KiB of detail at most";
            return Err(Error::invalid(message).with("job", &new.name).into());
        }
        // Nodes look for one again and again, and keep no writer waiting for what is there.
        let there = "SELECT name FROM job
            WHERE tenant_id = $1 AND name = $2 AND failed_at IS NULL";
        let there = Statement::new(there)
            .bind(self.tenant_id)
            .bind(new.name.as_str());
        let there = self.engine().read().await?.fetch_optional(there).await?;
        if there.is_some() {
            return Ok(false);
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let over = "DELETE FROM job WHERE tenant_id = $1 AND name = $2 AND failed_at IS NOT NULL";
        let over = Statement::new(over)
            .bind(self.tenant_id)
            .bind(new.name.as_str());
        session.execute(over).await?;
        let add =
            "INSERT INTO job (tenant_id, name, kind, detail, created_at, due_at, begun, attempts)
            VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
            ON CONFLICT (tenant_id, name) DO NOTHING";
        let add = Statement::new(add)
            .bind(self.tenant_id)
            .bind(new.name.as_str())
            .bind(new.name.kind())
            .bind(detail)
            .bind(now())
            .bind(new.due_at)
            .bind(new.attempts);
        if session.execute(add).await? == 0 {
            return Ok(false);
        }
        session.commit().await?;
        Ok(true)
    }

    async fn claim(&self, kind: &str, time: Duration) -> Result<Option<ClaimedJob>, Failure> {
        let due = || {
            Statement::new(DUE)
                .bind(self.tenant_id)
                .bind(kind)
                .bind(now())
        };
        // Nodes that find nothing to do keep no writer waiting.
        let found = self.engine().read().await?.fetch_optional(due()).await?;
        if found.is_none() {
            return Ok(None);
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let mut claimed = None;
        while let Some(row) = session.fetch_optional(due()).await? {
            let mut job = job(&row)?;
            if job.begun < job.attempts {
                job.begun += 1;
                job.due_at = end(time);
                self.note_claim(&mut session, &job).await?;
                claimed = Some(ClaimedJob { job });
                break;
            }
            let job = ClaimedJob { job };
            let gone = "whoever did it said no more: it was begun as often as it may be";
            session.execute(self.failure(&job, gone)).await?;
        }
        session.commit().await?;
        Ok(claimed)
    }

    async fn note_claim(&self, session: &mut Session, job: &Job) -> Result<(), Failure> {
        let claim = "UPDATE job SET begun = $3, due_at = $4 WHERE tenant_id = $1 AND name = $2";
        let claim = Statement::new(claim)
            .bind(self.tenant_id)
            .bind(job.name.as_str())
            .bind(job.begun)
            .bind(job.due_at);
        session.execute(claim).await?;
        Ok(())
    }

    /// What changes a job, with values from `$5` on, if nobody else has claimed it since.
    fn claimed(&self, change: &'static str, claimed: &ClaimedJob) -> Statement {
        Statement::new(change)
            .then(STILL)
            .bind(self.tenant_id)
            .bind(claimed.job.name.as_str())
            .bind(claimed.job.begun)
            .bind(claimed.job.created_at)
    }

    /// What lets a job wait before it is tried again, or not be tried any more.
    fn failure(&self, claimed: &ClaimedJob, why: &str) -> Statement {
        let (job, now) = (&claimed.job, now());
        let fail = "UPDATE job SET error = $5, due_at = $6, failed_at = $7";
        let why: String = why.chars().take(Job::MAX_ERROR).collect();
        self.claimed(fail, claimed)
            .bind(why)
            .bind(now.saturating_add(Job::backoff(job.begun)))
            .bind((job.begun >= job.attempts).then_some(now))
    }

    async fn change_job(&self, change: Statement) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let changed = session.execute(change).await? > 0;
        session.commit().await?;
        Ok(changed)
    }

    async fn read_jobs(&self, after: Option<&JobName>, limit: u32) -> Result<JobListing, Failure> {
        page_limit(limit)?;
        let page = "SELECT name, detail, created_at, due_at, begun, attempts, error, failed_at
            FROM job WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        // One more than asked for tells whether there is a next page.
        let page = Statement::new(page)
            .bind(self.tenant_id)
            .bind(after.map_or("", JobName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(page).await?;
        let jobs = rows.iter().take(limit as usize).map(job);
        let jobs: Vec<Job> = jobs.collect::<Result<_, Failure>>()?;
        let last = jobs.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.name.clone());
        Ok(JobListing { jobs, next })
    }
}

fn end(time: Duration) -> i64 {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    now().saturating_add(millis)
}

fn job(row: &Row) -> Result<Job, Failure> {
    let unreadable = |error: Error| Error::internal("a stored job cannot be read").caused_by(error);
    let detail: String = row.get("detail")?;
    let detail = serde_json::from_str(&detail)
        .map_err(|error| unreadable(Error::internal("its detail is no JSON").caused_by(error)))?;
    Ok(Job {
        name: JobName::new(row.get::<String>("name")?).map_err(unreadable)?,
        detail,
        created_at: row.get("created_at")?,
        due_at: row.get("due_at")?,
        begun: count(row, "begun")?,
        attempts: count(row, "attempts")?,
        error: row.get("error")?,
        failed_at: row.get("failed_at")?,
    })
}

fn count(row: &Row, column: &str) -> Result<u32, Failure> {
    let count: u64 = number(row.get(column)?)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
