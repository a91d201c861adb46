//! `PythonBuilder` behaves as every builder does. Nothing here needs a package index.
#![cfg(unix)]

mod common;

use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::artifact::{Artifact, Builder};
use mcphub_core::conformance::builder::BuilderGround;
use mcphub_core::project::Project;
use mcphub_deploy::process::{Installer, PythonBuilder, PythonSettings};
use tempfile::TempDir;

mcphub_core::builder_conformance!(async || {
    let root = TempDir::new().expect("a folder");
    let builder = common::builder(&root, |settings| settings.installer = Installer::Pip);
    (Box::new(Ground { builder, root }), ())
});

struct Ground {
    builder: PythonBuilder,
    root: TempDir,
}

#[async_trait]
impl BuilderGround for Ground {
    fn builder(&self) -> &dyn Builder {
        &self.builder
    }

    fn builder_without_tools(&self) -> Box<dyn Builder> {
        let mut settings = PythonSettings::new(self.root.path().join("other"));
        settings.search_path = Some(self.root.path().into());
        Box::new(PythonBuilder::new(settings))
    }

    fn project(&self, number: u32) -> Project {
        common::project(&format!("print({number})"), &[])
    }

    /// The environment is made; then a dependency is not there.
    fn broken_project(&self) -> Project {
        common::project("print(0)", &["nope @ file:///nonexistent/nope-1.0.tar.gz"])
    }

    async fn starts(&self, artifact: &Artifact, number: u32) -> bool {
        common::run(artifact).await == Ok(format!("{number}\n"))
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}
