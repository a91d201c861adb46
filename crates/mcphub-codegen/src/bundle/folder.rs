//! The folder of a generated project becomes a bundle.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Bundle;
use super::manifest::MANIFEST;
use crate::archive::{self, Entry};
use crate::targets::about::pretty;

/// How many files a bundle may have, and how many bytes before they are compressed.
const MAX_FILES: usize = 50_000;
const MAX_SIZE: u64 = 512 * 1024 * 1024;
/// The largest manifest and the largest lock file that are read, in bytes.
const MAX_DESCRIPTION: u64 = 64 * 1024 * 1024;
const LOCK: &str = "package-lock.json";

/// What of a manifest matters here.
#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    server: Server,
    #[serde(default)]
    icon: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Server {
    #[serde(rename = "type")]
    kind: String,
    entry_point: String,
}

/// What of a lock file of npm matters here (lockfileVersion 3).
#[derive(Debug, Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locked {
    dev: bool,
    optional: bool,
}

/// Packs the folder of a generated project, which was built where its language needs that.
///
/// What goes in follows from `manifest.json`: of a Python project the sources, which the client
/// installs with uv; of a TypeScript project the built program and what it needs at run time, by
/// `package-lock.json`; of a Rust project the program, for this platform. A file named `LICENSE` and the icon of the
/// manifest go along. Symbolic links are left out. At most 50,000 files with 512 MiB.
///
/// # Errors
/// `NotFound` where the folder has no manifest, or where something has to be built or installed first;
/// `InvalidInput` for a manifest or lock file that cannot be read; `TooLarge` beyond the limits.
pub fn project(directory: &Path) -> Result<Bundle> {
    let at = |error: Error| {
        error
            .with("directory", directory.display())
            .during("bundle")
    };
    pack(directory).map_err(at)
}

fn pack(directory: &Path) -> Result<Bundle> {
    let described: Described = described(directory, MANIFEST, "generate the project again")?;
    let entry = &described.server.entry_point;
    if !legal(entry) || !directory.join(entry).is_file() {
        let what = match described.server.kind.as_str() {
            "node" => "run `npm ci && npm run build` in it first",
            "binary" => "run `cargo build --release` in it first",
            _ => "its manifest names a file that is not there",
        };
        return Err(
            Error::not_found(format!("the project is not built: {what}")).with("file", entry),
        );
    }
    let mut files = Files::new(directory);
    for name in [MANIFEST, "LICENSE", "README.md"] {
        files.file(name)?;
    }
    if let Some(icon) = described.icon.as_deref().filter(|icon| legal(icon)) {
        files.file(icon)?;
    }
    match described.server.kind.as_str() {
        "uv" => {
            files.file("pyproject.toml")?;
            files.folder("src", &|name| {
                name != "__pycache__" && !name.ends_with(".egg-info")
            })?;
        }
        "node" => {
            files.file("package.json")?;
            files.folder("dist", &|_| true)?;
            files.folder("schemas", &|_| true)?;
            files.modules()?;
        }
        "binary" => {
            files.file(entry)?;
            files.on_this_platform()?;
        }
        other => {
            return Err(Error::invalid("this kind of server cannot be bundled").with("type", other));
        }
    }
    let found = &files.found;
    let entries = found.iter().map(|(path, bytes)| Entry {
        path,
        bytes,
        program: described.server.kind == "binary" && path == entry,
    });
    Ok(Bundle {
        name: described.name,
        files: found.len(),
        bytes: archive::write(entries)?,
    })
}

/// A file of JSON in the folder.
fn described<T: for<'de> Deserialize<'de>>(directory: &Path, name: &str, hint: &str) -> Result<T> {
    let path = directory.join(name);
    let mut bytes = Vec::new();
    let read =
        fs::File::open(&path).and_then(|file| file.take(MAX_DESCRIPTION).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::not_found(format!("there is no {name}: {hint}")));
        }
        Err(error) => return Err(unreadable(name, error)),
        Ok(_) => {}
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid(format!("{name} cannot be read")).caused_by(error))
}

/// The files of a bundle by path.
#[derive(Debug)]
struct Files<'a> {
    directory: &'a Path,
    found: BTreeMap<String, Vec<u8>>,
    size: u64,
}

impl<'a> Files<'a> {
    fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            found: BTreeMap::new(),
            size: 0,
        }
    }

    /// Adds a file, if it is there.
    fn file(&mut self, path: &str) -> Result<()> {
        let at = self.directory.join(path);
        if !fs::symlink_metadata(&at).is_ok_and(|metadata| metadata.is_file()) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let left = MAX_SIZE.saturating_sub(self.size);
        fs::File::open(&at)
            .and_then(|file| file.take(left + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(path, error))?;
        self.size += bytes.len() as u64;
        if self.size > MAX_SIZE || self.found.len() >= MAX_FILES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a bundle has at most 50,000 files and 512 MiB",
            ));
        }
        self.found.insert(path.to_owned(), bytes);
        Ok(())
    }

    /// Adds what is below a folder, as far as each name is wanted. Names that begin with a dot are not.
    fn folder(&mut self, path: &str, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        let entries = match fs::read_dir(self.directory.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| unreadable(path, error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(path, error))?;
            let name = entry.file_name();
            let Some(name) = name
                .to_str()
                .filter(|name| !name.starts_with('.') && wanted(name))
            else {
                continue;
            };
            let kind = entry.file_type().map_err(|error| unreadable(path, error))?;
            let below = format!("{path}/{name}");
            if kind.is_dir() {
                self.folder(&below, wanted)?;
            } else {
                self.file(&below)?;
            }
        }
        Ok(())
    }

    /// Says in the manifest where the program runs, which nobody knew before it was built.
    fn on_this_platform(&mut self) -> Result<()> {
        let unreadable =
            |error| Error::invalid(format!("{MANIFEST} cannot be read")).caused_by(error);
        let Some(manifest) = self.found.get_mut(MANIFEST) else {
            return Ok(());
        };
        let mut value: Value = serde_json::from_slice(manifest).map_err(unreadable)?;
        let compatibility = value
            .as_object_mut()
            .map(|manifest| manifest.entry("compatibility").or_insert_with(|| json!({})));
        if let Some(Value::Object(compatibility)) = compatibility {
            compatibility.insert("platforms".to_owned(), json!([super::platform()]));
        }
        *manifest = pretty(&value)?.into_bytes();
        Ok(())
    }

    /// Adds the packages that the lock file says are needed at run time, without what only compilers
    /// and debuggers read.
    fn modules(&mut self) -> Result<()> {
        let lock: Lock = described(
            self.directory,
            LOCK,
            "run `npm install` in the project first",
        )?;
        for (path, locked) in &lock.packages {
            if locked.dev || !path.starts_with("node_modules/") || !legal(path) {
                continue;
            }
            if !self.directory.join(path).is_dir() {
                if locked.optional {
                    continue;
                }
                return Err(Error::not_found(
                    "a package is not installed: run `npm ci` in the project first",
                )
                .with("package", path));
            }
            self.folder(path, &|name| {
                let sources = [".ts", ".mts", ".cts", ".map"];
                name != "node_modules" && !sources.iter().any(|ending| name.ends_with(ending))
            })?;
        }
        Ok(())
    }
}

fn legal(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(['\\', '\0', ':'])
}

fn unreadable(path: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "a file cannot be read")
        .with("file", path)
        .caused_by(error)
}

#[cfg(test)]
mod tests;
