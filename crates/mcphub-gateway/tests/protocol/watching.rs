//! What changes by itself is told to those who listen.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::client::{Client, ERAS, with_one};
use crate::mcp_server::{Era, McpServer};
use crate::support::{Events, until};

#[tokio::test]
async fn changes_of_every_list_are_announced() {
    for server_era in ERAS {
        let (served, server) = with_one(server_era).await;
        until("the server's stream", async || {
            server.streams.load(Ordering::SeqCst) > 0
        })
        .await;
        let modern = Client::of(&served, "/mcp", Era::Modern).await;
        let filter = json!({"notifications": {"promptsListChanged": true}});
        let mut listening = modern
            .events(1, "subscriptions/listen", filter.clone())
            .await;
        assert_eq!(
            listening.next().await.unwrap()["params"]["notifications"],
            filter["notifications"]
        );
        let old = Client::of(&served, "/mcp", Era::Legacy).await;
        let mut stream = Events::open(
            served
                .client
                .get(served.url("/mcp"))
                .header("accept", "text/event-stream")
                .header("mcp-session-id", old.session.as_deref().unwrap()),
        )
        .await;
        server.add_prompt();
        for events in [&mut listening, &mut stream] {
            assert_eq!(
                events.next().await.unwrap()["method"],
                "notifications/prompts/list_changed"
            );
        }
        let prompts = modern.result("prompts/list", json!({})).await;
        assert_eq!(prompts["prompts"][1]["name"], "shop_more");
    }
}

#[tokio::test]
async fn whoever_watches_a_resource_hears_of_its_updates() {
    for server_era in ERAS {
        let (served, server) = with_one(server_era).await;
        until("the server's stream", async || {
            server.streams.load(Ordering::SeqCst) > 0
        })
        .await;
        let watched = |server: &McpServer| match server.era {
            Era::Modern => server
                .sent("subscriptions/listen")
                .iter()
                .filter(|it| {
                    it.body["params"]["notifications"]["resourceSubscriptions"]
                        == json!(["test://a"])
                })
                .count(),
            Era::Legacy => server.sent("resources/subscribe").len(),
        };
        let modern = Client::of(&served, "/mcp", Era::Modern).await;
        let filter = json!({"notifications": {"resourceSubscriptions": ["test://shop/a"]}});
        let mut listening = modern
            .events(5, "subscriptions/listen", filter.clone())
            .await;
        assert_eq!(
            listening.next().await.unwrap()["params"]["notifications"],
            filter["notifications"]
        );
        let old = Client::of(&served, "/mcp", Era::Legacy).await;
        let session = old.session.as_deref().unwrap();
        let mut stream = Events::open(
            served
                .client
                .get(served.url("/mcp"))
                .header("accept", "text/event-stream")
                .header("mcp-session-id", session),
        )
        .await;
        old.result("resources/subscribe", json!({"uri": "test://shop/a"}))
            .await;
        until("both to watch", async || watched(&server) == 2).await;
        // The server's streams are open once it counts them.
        let streams = if server_era == Era::Modern { 3 } else { 1 };
        until("the streams", async || {
            server.streams.load(Ordering::SeqCst) >= streams
        })
        .await;
        server.tell(
            "notifications/resources/updated",
            json!({"uri": "test://other"}),
        );
        server.tell(
            "notifications/resources/updated",
            json!({"uri": "test://a"}),
        );
        let update = listening.next().await.unwrap();
        assert_eq!(update["method"], "notifications/resources/updated");
        assert_eq!(update["params"]["uri"], "test://shop/a");
        assert_eq!(
            update["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
            5
        );
        assert_eq!(
            stream.next().await.unwrap()["params"],
            json!({"uri": "test://shop/a"})
        );
        old.result("resources/unsubscribe", json!({"uri": "test://shop/a"}))
            .await;
        drop(listening);
        if server_era == Era::Legacy {
            until("the end of the subscription", async || {
                server.sent("resources/unsubscribe").len() == 1
            })
            .await;
        }
    }
}
