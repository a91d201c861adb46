//! What active checks say of a replica, with hysteresis: one check more or less turns nothing.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::fleet::{Fleet, Member};

/// How replicas are checked, besides by the calls that they answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckSettings {
    /// The time between two checks of a replica. Default 5 s.
    pub interval: Duration,
    /// How long a replica may take to answer a check. Default 2 s.
    pub timeout: Duration,
    /// After how many checks in a row that failed it is called no more. Default 2.
    pub lost_after: u32,
    /// After how many checks in a row that it answered it is called again. Default 2.
    pub back_after: u32,
}

impl Default for CheckSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            lost_after: 2,
            back_after: 2,
        }
    }
}

/// Whether a replica answers its checks. One that was not checked yet does.
#[derive(Debug, Default)]
pub(super) struct Standing {
    lost: AtomicBool,
    /// How many checks in a row said the contrary.
    contrary: AtomicU32,
}

impl Standing {
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Takes the outcome of a check over, which only one task does, and says whether that turned it.
    fn checked(&self, answered: bool, settings: &CheckSettings) -> bool {
        let lost = self.is_lost();
        if lost != answered {
            self.contrary.store(0, Ordering::Relaxed);
            return false;
        }
        let contrary = self.contrary.load(Ordering::Relaxed) + 1;
        let needed = if lost {
            settings.back_after
        } else {
            settings.lost_after
        };
        if contrary < needed {
            self.contrary.store(contrary, Ordering::Relaxed);
            return false;
        }
        self.contrary.store(0, Ordering::Relaxed);
        self.lost.store(!lost, Ordering::Relaxed);
        true
    }
}

/// Checks all replicas, as long as there are any.
pub(super) async fn check(fleet: Weak<Fleet>, settings: CheckSettings) {
    loop {
        sleep(settings.interval).await;
        let Some(fleet) = fleet.upgrade() else { return };
        let checks = fleet.members().iter().enumerate();
        join_all(checks.map(|(at, member)| check_one(&fleet, at, member, &settings))).await;
    }
}

async fn check_one(fleet: &Fleet, at: usize, member: &Member, settings: &CheckSettings) {
    let outcome = timeout(settings.timeout, member.upstream.check()).await;
    let answered = matches!(outcome, Ok(Ok(())));
    if answered {
        // A circuit that is open lets the next call try.
        member.guard.listed(Ok(()));
    }
    if !member.standing.checked(answered, settings) {
        return;
    }
    let (server, replica) = (fleet.server(), at);
    match outcome {
        Ok(Ok(())) => tracing::warn!(%server, replica, "a replica answers again"),
        Ok(Err(error)) => {
            tracing::warn!(%server, replica, error = %error.report(), "a replica does not answer and is not called");
        }
        Err(_) => {
            tracing::warn!(%server, replica, limit = ?settings.timeout, "a replica does not answer in time and is not called");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_several_checks_in_a_row_to_turn() {
        let (standing, settings) = (Standing::default(), CheckSettings::default());
        let mut states = Vec::new();
        for answered in [false, true, false, false, true, false, true, true] {
            standing.checked(answered, &settings);
            states.push(standing.is_lost());
        }
        assert_eq!(states, [false, false, false, true, true, true, true, false]);
    }
}
