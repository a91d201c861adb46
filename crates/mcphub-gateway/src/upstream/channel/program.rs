//! The input and output of a program.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::launch::{Channel, Launch, Launcher};

use super::dial::Dial;

/// A program that is an MCP server.
pub(super) struct Program {
    pub(super) launch: Launch,
    pub(super) launcher: Arc<dyn Launcher>,
}

#[async_trait]
impl Dial for Program {
    async fn dial(&self) -> Result<Channel> {
        self.launcher.launch(self.launch.clone()).await
    }
}
