//! Python: a project on the official MCP SDK, with one typed function for each tool.
//!
//! Most files are the same in every project and are copied from `templates/`; those that end in
//! `.j2` are minijinja templates over the views of this module. A host may replace any of them.

mod annotation;
mod function;
mod literal;
mod lock;
mod names;
mod parts;
mod view;

use std::fmt;

use mcphub_core::Result;
use mcphub_core::project::{Project, RenderOptions, Runtime, Target};
use mcphub_core::tool::ToolSet;

use self::view::View;
use super::templates::Templates;

/// Writes standalone MCP servers in Python 3.10 or later (MCP Python SDK 2.x; stdio and streamable
/// HTTP).
pub struct PythonTarget {
    templates: Templates,
}

/// A file of the package that is the same in every project.
macro_rules! runtime {
    ($($file:literal),+ $(,)?) => {
        &[$((
            concat!("runtime/", $file),
            include_str!(concat!("templates/runtime/", $file)),
        )),+]
    };
}

/// A template by its path below `templates/`.
macro_rules! templates {
    ($($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("templates/", $file)))),+]
    };
}

const RUNTIME: &[(&str, &str)] = runtime![
    "api.py",
    "cause.py",
    "certificates.py",
    "credentials.py",
    "digest.py",
    "fields.py",
    "multipart.py",
    "pages.py",
    "paths.py",
    "problems.py",
    "request.py",
    "result.py",
    "rest.py",
    "retry.py",
    "serialization.py",
    "serving.py",
    "steps.py",
    "streams.py",
    "tool.py",
    "validation.py",
    "xml.py",
];

/// The same, elsewhere in the project or under another name.
const ELSEWHERE: &[(&str, &str)] = templates![
    "project/dockerignore",
    "project/gitignore",
    "project/mcpbignore",
    "runtime/main.py",
];

/// What pip installs; the same in every project.
const LOCK: (&str, &str) = (
    "project/requirements.lock",
    include_str!("templates/project/requirements.lock"),
);

const TEMPLATES: &[(&str, &str)] = templates![
    "project/Dockerfile.j2",
    "project/README.md.j2",
    "project/pyproject.toml.j2",
    "runtime/init.py.j2",
    "runtime/server.py.j2",
    "runtime/settings.py.j2",
    "runtime/tools_init.py.j2",
    "runtime/tools_module.py.j2",
    "tests/conftest.py.j2",
    "tests/test_answers.py.j2",
    "tests/test_api.py.j2",
    "tests/test_request.py.j2",
    "tests/test_server.py.j2",
    "tests/test_tools.py.j2",
];

impl PythonTarget {
    /// The target with its own templates.
    pub fn new() -> Self {
        let files = RUNTIME.iter().chain(ELSEWHERE).chain([&LOCK]);
        let files = files.map(|(name, _)| *name);
        Self {
            templates: Templates::new(TEMPLATES).with_files(files),
        }
    }

    /// The names of the templates, and of the files that are the same in every project, sorted.
    pub fn templates(&self) -> impl Iterator<Item = &'static str> {
        self.templates.names()
    }

    /// Replaces a template or a file, named by its path below `templates/`, such as
    /// `project/README.md.j2` or `runtime/api.py`, by a minijinja template. It gets the same view as
    /// the one that it replaces; a file gets that of the whole project.
    ///
    /// # Errors
    /// `NotFound` for a name that is no template's, `InvalidInput` with the line for one that
    /// cannot be read.
    pub fn with_template(
        mut self,
        name: impl Into<String>,
        source: impl Into<String>,
    ) -> Result<Self> {
        self.templates.replace(name.into(), source.into())?;
        Ok(self)
    }
}

impl Default for PythonTarget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PythonTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonTarget").finish_non_exhaustive()
    }
}

impl Target for PythonTarget {
    fn name(&self) -> &'static str {
        "python"
    }

    fn render(&self, tools: &ToolSet, options: &RenderOptions) -> Result<Project> {
        let mut view = View::new(tools, options)?;
        let lock = self.templates.file(LOCK.0, LOCK.1, &view)?;
        view.pin(&lock);
        let view = view;
        let package = &view.package;
        let runtime = Runtime::Python {
            module: package.clone(),
        };
        let mut project = Project::new(options.name.clone(), runtime, view.variables.clone());
        let fill = |name: &str, view: &View| self.templates.fill(name, view);
        let source = |path: &str| format!("src/{package}/{path}");

        for name in ["Dockerfile", "README.md", "pyproject.toml"] {
            project.add(name, fill(&format!("project/{name}.j2"), &view)?)?;
        }
        project.add("requirements.lock", lock.into_owned())?;
        project.add("manifest.json", view.manifest.clone())?;
        project.add("server.json", view.server_json.clone())?;
        for (name, contents) in RUNTIME.iter().chain(ELSEWHERE) {
            let path = match *name {
                "project/dockerignore" => ".dockerignore".to_owned(),
                "project/gitignore" => ".gitignore".to_owned(),
                "project/mcpbignore" => ".mcpbignore".to_owned(),
                "runtime/main.py" => source("__main__.py"),
                name => source(name.trim_start_matches("runtime/")),
            };
            project.add(
                path,
                self.templates.file(name, contents, &view)?.into_owned(),
            )?;
        }
        project.add(source("py.typed"), "")?;
        project.add(source("__init__.py"), fill("runtime/init.py.j2", &view)?)?;
        for name in ["server.py", "settings.py"] {
            project.add(source(name), fill(&format!("runtime/{name}.j2"), &view)?)?;
        }
        project.add(
            source("tools/__init__.py"),
            fill("runtime/tools_init.py.j2", &view)?,
        )?;
        for module in &view.modules {
            let path = source(&format!("tools/{}.py", module.name));
            project.add(
                path,
                format!(
                    "{}\n",
                    self.templates
                        .fill("runtime/tools_module.py.j2", module)?
                        .trim_end()
                ),
            )?;
        }
        for (function, schemas) in &view.schemas {
            project.add(source(&format!("schemas/{function}.json")), schemas.clone())?;
        }

        for name in [
            "conftest.py",
            "test_answers.py",
            "test_api.py",
            "test_request.py",
            "test_server.py",
            "test_tools.py",
        ] {
            project.add(
                format!("tests/{name}"),
                fill(&format!("tests/{name}.j2"), &view)?,
            )?;
        }
        project.add("tests/examples.json", view.examples.clone())?;
        Ok(project)
    }
}
