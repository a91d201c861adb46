//! Something to look at while work takes longer than a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Runs `work` with a spinner on standard error, from one second on. On no terminal nothing shows.
pub async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(Duration::from_secs(1), &mut work).await {
        return done;
    }
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    let done = work.await;
    spinner.finish_and_clear();
    done
}
