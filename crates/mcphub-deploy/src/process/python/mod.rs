//! Python projects become a command.
//!
//! A project is not installed: what takes time is its dependencies, and those are the same for every
//! project of one target. So there is one virtual environment for each set of dependencies, and a
//! project is a folder that its own process starts in, where `python -m` finds the module. A changed
//! document costs the writing of a few files.
//!
//! ```text
//! ROOT/environments/KEY/        a virtual environment; KEY is a hash of dependencies and interpreter
//! ROOT/builds/DIGEST/project/   the source; DIGEST is the project's
//! ROOT/builds/DIGEST/build.json which environment it takes
//! ROOT/locks/                   one build of a KEY or DIGEST at a time, over all processes
//! ```
//!
//! An environment is whole when it holds its own marker, written last; a build is whole when it has
//! its final name. Anything else is wiped by the next build under the same lock. What is not used any
//! more is removed by [`PythonBuilder::prune`].

mod dependencies;
mod interpreter;
mod lock;
mod metadata;
mod prune;
mod tool;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::artifact::{Artifact, Builder, Program};
use mcphub_core::project::{Project, Runtime};
use mcphub_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::dependencies::Dependencies;
use self::lock::Lock;
use self::metadata::Metadata;
use self::prune::{Keep, RECORD};
use self::tool::Tools;

pub use self::prune::PrunedBuilds;

/// Settings of a [`PythonBuilder`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PythonSettings {
    /// Where builds and environments are kept. Nothing else writes there.
    pub root: PathBuf,
    /// The interpreter to build with. Default: the first of `python3`, `python3.14` to
    /// `python3.10` and `python` that is new enough; with `uv`, one that it downloads when there is
    /// none.
    pub python: Option<PathBuf>,
    /// What installs dependencies. Default: `uv` when it is found, else `pip`.
    pub installer: Installer,
    /// Where `uv` and `python3` are looked for, in the form of `PATH`. Default: `PATH`.
    pub search_path: Option<OsString>,
    /// The longest time for one build, waiting for another of the same included. Default 5 minutes.
    pub timeout: Duration,
    /// How many builds [`PythonBuilder::prune`] leaves, however long ago they were used. Default 20.
    pub keep_builds: usize,
    /// How long it leaves a build that is not among them, and an environment that no build takes, after
    /// they were used last. Default 7 days.
    pub keep_unused: Duration,
}

impl PythonSettings {
    /// Default settings with everything below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            python: None,
            installer: Installer::Auto,
            search_path: None,
            timeout: Duration::from_secs(300),
            keep_builds: 20,
            keep_unused: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// What installs dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Installer {
    /// `uv` when it is found, else `pip`.
    #[default]
    Auto,
    /// `uv`, with its own configuration and that of the user's environment (`UV_*`).
    Uv,
    /// `python -m venv` and `pip`, with that of the user's environment (`PIP_*`).
    Pip,
}

/// Told what a build is doing, one line a step.
type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Builds projects of [`Runtime::Python`].
///
/// Dependencies are those of `project.dependencies` in the project's `pyproject.toml` (PEP 621);
/// they are resolved once for each set of dependencies and interpreter. The module is looked for
/// in `src/` and in the project's folder. Python 3.10 or newer is needed, or what
/// `project.requires-python` asks for as `>=`.
///
/// Each step is a `tracing` event at level info, and goes to [`PythonBuilder::on_progress`].
pub struct PythonBuilder {
    settings: PythonSettings,
    progress: Progress,
    /// The digest of what was built last of each project: what runs, if anything of it does.
    latest: Mutex<HashMap<String, String>>,
}

impl PythonBuilder {
    /// A builder; the root is created by the first build.
    pub fn new(settings: PythonSettings) -> Self {
        Self {
            settings,
            progress: Arc::new(|_| ()),
            latest: Mutex::default(),
        }
    }

    /// Removes builds and environments that are not used any more, whoever made them: all but the last
    /// builds ([`PythonSettings::keep_builds`]) and what was used lately
    /// ([`PythonSettings::keep_unused`]). What this builder built last of each project counts as used
    /// now, so a host calls this more often than that while its servers run. What was removed too early
    /// is built again when its server starts.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be read or written.
    pub async fn prune(&self) -> Result<PrunedBuilds> {
        let root = self.root()?;
        let (latest, settings) = (self.latest(), self.settings.clone());
        let root_of_uses = root.clone();
        prune::off_runtime(move || {
            let root = root_of_uses;
            for digest in latest {
                let build = root.join("builds").join(digest);
                // One that is gone was removed by hand.
                let _ = prune::note_use(&build.join(RECORD));
                if let Some(environment) = recorded(&build, &root, &settings) {
                    dependencies::note_use(&root, &environment);
                }
            }
            Ok(())
        })
        .await?;
        let keep = Keep {
            builds: self.settings.keep_builds,
            unused: self.settings.keep_unused,
        };
        prune::prune(&root, keep)
            .await
            .map_err(|error| error.during("python::prune"))
    }

    fn latest(&self) -> Vec<String> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.values().cloned().collect()
    }

    fn root(&self) -> Result<PathBuf> {
        std::path::absolute(&self.settings.root)
            .map_err(|error| cannot_write(&self.settings.root, error))
    }

    /// Calls `progress` with each step of a build, for a person to read. It must not block.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    async fn build_within(
        &self,
        project: &Project,
        digest: &str,
        deadline: Instant,
    ) -> Result<Artifact> {
        let Runtime::Python { module } = &project.runtime else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "only Python projects are built here",
            ));
        };
        let metadata = Metadata::read(project)?;
        let source = source_folder(project, module)?;
        let root = self.root()?;
        let build = root.join("builds").join(digest);

        let lock = Arc::new(Lock::take(&root, digest, deadline).await?);
        let environment = match recorded(&build, &root, &self.settings) {
            Some(environment) => {
                // Under the lock, without which nothing is pruned.
                let _ = prune::note_use(&build.join(RECORD));
                dependencies::note_use(&root, &environment);
                environment
            }
            None => {
                let tools =
                    Tools::find(&self.settings, Arc::clone(&self.progress), deadline).await?;
                let dependencies =
                    Dependencies::new(metadata.dependencies.clone(), metadata.minimum_python);
                let key = dependencies.install(&root, &tools, deadline).await?;
                let record = Record {
                    environment: key,
                    python: self.settings.python.clone(),
                };
                write_build(&lock, &build, project, source, &metadata, &record).await?;
                record.environment
            }
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.insert(project.name.clone(), digest.to_owned());
        drop(latest);
        Ok(Artifact {
            digest: digest.to_owned(),
            program: Program::Command {
                executable: dependencies::interpreter_of(&root, &environment),
                arguments: vec!["-m".to_owned(), module.clone()],
                directory: build.join("project").join(source),
            },
            environment: project.environment.clone(),
        })
    }
}

#[async_trait]
impl Builder for PythonBuilder {
    async fn build(&self, project: &Project) -> Result<Artifact> {
        let digest = project.digest();
        let deadline = Instant::now() + self.settings.timeout;
        self.build_within(project, &digest, deadline)
            .await
            .map_err(|error| error.with("project", &project.name).during("python::build"))
    }
}

impl fmt::Debug for PythonBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Which environment a build takes, and what it was chosen by.
#[derive(Serialize, Deserialize)]
struct Record {
    environment: String,
    python: Option<PathBuf>,
}

/// The environment of a build that is whole, where that is still whole too.
fn recorded(build: &Path, root: &Path, settings: &PythonSettings) -> Option<String> {
    let record: Record = serde_json::from_slice(&std::fs::read(build.join(RECORD)).ok()?).ok()?;
    (record.python == settings.python && dependencies::is_whole(root, &record.environment))
        .then_some(record.environment)
}

/// `src` or nothing: where the module is.
fn source_folder(project: &Project, module: &str) -> Result<&'static str> {
    let path = module.replace('.', "/");
    let has = |folder: &str| {
        [
            format!("{folder}{path}.py"),
            format!("{folder}{path}/__main__.py"),
        ]
        .iter()
        .any(|file| project.file(file).is_some())
    };
    match () {
        () if has("src/") => Ok("src"),
        () if has("") => Ok(""),
        () => Err(
            Error::invalid("the project does not have the module it is started by")
                .with("module", module),
        ),
    }
}

/// Writes a build beside its final name, then renames it.
async fn write_build(
    lock: &Arc<Lock>,
    build: &Path,
    project: &Project,
    source: &'static str,
    metadata: &Metadata,
    record: &Record,
) -> Result<()> {
    let mut files: Vec<(PathBuf, bytes::Bytes)> = project
        .files()
        .map(|(path, contents)| (Path::new("project").join(path), contents.clone()))
        .collect();
    if let Some((path, contents)) = metadata.installed() {
        files.push((
            Path::new("project").join(source).join(path),
            contents.into(),
        ));
    }
    let record = serde_json::to_vec(record)
        .map_err(|error| Error::internal("cannot write a build").caused_by(error))?;
    files.push((RECORD.into(), record.into()));
    let build = build.to_owned();
    // The lock goes along: this task ends even when the build is dropped meanwhile.
    let lock = Arc::clone(lock);
    let written = tokio::task::spawn_blocking(move || {
        let _lock = lock;
        let partial = build.with_extension("partial");
        wipe(&partial)?;
        for (path, contents) in files {
            let path = partial.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(&partial))?;
            std::fs::write(path, contents)?;
        }
        wipe(&build)?;
        std::fs::rename(&partial, &build)
    });
    written
        .await
        .map_err(|error| {
            Error::internal("the writing of a build was interrupted").caused_by(error)
        })?
        .map_err(|error| cannot_write(Path::new("builds"), error))
}

/// Removes a folder, whether it is there or not.
fn wipe(folder: &Path) -> std::io::Result<()> {
    let mut attempts = 0;
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // Somebody who was killed a moment ago may still finish a write.
            Err(error)
                if error.kind() == std::io::ErrorKind::DirectoryNotEmpty && attempts < 10 =>
            {
                attempts += 1
            }
            outcome => return outcome,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the folder for builds cannot be written; make room or choose another",
    )
    .with("path", path.display())
    .caused_by(error)
}
