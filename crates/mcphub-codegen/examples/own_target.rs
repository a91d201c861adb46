//! A target of one's own: what an organisation wants in every project, around a target that is there,
//! and a template of its own in place of one of that target's.
//!
//! ```sh
//! cargo run -p mcphub-codegen --example own_target -- examples/specs/bookshop.yaml shop-server
//! ```

use std::path::Path;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::project::{Project, RenderOptions, Target};
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use mcphub_core::{Error, Result};

/// Any target, with the files that every project of ours has. It needs `mcphub-core` alone.
#[derive(Debug)]
pub struct InHouse<T> {
    inner: T,
    owners: String,
}

impl<T: Target> InHouse<T> {
    /// Projects of these owners, such as `@acme/api-team`.
    pub fn new(inner: T, owners: impl Into<String>) -> Self {
        Self {
            inner,
            owners: owners.into(),
        }
    }
}

impl<T: Target> Target for InHouse<T> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn render(&self, tools: &ToolSet, options: &RenderOptions) -> Result<Project> {
        let mut project = self.inner.render(tools, options)?;
        project.add("CODEOWNERS", format!("* {}\n", self.owners))?;
        let listed: Vec<_> = tools.tools.iter().map(|tool| tool.name.as_str()).collect();
        project.add("TOOLS.txt", listed.join("\n") + "\n")?;
        Ok(project)
    }
}

/// The Python target with our base image, among our files.
///
/// # Errors
/// None with this template: a wrong one is told here, not when it is rendered.
pub fn ours() -> Result<impl Target> {
    let dockerfile = "FROM registry.acme.test/python:3.12\n\
        WORKDIR /app\nCOPY . .\nRUN pip install .\nUSER 10001:10001\n\
        ENTRYPOINT [\"python\", \"-m\", \"{{ package }}\"]\n";
    let python = PythonTarget::new().with_template("project/Dockerfile.j2", dockerfile)?;
    Ok(InHouse::new(python, "@acme/api-team"))
}

#[allow(dead_code, reason = "the test of this example has a main of its own")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(spec), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(Error::invalid("own_target takes a document and a folder"));
    };
    let unreadable = |error| Error::not_found("the document cannot be read").caused_by(error);
    let document = Document {
        bytes: std::fs::read(&spec).map_err(unreadable)?.into(),
        source: spec,
    };
    let parsed = OpenApiParser::default().parse(&document)?;
    let tools = ToolPlanner::new()
        .plan(&parsed, &PlanOptions::default())?
        .tools;
    let options = RenderOptions {
        name: "shop".to_owned(),
        base_url: None,
    };
    let project = ours()?.render(&tools, &options)?;
    write(&project, Path::new(&folder), &WriteOptions::default()).map(drop)
}
