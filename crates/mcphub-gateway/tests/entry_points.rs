//! The entry points of the gateway's fuzz targets, on seeds that are mutated from a fixed start: the
//! same inputs each time, with any compiler. `MCPHUB_FUZZ_ROUNDS` asks for more of them.

#![allow(missing_docs)]

#[path = "../../../fuzz/dice.rs"]
mod dice;
#[path = "../../../fuzz/gateway_entry_points.rs"]
mod entry_points;

use dice::run;

#[test]
fn messages() {
    run(
        entry_points::message,
        &[
            b"POST /mcp\nhost: localhost\naccept: application/json, text/event-stream\ncontent-type: application/json\nmcp-protocol-version: 2026-07-28\nmcp-method: tools/call\nmcp-name: shop_buy\n\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"shop_buy\",\"arguments\":{\"n\" :1.10,\"a\":[\"\\u00e9\"]},\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}",
            b"POST /mcp/shop\nhost: localhost\naccept: application/json, text/event-stream\ncontent-type: application/json\nmcp-protocol-version: 2025-06-18\n\n{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"tools/call\",\"params\":{\"name\":\"buy\",\"arguments\":{}}}",
            b"POST /mcp\nhost: localhost\naccept: application/json, text/event-stream\nmcp-protocol-version: 2025-03-26\n\n[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"},{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"},{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}]",
            b"POST /mcp\nhost: localhost\naccept: */*\n\n{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"x\",\"version\":\"1\"}}}",
            b"GET /mcp\nhost: localhost\naccept: text/event-stream\nmcp-session-id: abc\n\n",
        ],
    );
}

#[test]
fn a_seed_reaches_the_tool_that_it_names() {
    let answer = entry_points::answer(
        b"POST /mcp/shop\nhost: localhost\naccept: application/json, text/event-stream\nmcp-protocol-version: 2025-06-18\n\n{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"tools/call\",\"params\":{\"name\":\"buy\",\"arguments\":{\"n\" :1.10}}}",
    );
    let text = answer
        .as_ref()
        .and_then(|answer| answer.pointer("/result/content/0/text"));
    assert_eq!(text, Some(&"{\"n\" :1.10}".into()), "{answer:?}");
}

#[test]
fn names() {
    run(
        entry_points::names,
        &[
            b"get_book\nget book\nget/book\n\nb_get\nget_book\nb get",
            "b_x\nx\n\u{4e16}\u{754c}\n../x\n\nx\nb_x\nB_x\n".as_bytes(),
            &[b'a'; 300],
        ],
    );
}

#[test]
fn events() {
    run(
        entry_points::events,
        &[
            b": hello\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\nevent: message\nid: 1\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\ndata: \"result\":{\"content\":[],\"n\":1.10}}\n\n",
            b"data: {\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32602,\"message\":\"no \\u0000\"}}\r\n\r\n",
            b"retry: 10\rdata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"\xf0\x9f\x98\x80\"}],\"resultType\":\"complete\"}}\r\r",
        ],
    );
}

#[test]
fn a_stream_ends_with_the_result_that_it_has() {
    let result = entry_points::result(
        b"data: {\"jsonrpc\":\"2.0\",\"id\":2,\ndata: \"result\":{\"resultType\":\"complete\",\"content\":[],\"n\":1.10}}\n\n",
    );
    assert!(
        result
            .as_deref()
            .is_some_and(|result| result.contains("1.10")),
        "{result:?}"
    );
}
