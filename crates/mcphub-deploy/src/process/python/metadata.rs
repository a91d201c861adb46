//! What a project's `pyproject.toml` says (PEP 621).

use mcphub_core::project::Project;
use mcphub_core::{Error, Result};
use serde::Deserialize;

use super::interpreter::{OLDEST, Version};

/// The part of it that a build needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    name: String,
    version: Option<String>,
    /// PEP 508, as written.
    pub dependencies: Vec<String>,
    /// The oldest Python that will do.
    pub minimum_python: Version,
}

#[derive(Deserialize)]
struct Document {
    project: Table,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    name: String,
    version: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    dynamic: Vec<String>,
    requires_python: Option<String>,
}

impl Metadata {
    /// Reads it.
    ///
    /// # Errors
    /// `InvalidInput` when there is none, when it is not PEP 621, or when its dependencies are
    /// computed by a build backend.
    pub fn read(project: &Project) -> Result<Self> {
        let bytes = project
            .file("pyproject.toml")
            .ok_or_else(|| Error::invalid("the project has no pyproject.toml"))?;
        let Document { project } = toml::from_slice(bytes).map_err(|error| {
            Error::invalid("the project's pyproject.toml cannot be read").caused_by(error)
        })?;
        if project.dynamic.iter().any(|field| field == "dependencies") {
            return Err(Error::invalid(
                "a project whose dependencies are dynamic cannot be built; list them in pyproject.toml",
            ));
        }
        if let Some(dependency) = project
            .dependencies
            .iter()
            .find(|dependency| !is_requirement(dependency))
        {
            return Err(
                Error::invalid("a dependency in pyproject.toml is no requirement").with(
                    "dependency",
                    dependency
                        .chars()
                        .take(80)
                        .collect::<String>()
                        .escape_debug(),
                ),
            );
        }
        Ok(Self {
            minimum_python: project.requires_python.as_deref().map_or(OLDEST, minimum),
            name: project.name,
            version: project.version,
            dependencies: project.dependencies,
        })
    }

    /// The file by which `importlib.metadata` finds the project, as if it were installed.
    pub fn installed(&self) -> Option<(String, String)> {
        let version = self.version.as_deref()?;
        let legal = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-+!".contains(&b))
        };
        if !legal(&self.name) || !legal(version) {
            return None;
        }
        let name = self.name.replace(['-', '.'], "_").to_ascii_lowercase();
        let contents = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {version}\n",
            self.name
        );
        Some((format!("{name}-{version}.dist-info/METADATA"), contents))
    }
}

/// In a requirements file a line may also be an option, such as another package index.
fn is_requirement(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.chars().any(char::is_control)
}

fn minimum(requires_python: &str) -> Version {
    requires_python
        .split(',')
        .filter_map(|clause| {
            let mut numbers = clause
                .trim()
                .strip_prefix(">=")?
                .trim()
                .split('.')
                .map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
        })
        .fold(OLDEST, Version::max)
}

#[cfg(test)]
mod tests {
    use mcphub_core::project::Runtime;

    use super::*;

    fn read(toml: &'static str) -> Result<Metadata> {
        let mut project = Project::new("x", Runtime::Python { module: "x".into() }, Vec::new());
        project.add("pyproject.toml", toml.as_bytes()).unwrap();
        Metadata::read(&project)
    }

    #[test]
    fn dependencies_and_versions_are_read() {
        let metadata = read(
            "[project]\nname='my-shop'\nversion='1.2'\nrequires-python='>=3.11,<4'\ndependencies=['mcp>=2,<3']",
        )
        .unwrap();
        assert_eq!(metadata.dependencies, ["mcp>=2,<3"]);
        assert_eq!(metadata.minimum_python, (3, 11));
        let (path, contents) = metadata.installed().unwrap();
        assert_eq!(path, "my_shop-1.2.dist-info/METADATA");
        assert!(contents.contains("Name: my-shop\nVersion: 1.2\n"));
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let metadata = read("[project]\nname='x'\nrequires-python='>=3.8'").unwrap();
        assert_eq!(
            (metadata.minimum_python, metadata.installed()),
            (OLDEST, None)
        );
    }

    #[test]
    fn a_name_or_version_that_is_no_file_name_is_not_written() {
        for toml in [
            "[project]\nname='../x'\nversion='1'",
            "[project]\nname='x'\nversion='1\\nA: b'",
            "[project]\nname='x'\nversion='/'",
        ] {
            assert_eq!(read(toml).unwrap().installed(), None, "{toml}");
        }
    }

    #[test]
    fn options_of_the_installer_are_no_dependencies() {
        for toml in [
            "[project]\nname='x'\ndependencies=['--index-url http://evil']",
            "[project]\nname='x'\ndependencies=[\"a\\n-r /etc/passwd\"]",
            "[project]\nname='x'\ndynamic=['dependencies']",
            "[tool.poetry]\nname='x'",
            "nonsense",
        ] {
            assert_eq!(
                read(toml).unwrap_err().kind(),
                mcphub_core::ErrorKind::InvalidInput,
                "{toml}"
            );
        }
    }
}
