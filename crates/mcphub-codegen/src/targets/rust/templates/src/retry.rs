//! Answers that ask to come again later (RFC 9110, 10.2.3; RFC 6585, 4).

use std::time::{Duration, SystemTime};

use crate::result::Answer;

/// How often a request that is safe to repeat goes again, all within the time for one answer.
pub const MAX_RETRIES: usize = 2;
/// The longest `Retry-After` that is waited for; a longer one is told in the error.
pub const MAX_RETRY_WAIT: Duration = Duration::from_secs(10);

/// How long to wait before the same request goes again; `None` where it does not.
pub(crate) fn wait_for(answer: &Answer) -> Option<Duration> {
    if !matches!(answer.status, 429 | 503) {
        return None;
    }
    let wait = stated(answer.retry_after.as_deref()?.trim())?;
    (wait <= MAX_RETRY_WAIT).then_some(wait)
}

/// A number of seconds, or the time until a date; none for one that is over.
fn stated(retry_after: &str) -> Option<Duration> {
    if retry_after.bytes().all(|byte| byte.is_ascii_digit()) {
        return retry_after.parse().ok().map(Duration::from_secs);
    }
    let date = httpdate::parse_http_date(retry_after).ok()?;
    let wait = date.duration_since(SystemTime::now());
    Some(wait.unwrap_or_default())
}
