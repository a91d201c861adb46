//! Requests that go again: the API asks to come later (RFC 9110, 10.2.3; RFC 6585, 4), or it never
//! saw them.

use std::time::{Duration, SystemTime};

use mcphub_core::call::{Arguments, HttpAnswer};
use mcphub_core::tool::Tool;
use tokio::time::Instant;

use super::exchange::Allowance;
use super::settings::NativeSettings;
use super::{Entry, NativeApi, Sent};
use crate::upstream::http::RECONNECT;

impl NativeApi {
    /// What came of a request in the end: it is sent again where the API says when to come back, and
    /// once more where there was no connection.
    pub(super) async fn in_the_end(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
        sent: Sent,
        allowance: Allowance<'_>,
    ) -> Sent {
        let again = match &sent {
            Ok((answer, _)) => matches!(answer.status, 429 | 503),
            Err(unanswered) => unanswered.may_go_again(tool),
        };
        if again {
            return Box::pin(self.patiently(tool, entry, arguments, sent, allowance)).await;
        }
        sent
    }

    async fn patiently(
        &self,
        tool: &Tool,
        entry: &Entry,
        arguments: &Arguments<'_>,
        mut sent: Sent,
        allowance: Allowance<'_>,
    ) -> Sent {
        let settings = &self.client.settings;
        for retry in 0..settings.max_retries {
            let wait = match &sent {
                Ok((answer, _)) => wait(tool, answer, settings, allowance.end()),
                Err(unanswered) => {
                    (retry == 0 && unanswered.may_go_again(tool)).then_some(RECONNECT)
                }
            };
            let Some(wait) = wait else { break };
            // What the refusal takes is given back before the wait.
            drop(sent);
            tokio::time::sleep(wait).await;
            sent = match self.request(tool, entry, arguments) {
                Ok(request) => self.send(tool, request, allowance).await,
                Err(error) => Err(error.report().into()),
            };
        }
        sent
    }
}

/// How long to wait before the same request goes again. `None` where it does not: it is not safe to
/// repeat, the answer does not ask for it, or the wait is longer than there is time for.
fn wait(
    tool: &Tool,
    answer: &HttpAnswer,
    settings: &NativeSettings,
    end: Instant,
) -> Option<Duration> {
    if !matches!(answer.status, 429 | 503) || !tool.is_repeatable() {
        return None;
    }
    let wait = stated(answer.retry_after.as_deref()?, SystemTime::now())?;
    let in_time = wait < end.saturating_duration_since(Instant::now());
    (wait <= settings.max_retry_wait && in_time).then_some(wait)
}

/// A number of seconds, or the time until a date; none for one that is over.
fn stated(retry_after: &str, now: SystemTime) -> Option<Duration> {
    let text = retry_after.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_told_apart_and_anything_else_is_nothing() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let at = httpdate::parse_http_date(date).unwrap();
        let before = at - Duration::from_secs(90);
        for (text, now, expected) in [
            ("7", at, Some(7)),
            (" 0 ", at, Some(0)),
            (date, before, Some(90)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", before, Some(90)),
            ("Sun Nov  6 08:49:37 1994", before, Some(90)),
            (date, at + Duration::from_secs(1), Some(0)),
            ("", at, None),
            ("1.5", at, None),
            ("-1", at, None),
            ("soon", at, None),
            ("99999999999999999999999", at, None),
        ] {
            let wait = stated(text, now).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{text}");
        }
    }
}
