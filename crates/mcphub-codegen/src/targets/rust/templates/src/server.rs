//! The MCP server: it lists and calls the tools of `tools`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};

use crate::about;
use crate::api::Api;
use crate::stream::Tell;
use crate::tool::Tools;
use crate::tools;

/// How long clients may keep the list of tools, in milliseconds.
const LIST_TTL: u64 = 60_000;

/// A server whose tools call one API. Clones share it.
#[derive(Debug, Clone)]
pub struct Server {
    api: Api,
    tools: Arc<Tools>,
}

impl Server {
    /// The server with all tools. Fails when the schemas of one cannot be read.
    pub fn new(api: Api) -> serde_json::Result<Self> {
        let tools = Arc::new(tools::all()?);
        Ok(Self { api, tools })
    }
}

// Not the macros of the SDK: schemas go to clients as they are, and problems are told in words.
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new(about::NAME, about::VERSION).with_title(about::TITLE);
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(about)
            .with_instructions(about::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, rmcp::ErrorData> {
        let tools = self.tools.iter().map(|tool| tool.listed().clone());
        // They stay the same as long as the process lives, and are the same for everybody.
        let list = ListToolsResult::with_all_items(tools.collect());
        Ok(list
            .with_ttl_ms(LIST_TTL)
            .with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, rmcp::ErrorData> {
        let Some(tool) = self.tools.get(&params.name) else {
            let name: String = params.name.chars().take(128).collect();
            let text = format!("Unknown tool: {name}");
            return Err(rmcp::ErrorData::invalid_params(text, None));
        };
        let arguments = params.arguments.unwrap_or_default();
        let result = match listener(context) {
            Some(tell) => tool.run(&self.api.telling(tell), arguments).await,
            None => tool.run(&self.api, arguments).await,
        };
        Ok(CallToolResult::from(result).into())
    }
}

/// The client, where it asked for the progress of a call.
fn listener(context: RequestContext<RoleServer>) -> Option<Tell> {
    let token = context.meta.get_progress_token()?;
    let (peer, count) = (context.peer, AtomicU32::new(0));
    Some(Arc::new(move |message| {
        let progress = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let told = ProgressNotificationParam::new(token.clone(), progress.into());
        let (peer, told) = (peer.clone(), told.with_message(message));
        Box::pin(async move {
            // A client that has gone hears nothing.
            let _ = peer.notify_progress(told).await;
        })
    }))
}
