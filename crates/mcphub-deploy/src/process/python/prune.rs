//! Builds and environments that nobody uses any more are removed.
//!
//! Several hosts may share a folder, also over different stores, and none knows what the others run.
//! So a use is noted as a time, that of the file which makes a build or an environment whole: when it
//! is built or found, and again with each pruning by a host that made it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcphub_core::{Error, Result};
use tokio::time::Instant;

use super::lock::Lock;
use super::{Record, cannot_write, dependencies, wipe};

/// What makes a build whole.
pub(super) const RECORD: &str = "build.json";

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunedBuilds {
    /// Builds of projects.
    pub builds: usize,
    /// Environments that none of the builds which are left takes.
    pub environments: usize,
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    /// The last so many builds, whenever they were used.
    pub builds: usize,
    /// What was used within this time.
    pub unused: Duration,
}

/// Says of a build or an environment that it is used now.
pub(super) fn note_use(marker: &Path) -> io::Result<()> {
    File::options()
        .write(true)
        .open(marker)?
        .set_modified(SystemTime::now())
}

/// A folder, and when it was used last; never, where it was not finished.
struct Found {
    name: String,
    folder: PathBuf,
    used: SystemTime,
}

/// Removes what is not kept. What somebody builds at this moment stays.
pub(super) async fn prune(root: &Path, keep: Keep) -> Result<PrunedBuilds> {
    let mut pruned = PrunedBuilds::default();
    let builds = list(root.join("builds"), RECORD).await?;
    for build in builds.into_iter().skip(keep.builds) {
        let name = build.name.trim_end_matches(".partial").to_owned();
        pruned.builds += usize::from(remove(root, &name, build, RECORD, keep.unused).await?);
    }
    let environments = list(root.join("environments"), dependencies::MARKER).await?;
    let used = environments_of_builds(root.join("builds")).await?;
    for environment in environments {
        if used.contains(&environment.name) {
            continue;
        }
        let lock = format!("environment-{}", environment.name);
        let marker = dependencies::MARKER;
        let removed = remove(root, &lock, environment, marker, keep.unused).await?;
        pruned.environments += usize::from(removed);
    }
    Ok(pruned)
}

/// Removes a folder under its lock, unless it was used meanwhile or somebody holds the lock.
async fn remove(
    root: &Path,
    lock: &str,
    found: Found,
    marker: &'static str,
    unused: Duration,
) -> Result<bool> {
    if is_fresh(found.used, unused) {
        return Ok(false);
    }
    let Ok(lock) = Lock::take(root, lock, Instant::now()).await else {
        return Ok(false);
    };
    // The lock goes along: this task ends even when the caller does not wait for it.
    let lock = Arc::new(lock);
    off_runtime(move || {
        let _lock = lock;
        if is_fresh(last_use(&found.folder, marker), unused) {
            return Ok(false);
        }
        // Not whole from here on, whatever comes between.
        let marker = fs::remove_file(found.folder.join(marker));
        if let Err(error) = marker
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        wipe(&found.folder)?;
        Ok(true)
    })
    .await
}

/// Folders with their last use, the last used first.
async fn list(parent: PathBuf, marker: &'static str) -> Result<Vec<Found>> {
    off_runtime(move || {
        let mut found = Vec::new();
        for entry in entries(&parent)? {
            let (folder, name) = (entry.path(), entry.file_name());
            if let Ok(name) = name.into_string() {
                let used = last_use(&folder, marker);
                found.push(Found { name, folder, used });
            }
        }
        found.sort_by(|one, other| (other.used, &one.name).cmp(&(one.used, &other.name)));
        Ok(found)
    })
    .await
}

/// Those that a build which is there takes.
async fn environments_of_builds(builds: PathBuf) -> Result<HashSet<String>> {
    off_runtime(move || {
        let mut used = HashSet::new();
        for entry in entries(&builds)? {
            let record = fs::read(entry.path().join(RECORD)).ok();
            let record = record.and_then(|json| serde_json::from_slice::<Record>(&json).ok());
            used.extend(record.map(|record| record.environment));
        }
        Ok(used)
    })
    .await
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Of what was not finished it is when its folder was changed last.
fn last_use(folder: &Path, marker: &str) -> SystemTime {
    let modified = |path: &Path| fs::metadata(path)?.modified();
    modified(&folder.join(marker))
        .or_else(|_| modified(folder))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A time that is still to come, because a clock was set back, counts as now.
fn is_fresh(used: SystemTime, unused: Duration) -> bool {
    used.elapsed().map_or(true, |since| since < unused)
}

pub(super) async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("the pruning of builds was interrupted").caused_by(error))?
        .map_err(|error| cannot_write(Path::new("builds"), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// A build of an environment, last used so many days ago.
    fn build(root: &Path, digest: &str, environment: &str, days: u32) {
        let record = serde_json::json!({"environment": environment, "python": null});
        put(
            &root.join("builds").join(digest),
            RECORD,
            &record.to_string(),
            days,
        );
    }

    fn environment(root: &Path, key: &str, days: u32) {
        put(
            &root.join("environments").join(key),
            dependencies::MARKER,
            "",
            days,
        );
    }

    fn put(folder: &Path, marker: &str, text: &str, days: u32) {
        fs::create_dir_all(folder.join("project")).unwrap();
        let marker = folder.join(marker);
        fs::write(&marker, text).unwrap();
        let used = SystemTime::now() - DAY * days;
        File::options()
            .write(true)
            .open(marker)
            .unwrap()
            .set_modified(used)
            .unwrap();
    }

    fn names(folder: PathBuf) -> Vec<String> {
        let mut names: Vec<_> = entries(&folder)
            .unwrap()
            .into_iter()
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn the_last_builds_and_those_in_use_stay_with_their_environments() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for (digest, env, days) in [
            ("a", "x", 1),
            ("b", "x", 20),
            ("c", "y", 30),
            ("d", "z", 40),
        ] {
            build(root, digest, env, days);
        }
        for key in ["x", "y", "z"] {
            environment(root, key, 50);
        }
        environment(root, "young", 1);
        let keep = Keep {
            builds: 3,
            unused: DAY * 7,
        };
        let pruned = prune(root, keep).await.unwrap();
        assert_eq!((pruned.builds, pruned.environments), (1, 1));
        assert_eq!(names(root.join("builds")), ["a", "b", "c"]);
        assert_eq!(names(root.join("environments")), ["x", "y", "young"]);

        note_use(&root.join("builds/c").join(RECORD)).unwrap();
        let keep = Keep { builds: 0, ..keep };
        assert_eq!(prune(root, keep).await.unwrap().builds, 1);
        assert_eq!(names(root.join("builds")), ["a", "c"]);
        assert_eq!(prune(root, keep).await.unwrap(), PrunedBuilds::default());
    }

    #[tokio::test]
    async fn what_is_being_built_stays_and_what_was_left_goes() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        build(root, "held", "x", 30);
        fs::create_dir_all(root.join("builds/left.partial/project")).unwrap();
        let keep = Keep {
            builds: 0,
            unused: Duration::ZERO,
        };
        let lock = Lock::take(root, "held", Instant::now()).await.unwrap();
        assert_eq!(prune(root, keep).await.unwrap().builds, 1);
        assert_eq!(names(root.join("builds")), ["held"]);
        drop(lock);
        assert_eq!(prune(root, keep).await.unwrap().builds, 1);
        assert_eq!(names(root.join("builds")), [""; 0]);
    }

    #[tokio::test]
    async fn a_folder_without_builds_has_nothing_to_remove() {
        let root = tempfile::tempdir().unwrap();
        let keep = Keep {
            builds: 0,
            unused: Duration::ZERO,
        };
        assert_eq!(
            prune(root.path(), keep).await.unwrap(),
            PrunedBuilds::default()
        );
    }
}
