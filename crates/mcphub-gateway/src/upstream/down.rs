//! A server that cannot be called.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::{Arguments, ToolResult};
use mcphub_core::tool::ToolSet;
use mcphub_core::{Error, Result};

use super::{CallResult, Upstream, UpstreamTool, planned_tools};

/// A server that is down: its planned tools stay listed, and each call says why it is not possible.
#[derive(Debug)]
pub struct Down {
    tools: Arc<ToolSet>,
    reason: String,
}

impl Down {
    /// A server with these tools that is down for this reason, a clause such as
    /// `its process ended with status 1`.
    pub fn new(tools: Arc<ToolSet>, reason: String) -> Self {
        Self { tools, reason }
    }
}

#[async_trait]
impl Upstream for Down {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        Ok(planned_tools(&self.tools))
    }

    async fn call(&self, tool: &str, _: &Arguments<'_>) -> Result<CallResult> {
        if self.tools.get(tool).is_none() {
            return Err(Error::not_found("the server has no tool of that name").with("tool", tool));
        }
        let text = format!("The server of this tool is down: {}", self.reason);
        CallResult::of(&ToolResult::error(text))
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}
