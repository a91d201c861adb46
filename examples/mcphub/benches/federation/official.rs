//! An API of one operation, and an MCP server for it as people write them: on the official SDK, over
//! streamable HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::message_end;

const ORDER: &str = r#"{"order":4711,"items":3,"total":"129.50","currency":"EUR","paid":true,"sent":"Tuesday","from":"the warehouse in Utrecht"}"#;

/// An API that answers each request with an order, at next to no cost.
pub async fn api() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    let length = ORDER.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{ORDER}"
    );
    loop {
        while let Some(end) = message_end(&buffer) {
            assert!(
                buffer.starts_with(b"GET /orders/4711?"),
                "not as the document says"
            );
            buffer.drain(..end);
            stream.write_all(answer.as_bytes()).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// The server. It asks the API there, or has the answer itself where none is given.
pub async fn serve(api: &str) -> SocketAddr {
    let api = (!api.is_empty()).then(|| format!("http://{api}"));
    let orders = Orders {
        api,
        client: reqwest::Client::builder().build().expect("a client"),
        schema: Arc::new(schema()),
    };
    // JSON in place of streams of one event, which costs it and the proxy less.
    let config = StreamableHttpServerConfig::default().with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(orders.clone()),
        Arc::<LocalSessionManager>::default(),
        config,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        use axum::serve::ListenerExt;
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket option"));
        axum::serve(listener, Router::new().nest_service("/mcp", service))
            .await
            .expect("the server runs");
    });
    address
}

fn schema() -> Map<String, Value> {
    let schema = json!({
        "type": "object",
        "properties": {
            "order": {"type": "integer"},
            "items": {"type": "boolean"},
            "currency": {"type": "string", "enum": ["EUR", "USD", "GBP"]},
        },
        "required": ["order"],
    });
    schema.as_object().cloned().unwrap_or_default()
}

#[derive(Clone)]
struct Orders {
    api: Option<String>,
    client: reqwest::Client,
    schema: Arc<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Wanted {
    order: u64,
    items: bool,
    currency: String,
}

impl Orders {
    async fn order(&self, wanted: &Wanted) -> Result<String, reqwest::Error> {
        let Some(api) = &self.api else {
            return Ok(ORDER.to_owned());
        };
        let Wanted {
            order,
            items,
            currency,
        } = wanted;
        let url = format!("{api}/orders/{order}?items={items}&currency={currency}");
        self.client
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await
    }
}

impl ServerHandler for Orders {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Arc::clone(&self.schema);
        let tool = Tool::new("getOrder", "Gives an order.", schema);
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let wanted: Wanted = serde_json::from_value(arguments)
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        let result = match self.order(&wanted).await {
            Ok(order) => CallToolResult::success(vec![ContentBlock::text(order)]),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
        };
        Ok(result.into())
    }
}
