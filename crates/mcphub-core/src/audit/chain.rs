//! A log, followed entry by entry.

use std::fmt;

use serde::Serialize;

use super::{Action, AuditEntry, AuditHead, Pruned};
use crate::tenant::TenantName;

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Finding {
    /// An entry does not have the hash of its content and what was before it.
    Altered {
        /// Which.
        sequence: u64,
    },
    /// Entries are not there.
    Dropped {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// An entry comes after one with the same or a greater number.
    Reordered {
        /// Which.
        sequence: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { sequence } => write!(f, "entry {sequence} was altered"),
            Self::Dropped { first, last } if first == last => {
                write!(f, "entry {first} was dropped")
            }
            Self::Dropped { first, last } => write!(f, "entries {first} to {last} were dropped"),
            Self::Reordered { sequence } => write!(f, "entry {sequence} is out of order"),
        }
    }
}

/// Follows a log from its first entry on, and finds where it was tampered with. Entries that are not
/// there count as dropped until one is followed that says that they were pruned.
#[derive(Debug)]
pub struct Chain {
    tenant: TenantName,
    head: AuditHead,
    start: AuditHead,
    findings: Vec<Finding>,
    /// What comes after entries that are not there.
    gaps: Vec<(Finding, AuditEntry)>,
}

impl Chain {
    /// How many findings are kept; after that a log is broken, and more say nothing more.
    pub const MAX_FINDINGS: usize = 100;

    /// The beginning of a tenant's log.
    pub fn new(tenant: TenantName) -> Self {
        Self {
            tenant,
            head: AuditHead::default(),
            start: AuditHead::default(),
            findings: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Takes the next entry.
    pub fn follow(&mut self, entry: &AuditEntry) {
        let wanted = self.head.sequence + 1;
        if entry.sequence < wanted {
            let sequence = entry.sequence;
            return self.find(Finding::Reordered { sequence });
        }
        let mut sound = true;
        if entry.sequence > wanted {
            let dropped = Finding::Dropped {
                first: wanted,
                last: entry.sequence - 1,
            };
            if self.gaps.len() < Self::MAX_FINDINGS {
                self.gaps.push((dropped.clone(), entry.clone()));
            }
            self.find(dropped);
        } else if entry.hash_after(&self.head.hash, &self.tenant) != entry.hash {
            let sequence = entry.sequence;
            self.find(Finding::Altered { sequence });
            sound = false;
        }
        if sound && entry.action == Action::AUDIT_PRUNE {
            self.excuse(entry);
        }
        // Goes on from what the entry says, so that one alteration is one finding.
        self.head = AuditHead {
            sequence: entry.sequence,
            hash: entry.hash,
        };
    }

    /// Compares with where the log ends by another account: the store's, or one noted before.
    /// A noted head that is older than what was followed has to be given before its successor is
    /// followed.
    pub fn expect(&mut self, head: &AuditHead) {
        if head.sequence > self.head.sequence {
            self.find(Finding::Dropped {
                first: self.head.sequence + 1,
                last: head.sequence,
            });
        } else if head.sequence == self.head.sequence && head.hash != self.head.hash {
            let sequence = head.sequence;
            self.find(Finding::Altered { sequence });
        }
    }

    /// The last entry that was pruned, by what the log says of it; number 0 where it begins with the
    /// first.
    pub fn start(&self) -> AuditHead {
        self.start
    }

    /// The last entry that was followed.
    pub fn head(&self) -> AuditHead {
        self.head
    }

    /// What is wrong, as far as it was followed.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Takes back that entries were dropped, where this one says so and what comes after them follows
    /// from the last of them. The log may be pruned while it is read, so a gap may be anywhere.
    fn excuse(&mut self, entry: &AuditEntry) {
        let Ok(pruned) = serde_json::from_str::<Pruned>(entry.detail.get()) else {
            return;
        };
        let tenant = &self.tenant;
        let told = self.gaps.iter().position(|(gap, next)| {
            matches!(gap, Finding::Dropped { last, .. } if *last == pruned.through)
                && next.hash_after(&pruned.hash, tenant) == next.hash
        });
        let Some(told) = told else { return };
        let (gap, _) = self.gaps.swap_remove(told);
        self.findings.retain(|finding| *finding != gap);
        if matches!(gap, Finding::Dropped { first: 1, .. }) {
            self.start = AuditHead {
                sequence: pruned.through,
                hash: pruned.hash,
            };
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < Self::MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::super::Hash;
    use super::*;
    use crate::tenant::Actor;

    fn log(tenant: &TenantName) -> Vec<AuditEntry> {
        let mut previous = Hash::default();
        (1..=5)
            .map(|sequence| {
                let mut entry = AuditEntry {
                    sequence,
                    at: 1_763_683_200_000 + sequence as i64,
                    actor: Actor::default(),
                    action: Action::SERVER_SAVE,
                    target: format!("server:api-{sequence}"),
                    detail: RawValue::from_string("{\"revision\":1}".to_owned()).unwrap(),
                    hash: Hash::default(),
                };
                entry.hash = entry.hash_after(&previous, tenant);
                previous = entry.hash;
                entry
            })
            .collect()
    }

    fn findings(tenant: &TenantName, log: &[AuditEntry]) -> Vec<Finding> {
        let mut chain = Chain::new(tenant.clone());
        log.iter().for_each(|entry| chain.follow(entry));
        chain.findings().to_vec()
    }

    #[test]
    fn a_log_is_sound_as_it_was_written_and_after_a_trip_through_json() {
        let tenant = TenantName::default();
        let log = log(&tenant);
        let json = serde_json::to_string(&log).unwrap();
        let again: Vec<AuditEntry> = serde_json::from_str(&json).unwrap();
        assert_eq!(findings(&tenant, &again), []);
    }

    #[test]
    fn every_altered_part_is_found_once() {
        let tenant = TenantName::default();
        let changes: [fn(&mut AuditEntry); 6] = [
            |entry| entry.at += 1,
            |entry| entry.actor = Actor::of("cli", "eve"),
            |entry| entry.action = Action::SERVER_PURGE,
            |entry| entry.target.push('x'),
            |entry| entry.detail = RawValue::from_string("{\"revision\": 1}".to_owned()).unwrap(),
            |entry| entry.target = "server:api".to_owned(),
        ];
        for change in changes {
            let mut log = log(&tenant);
            change(&mut log[2]);
            assert_eq!(findings(&tenant, &log), [Finding::Altered { sequence: 3 }]);
        }
        let mut log = log(&tenant);
        log[2].hash.0[0] ^= 1;
        let altered = [3, 4].map(|sequence| Finding::Altered { sequence });
        assert_eq!(findings(&tenant, &log), altered);
        let other = TenantName::new("other").unwrap();
        assert_eq!(
            findings(&other, &log[..1]),
            [Finding::Altered { sequence: 1 }]
        );
    }

    #[test]
    fn dropped_and_reordered_entries_are_found() {
        let tenant = TenantName::default();
        let whole = log(&tenant);
        let mut dropped = whole.clone();
        dropped.drain(1..3);
        assert_eq!(
            findings(&tenant, &dropped),
            [Finding::Dropped { first: 2, last: 3 }]
        );
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert_eq!(
            findings(&tenant, &swapped),
            [
                Finding::Dropped { first: 2, last: 2 },
                Finding::Reordered { sequence: 2 }
            ]
        );
        let mut twice = whole.clone();
        twice.insert(3, whole[2].clone());
        assert_eq!(
            findings(&tenant, &twice),
            [Finding::Reordered { sequence: 3 }]
        );
    }

    #[test]
    fn a_log_that_was_cut_or_written_anew_does_not_end_as_noted() {
        let tenant = TenantName::default();
        let log = log(&tenant);
        let noted = AuditHead {
            sequence: 5,
            hash: log[4].hash,
        };
        let mut chain = Chain::new(tenant.clone());
        log[..3].iter().for_each(|entry| chain.follow(entry));
        chain.expect(&noted);
        assert_eq!(chain.findings(), [Finding::Dropped { first: 4, last: 5 }]);

        let mut chain = Chain::new(tenant);
        log.iter().for_each(|entry| chain.follow(entry));
        chain.expect(&noted);
        assert_eq!(chain.findings(), []);
        let other = AuditHead {
            hash: Hash([7; 32]),
            ..noted
        };
        chain.expect(&other);
        assert_eq!(chain.findings(), [Finding::Altered { sequence: 5 }]);
    }

    /// A log whose first entries were pruned, with the entry that says so.
    fn pruned(
        tenant: &TenantName,
        through: u64,
        told: impl FnOnce(&mut Pruned),
    ) -> Vec<AuditEntry> {
        let mut log = log(tenant);
        let last = &log[usize::try_from(through).unwrap() - 1];
        let mut detail = Pruned {
            through,
            hash: last.hash,
            entries: through,
            before: last.at + 1,
        };
        told(&mut detail);
        let mut entry = log[4].clone();
        entry.sequence = 6;
        entry.action = Action::AUDIT_PRUNE;
        entry.detail = RawValue::from_string(serde_json::to_string(&detail).unwrap()).unwrap();
        entry.hash = entry.hash_after(&log[4].hash, tenant);
        log.push(entry);
        log.drain(..usize::try_from(through).unwrap());
        log
    }

    #[test]
    fn a_pruned_log_begins_where_its_entry_says() {
        let tenant = TenantName::default();
        for through in [1, 3, 5] {
            let entries = pruned(&tenant, through, |_| ());
            let mut chain = Chain::new(tenant.clone());
            entries.iter().for_each(|entry| chain.follow(entry));
            assert_eq!(chain.findings(), []);
            assert_eq!(
                (chain.start().sequence, chain.head().sequence),
                (through, 6)
            );
        }
    }

    #[test]
    fn a_beginning_that_is_not_the_one_that_was_pruned_is_found() {
        let tenant = TenantName::default();
        let dropped = |last| [Finding::Dropped { first: 1, last }];
        // More was cut off than the entry says, and as much with another hash.
        let further = pruned(&tenant, 2, |_| ());
        assert_eq!(findings(&tenant, &further[1..]), dropped(3));
        let forged = pruned(&tenant, 2, |told| told.hash = Hash([7; 32]));
        assert_eq!(findings(&tenant, &forged), dropped(2));
        let untold = pruned(&tenant, 2, |_| ());
        assert_eq!(findings(&tenant, &untold[..3]), dropped(2));
        // What the entry says was altered to fit.
        let mut altered = pruned(&tenant, 2, |_| ());
        let detail = pruned(&tenant, 3, |_| ())[2].detail.clone();
        altered[3].detail = detail;
        assert_eq!(
            findings(&tenant, &altered[1..]),
            [
                Finding::Dropped { first: 1, last: 3 },
                Finding::Altered { sequence: 6 }
            ]
        );
        // The first entry that is left was altered.
        let mut first = pruned(&tenant, 2, |_| ());
        first[0].target.push('x');
        assert_eq!(findings(&tenant, &first), dropped(2));
    }

    #[test]
    fn a_log_that_is_pruned_while_it_is_read_is_sound() {
        let tenant = TenantName::default();
        let whole = log(&tenant);
        let rest = pruned(&tenant, 3, |_| ());
        let read = [&whole[..1], &rest].concat();
        assert_eq!(findings(&tenant, &read), []);
    }
}
