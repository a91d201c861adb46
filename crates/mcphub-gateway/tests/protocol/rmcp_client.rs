//! The official SDK's client, in both eras.

use std::sync::Arc;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceExt};
use tokio::sync::Notify;

use crate::support::{BOUND, Served, shop};

#[derive(Clone, Default)]
struct Client {
    changed: Arc<Notify>,
}

impl ClientHandler for Client {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

async fn lists_and_calls(client: &RunningService<RoleClient, Client>) {
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools[0].name, "shop_echo");
    let arguments = serde_json::json!({"a": 1}).as_object().unwrap().clone();
    let result = client
        .call_tool(CallToolRequestParams::new("shop_echo").with_arguments(arguments))
        .await
        .unwrap();
    assert_eq!(result.content[0].as_text().unwrap().text, r#"{"a":1}"#);
    assert!(
        client
            .call_tool(CallToolRequestParams::new("nothing"))
            .await
            .is_err()
    );
}

fn transport(hub: &Served) -> StreamableHttpClientTransport<reqwest::Client> {
    StreamableHttpClientTransport::from_uri(hub.url("/mcp"))
}

#[tokio::test]
async fn a_client_of_the_old_era_lists_calls_and_hears_of_changes() {
    let (hub, server) = shop().await;
    let handler = Client::default();
    let client = handler.clone().serve(transport(&hub)).await.unwrap();
    lists_and_calls(&client).await;
    let told = async {
        // The stream is opened some time after `initialize`: change again until it is heard.
        for round in 0.. {
            server.change(&["echo", &format!("new-{round}")]);
            let heard = tokio::time::timeout(
                std::time::Duration::from_millis(300),
                handler.changed.notified(),
            );
            if heard.await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(BOUND, told).await.unwrap();
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn a_client_of_the_modern_era_discovers_lists_and_calls() {
    let (hub, _) = shop().await;
    let mode = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = Client::default()
        .serve_with_lifecycle(transport(&hub), mode)
        .await
        .unwrap();
    lists_and_calls(&client).await;
    client.cancel().await.unwrap();
}
