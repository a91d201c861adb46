//! Time-outs that are said of one server, through the gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcphub_core::connection::Connection;
use mcphub_core::secret::Credentials;
use serde_json::json;

use crate::client::Client;
use crate::faulty_server::{Fault, FaultyServer};
use crate::mcp_server::{Era, McpServer};
use crate::support::{Hub, Served, quick, serve_hub, until};

async fn limited(url: &url::Url, limits: &str) -> Served {
    let connection = Connection::http(url.clone(), &mut Credentials::default()).unwrap();
    let limits = serde_json::from_str(limits).unwrap();
    let hub = Arc::new(Hub::default());
    hub.attach_all("shop", connection.with_limits(limits).unwrap());
    let served = serve_hub(hub, quick()).await;
    until("the list", async || !served.names().await.is_empty()).await;
    served
}

#[tokio::test]
async fn a_server_gets_the_time_that_was_said() {
    let waiting = [
        (Fault::Hanging, r#"{"firstByteTimeout":1}"#),
        (Fault::Hanging, r#"{"totalTimeout":1}"#),
        (Fault::DrippingStream, r#"{"idleTimeout":1}"#),
        (Fault::DrippingStream, r#"{"totalTimeout":1}"#),
    ];
    let waiting = waiting.map(|(fault, limits)| async move {
        let server = FaultyServer::start(fault).await;
        let served = limited(&server.url, limits).await;
        let begun = Instant::now();
        // No request of a test waits for half as long as the defaults are.
        let (_, answer) = served.modern("tools/call", json!({"name": "shop_t"})).await;
        assert_eq!(answer["result"]["isError"], true, "{limits}: {answer}");
        assert!(begun.elapsed() >= Duration::from_millis(900), "{limits}");
    });
    futures::future::join_all(waiting).await;
}

#[tokio::test]
async fn a_server_that_asks_first_has_begun_to_answer() {
    let server = McpServer::start(Era::Legacy).await;
    let served = limited(&server.url, r#"{"firstByteTimeout":1}"#).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let call = json!({"name": "shop_aside"});
    let mut events = client.events(1, "tools/call", call).await;
    events.next().await.unwrap();
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "roots/list");
    // Longer than the limit.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    client.respond(&question["id"], json!({"roots": []})).await;
    let end = events.next().await.unwrap();
    let text = end["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("roots"), "{end}");
}
