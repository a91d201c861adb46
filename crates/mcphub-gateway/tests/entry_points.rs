//! The entry points of the gateway's fuzz targets, on seeds that are mutated from a fixed start: the
//! same inputs each time, with any compiler. `MCPHUB_FUZZ_ROUNDS` asks for more of them.

#![allow(missing_docs)]

#[path = "../../../fuzz/dice.rs"]
mod dice;
#[path = "../../../fuzz/gateway_entry_points.rs"]
mod entry_points;

use dice::{run, seeds};

#[test]
fn messages() {
    run(entry_points::message, &seeds("gateway_message"));
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
    run(entry_points::names, &seeds("gateway_names"));
}

#[test]
fn events() {
    run(entry_points::events, &seeds("gateway_events"));
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
