//! Stdio: both eras, line by line.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex,
    split,
};
use tokio::task::JoinHandle;

use crate::support::{BOUND, Hub, Server, gateway, modern_body, names, quick, until};

struct Client {
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    serving: JoinHandle<std::io::Result<()>>,
    gateway: mcphub_gateway::Gateway,
}

impl Client {
    async fn of(server: &Arc<Server>) -> Self {
        let hub = Arc::new(Hub::default());
        hub.register("shop", server);
        let gateway = gateway(&hub, quick());
        gateway.refresh().await.unwrap();
        let (ours, theirs) = duplex(1 << 16);
        let (reader, writer) = split(theirs);
        let serving = {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.serve_stdio(reader, writer).await })
        };
        let (output, input) = split(ours);
        Self {
            input,
            output: BufReader::new(output).lines(),
            serving,
            gateway,
        }
    }

    async fn send(&mut self, message: &Value) {
        self.line(&message.to_string()).await;
    }

    async fn line(&mut self, line: &str) {
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(BOUND, self.output.next_line())
            .await
            .expect("a line within the bound");
        serde_json::from_str(&line.unwrap().expect("a line")).unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.send(&message).await;
        self.next().await
    }

    async fn initialize(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = self
            .ask(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
            .await;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        answer
    }
}

fn call(id: i64, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}})
}

#[tokio::test]
async fn the_old_era_begins_with_initialize() {
    let server = Server::with(&["echo"]);
    let mut client = Client::of(&server).await;
    assert_eq!(
        client.ask(call(1, "shop_echo")).await["error"]["code"],
        -32602
    );
    assert_eq!(
        client.initialize("2025-06-18").await["result"]["protocolVersion"],
        "2025-06-18"
    );
    let list = client
        .ask(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))
        .await;
    assert_eq!(names(&list), ["shop_echo"]);
    assert_eq!(
        client.ask(call(3, "shop_echo")).await["result"]["content"][0]["text"],
        "{}"
    );
    server.change(&["new"]);
    assert_eq!(
        client.next().await,
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    );
}

#[tokio::test]
async fn the_modern_era_needs_no_beginning() {
    let server = Server::with(&["echo"]);
    let mut client = Client::of(&server).await;
    let discovered = client
        .ask(modern_body(1, "server/discover", json!({})))
        .await;
    assert_eq!(discovered["result"]["supportedVersions"][0], "2026-07-28");
    let result = client
        .ask(modern_body(2, "tools/call", json!({"name": "shop_echo"})))
        .await;
    assert_eq!(result["result"]["resultType"], "complete");
    let body = json!({"notifications": {"toolsListChanged": true}});
    let acknowledged = client
        .ask(modern_body(3, "subscriptions/listen", body))
        .await;
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    server.change(&["new"]);
    let changed = client.next().await;
    assert_eq!(
        changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        3
    );
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}})).await;
    assert_eq!(
        names(&client.ask(modern_body(4, "tools/list", json!({}))).await),
        ["shop_new"]
    );
    server.change(&["newer"]);
    // Nothing is told any more: the next line is an answer.
    until("the change", async || {
        server.listed.load(Ordering::SeqCst) > 2
    })
    .await;
    assert_eq!(
        client.ask(modern_body(5, "tools/list", json!({}))).await["id"],
        5
    );
}

#[tokio::test]
async fn requests_run_side_by_side_and_can_be_cancelled() {
    let server = Server::with(&["echo", "hang"]);
    let mut client = Client::of(&server).await;
    client.initialize("2025-11-25").await;
    client.send(&call(1, "shop_hang")).await;
    assert_eq!(client.ask(call(2, "shop_echo")).await["id"], 2);
    assert_eq!(
        client.ask(call(1, "shop_echo")).await["error"]["code"],
        -32600
    );
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})).await;
    until("the cancellation", async || {
        server.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(
        client.ask(call(1, "shop_echo")).await["result"]["content"][0]["text"],
        "{}"
    );
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_next_line_is_read() {
    let server = Server::with(&["lines"]);
    let mut client = Client::of(&server).await;
    client.line("nonsense").await;
    assert_eq!(client.next().await["error"]["code"], -32700);
    client.line(&"x".repeat(5 * 1024 * 1024)).await;
    assert_eq!(client.next().await["error"]["code"], -31413);
    client.line("").await;
    client
        .line(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#)
        .await;
    assert_eq!(client.next().await["error"]["code"], -32600);
    client.initialize("2025-03-26").await;
    client
        .line(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#)
        .await;
    assert_eq!(
        client.next().await,
        json!([{"jsonrpc": "2.0", "id": 1, "result": {}}])
    );
    // A result with line ends in it is still one line.
    assert_eq!(
        client.ask(call(2, "shop_lines")).await["result"]["content"],
        json!([])
    );
}

#[tokio::test]
async fn the_end_of_the_input_waits_for_what_is_running() {
    let server = Server::with(&["echo"]);
    let mut client = Client::of(&server).await;
    client.initialize("2025-11-25").await;
    for id in 1..=100 {
        client.send(&call(id, "shop_echo")).await;
    }
    client.input.shutdown().await.unwrap();
    let mut seen: Vec<i64> = Vec::new();
    while let Some(line) = client.output.next_line().await.unwrap() {
        seen.push(
            serde_json::from_str::<Value>(&line).unwrap()["id"]
                .as_i64()
                .unwrap(),
        );
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    tokio::time::timeout(BOUND, client.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn only_so_many_requests_run_at_once() {
    let server = Server::with(&["hang"]);
    let mut client = Client::of(&server).await;
    client.initialize("2025-11-25").await;
    for id in 1..=70 {
        client.send(&call(id, "shop_hang")).await;
    }
    until("64 calls", async || {
        server.calls.lock().unwrap().len() == 64
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(server.calls.lock().unwrap().len(), 64);
    assert_eq!(client.gateway.servers().len(), 1);
    client.serving.abort();
}
