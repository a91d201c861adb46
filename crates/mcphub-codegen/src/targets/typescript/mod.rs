//! TypeScript: a project on the official MCP SDK, with one typed function for each tool.
//!
//! Most files are the same in every project and are copied from `templates/`; those that end in
//! `.j2` are minijinja templates over the views of this module. A host may replace any of them.

mod annotation;
mod function;
mod literal;
mod names;
mod view;

use std::fmt;

use mcphub_core::Result;
use mcphub_core::project::{Project, RenderOptions, Runtime, Target};
use mcphub_core::tool::ToolSet;

use self::view::View;
use super::templates::Templates;

/// Writes standalone MCP servers in TypeScript for Node.js 22.18 or later (MCP TypeScript SDK 2.x;
/// stdio and streamable HTTP).
pub struct TypeScriptTarget {
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
    "src/api.ts",
    "src/cause.ts",
    "src/certificates.ts",
    "src/credentials.ts",
    "src/digest.ts",
    "src/exact.ts",
    "src/fields.ts",
    "src/main.ts",
    "src/multipart.ts",
    "src/pages.ts",
    "src/paths.ts",
    "src/problems.ts",
    "src/request.ts",
    "src/result.ts",
    "src/rest.ts",
    "src/retry.ts",
    "src/secret.ts",
    "src/send.ts",
    "src/serialization.ts",
    "src/server.ts",
    "src/serving.ts",
    "src/stdio.ts",
    "src/steps.ts",
    "src/streams.ts",
    "src/tool.ts",
    "src/validation.ts",
    "src/xml.ts",
    "tests/answers.test.ts",
    "tests/api.test.ts",
    "tests/exact.test.ts",
    "tests/request.test.ts",
    "tests/server.test.ts",
    "tests/stub.ts",
    "tests/tools.test.ts",
    "tests/validation.test.ts",
];

/// The same, at the top of the project; some with a dot before their names.
const PROJECT: &[(&str, &str)] = templates![
    "project/Dockerfile",
    "project/dockerignore",
    "project/eslint.config.js",
    "project/gitignore",
    "project/mcpbignore",
    "project/prettierignore",
    "project/tsconfig.build.json",
    "project/tsconfig.json",
];

const TEMPLATES: &[(&str, &str)] = templates![
    "project/README.md.j2",
    "project/package-lock.json.j2",
    "project/package.json.j2",
    "src/about.ts.j2",
    "src/settings.ts.j2",
    "src/tools_index.ts.j2",
    "src/tools_module.ts.j2",
];

impl TypeScriptTarget {
    /// The target with its own templates.
    pub fn new() -> Self {
        let files = SAME.iter().chain(PROJECT).map(|(name, _)| *name);
        Self {
            templates: Templates::new(TEMPLATES).with_files(files),
        }
    }

    /// The names of the templates, and of the files that are the same in every project, sorted.
    pub fn templates(&self) -> impl Iterator<Item = &'static str> {
        self.templates.names()
    }

    /// Replaces a template or a file, named by its path below `templates/`, such as
    /// `project/README.md.j2` or `src/api.ts`, by a minijinja template. It gets the same view as the
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

impl Default for TypeScriptTarget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TypeScriptTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeScriptTarget").finish_non_exhaustive()
    }
}

impl Target for TypeScriptTarget {
    fn name(&self) -> &'static str {
        "typescript"
    }

    fn render(&self, tools: &ToolSet, options: &RenderOptions) -> Result<Project> {
        let view = View::new(tools, options)?;
        let runtime = Runtime::Node {
            main: "dist/main.js".to_owned(),
        };
        let mut project = Project::new(options.name.clone(), runtime, view.variables.clone());
        for (name, contents) in PROJECT.iter().chain(SAME) {
            let path = match name.strip_prefix("project/") {
                Some(ignored) if ignored.ends_with("ignore") => format!(".{ignored}"),
                other => other.unwrap_or(name).to_owned(),
            };
            project.add(
                path,
                self.templates.file(name, contents, &view)?.into_owned(),
            )?;
        }
        for (path, template) in [
            ("README.md", "project/README.md.j2"),
            ("package-lock.json", "project/package-lock.json.j2"),
            ("package.json", "project/package.json.j2"),
            ("src/about.ts", "src/about.ts.j2"),
            ("src/settings.ts", "src/settings.ts.j2"),
            ("src/tools/index.ts", "src/tools_index.ts.j2"),
        ] {
            project.add(path, self.templates.fill(template, &view)?)?;
        }
        for module in &view.modules {
            let code = self.templates.fill("src/tools_module.ts.j2", module)?;
            project.add(format!("src/tools/{}.ts", module.name), code)?;
        }
        for (stem, schemas) in &view.schemas {
            project.add(format!("schemas/{stem}.json"), schemas.clone())?;
        }
        project.add("manifest.json", view.manifest.clone())?;
        project.add("server.json", view.server_json.clone())?;
        project.add("tests/examples.json", view.examples.clone())?;
        Ok(project)
    }
}
