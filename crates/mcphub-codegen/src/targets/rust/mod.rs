//! Rust: a Cargo project on the official MCP SDK, with a type for each tool.
//!
//! Most files are the same in every project and are copied from `templates/`; those that end in
//! `.j2` are minijinja templates over the views of this module, and a host may replace any of them.

mod choice;
mod kind;
mod literal;
mod lock;
mod names;
mod tool;
mod view;

use std::fmt;

use mcphub_core::Result;
use mcphub_core::project::{Project, RenderOptions, Runtime, Target};
use mcphub_core::tool::ToolSet;

use self::view::View;
use super::templates::Templates;

/// Writes standalone MCP servers in Rust 1.90 or later (rmcp 3.x; stdio and streamable HTTP).
pub struct RustTarget {
    templates: Templates,
}

/// Files by their path below `templates/`.
macro_rules! templates {
    ($($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("templates/", $file)))),+]
    };
}

/// Files that are the same in every project, at their place in it.
const SAME: &[(&str, &str)] = templates![
    "src/api.rs",
    "src/body.rs",
    "src/challenge.rs",
    "src/cli.rs",
    "src/credentials.rs",
    "src/digest.rs",
    "src/fields.rs",
    "src/lib.rs",
    "src/link.rs",
    "src/multipart.rs",
    "src/pages.rs",
    "src/paths.rs",
    "src/problems.rs",
    "src/request.rs",
    "src/rest.rs",
    "src/result.rs",
    "src/retry.rs",
    "src/serialization.rs",
    "src/server.rs",
    "src/serving.rs",
    "src/steps.rs",
    "src/stream.rs",
    "src/style.rs",
    "src/tool.rs",
    "src/validation.rs",
    "src/xml.rs",
    "tests/answers.rs",
    "tests/api.rs",
    "tests/request.rs",
    "tests/server.rs",
    "tests/tools.rs",
];

/// The same, at the top of the project.
const PROJECT: &[(&str, &str)] = &[
    (
        ".dockerignore",
        include_str!("templates/project/dockerignore"),
    ),
    (".gitignore", include_str!("templates/project/gitignore")),
];

/// Templates, and the files that they make.
const FILES: &[(&str, &str)] = &[
    ("project/Cargo.toml.j2", "Cargo.toml"),
    ("project/Dockerfile.j2", "Dockerfile"),
    ("project/README.md.j2", "README.md"),
    ("src/about.rs.j2", "src/about.rs"),
    ("src/choices.rs.j2", "src/choices.rs"),
    ("src/main.rs.j2", "src/main.rs"),
    ("src/settings.rs.j2", "src/settings.rs"),
    ("src/tools_mod.rs.j2", "src/tools/mod.rs"),
    ("tests/common.rs.j2", "tests/common/mod.rs"),
];

const TEMPLATES: &[(&str, &str)] = templates![
    "project/Cargo.toml.j2",
    "project/Dockerfile.j2",
    "project/README.md.j2",
    "src/about.rs.j2",
    "src/choices.rs.j2",
    "src/main.rs.j2",
    "src/settings.rs.j2",
    "src/tools_mod.rs.j2",
    "src/tools_module.rs.j2",
    "tests/common.rs.j2",
];

impl RustTarget {
    /// The target with its own templates.
    pub fn new() -> Self {
        let files = SAME.iter().map(|(name, _)| *name);
        Self {
            templates: Templates::new(TEMPLATES).with_files(files),
        }
    }

    /// The names of the templates, and of the files that are the same in every project, sorted.
    pub fn templates(&self) -> impl Iterator<Item = &'static str> {
        self.templates.names()
    }

    /// Replaces a template or a file, named by its path below `templates/`, such as
    /// `project/README.md.j2` or `src/api.rs`, by a minijinja template. It gets the same view as the
    /// one that it replaces; a file gets that of the whole project.
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

impl Default for RustTarget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RustTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustTarget").finish_non_exhaustive()
    }
}

impl Target for RustTarget {
    fn name(&self) -> &'static str {
        "rust"
    }

    fn render(&self, tools: &ToolSet, options: &RenderOptions) -> Result<Project> {
        let view = View::new(tools, options)?;
        let runtime = Runtime::Cargo {
            program: view.package.clone(),
        };
        let mut project = Project::new(options.name.clone(), runtime, view.variables.clone());
        for (path, contents) in PROJECT {
            project.add(*path, *contents)?;
        }
        for (name, contents) in SAME {
            project.add(
                *name,
                self.templates.file(name, contents, &view)?.into_owned(),
            )?;
        }
        for (template, path) in FILES {
            project.add(*path, self.templates.fill(template, &view)?)?;
        }
        for module in &view.modules {
            let code = self.templates.fill("src/tools_module.rs.j2", module)?;
            project.add(format!("src/tools/{}.rs", module.name), code)?;
        }
        for (stem, schemas) in &view.schemas {
            project.add(format!("schemas/{stem}.json"), schemas.clone())?;
        }
        project.add("Cargo.lock", view.lockfile.clone())?;
        project.add("manifest.json", view.manifest.clone())?;
        project.add("server.json", view.server_json.clone())?;
        project.add("tests/examples.json", view.examples.clone())?;
        Ok(project)
    }
}
