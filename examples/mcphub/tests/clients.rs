//! MCP clients of others list and call the tools of an API: whoever asks, in whichever era, and
//! however the API is served, the answer is the same.

mod common;

use common::client::{Client, Outcome, Report, ToolCall, names};
use common::demo::Bookshop;
use common::gateway::Gateway;
use common::sandbox::Sandbox;
use serde_json::{Value, json};

const SERVE: [&str; 2] = ["native", "process"];
const ISBN: &str = "9780000000019";

/// Good calls of every kind of parameter, then everything that can go wrong with one.
fn calls(prefix: &str) -> Vec<ToolCall> {
    let call = |tool: &str, arguments| ToolCall::new(&format!("{prefix}{tool}"), arguments);
    vec![
        call(
            "listBooks",
            json!({ "genre": ["novel", "poetry"], "price": { "max": 1500 }, "limit": 2 }),
        ),
        call(
            "getBook",
            json!({ "isbn": ISBN, "fields": ["title", "price"] }),
        ),
        call(
            "comparePrices",
            json!({ "isbn": [ISBN], "currency": "EUR" }),
        ),
        call("updateBook", json!({ "isbn": ISBN, "stock": 7 })),
        call("getBook", json!({ "isbn": "9780000009999" })),
        call("getBook", json!({ "fields": ["title"] })),
        call("listBooks", json!({ "limit": "two" })),
        call("burnBooks", json!({})),
    ]
}

fn assert_answers(outcomes: &[Outcome]) {
    let [list, get, compare, update, absent, missing, wrong, unknown] = outcomes else {
        panic!("not one outcome for each call: {outcomes:?}");
    };
    let list = list.structured();
    assert_eq!(list["total"], 2, "novels and poems up to 15 euros: {list}");
    assert_eq!(titles(list), ["Small Hours", "The Sea Has No Corners"]);
    assert_eq!(
        get.structured(),
        &json!({ "isbn": ISBN, "title": "The Sea Has No Corners", "price": 1450 })
    );
    assert_eq!(
        compare.structured(),
        &json!({ "result": [{ "isbn": ISBN, "amount": 1450, "currency": "EUR" }] })
    );
    assert_eq!(update.structured()["stock"], 7);

    assert!(
        absent.error_text().contains("404"),
        "{}",
        absent.error_text()
    );
    assert!(
        missing.error_text().contains("isbn"),
        "{}",
        missing.error_text()
    );
    assert!(
        wrong.error_text().contains("limit"),
        "{}",
        wrong.error_text()
    );
    assert_eq!(unknown.error_code(), -32602);
}

fn titles(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("a page has items");
    items
        .iter()
        .filter_map(|book| book["title"].as_str())
        .collect()
}

/// Starts a gateway with the bookshop behind it.
fn publish(sandbox: &Sandbox, shop: &Bookshop, serve: &str) -> Gateway {
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let header = Bookshop::key_header();
    Gateway::start(
        sandbox,
        &[
            "up",
            &spec,
            "--base-url",
            &shop.url(),
            "--header",
            &header,
            "--serve",
            serve,
        ],
    )
}

#[test]
fn every_client_gets_the_same_answers_however_the_api_is_served() {
    if !common::clients_wanted() {
        return;
    }
    let shop = Bookshop::open();
    let mut first: Option<Report> = None;
    for serve in SERVE {
        let sandbox = Sandbox::new();
        let gateway = publish(&sandbox, &shop, serve);
        for client in Client::ALL {
            let report = client.report(&gateway.url(), &calls("bookshop_"));
            assert_eq!(
                report.protocol_version,
                client.revision(),
                "{client:?}, {serve}"
            );
            assert_answers(&report.calls);
            let first = first.get_or_insert_with(|| report.clone());
            assert_eq!(report.tools, first.tools, "{client:?}, {serve}");
            assert_eq!(report.calls, first.calls, "{client:?}, {serve}");
        }
        assert!(gateway.stop().success(), "{serve}");
    }
}

#[test]
fn one_server_answers_at_its_own_address_under_its_own_names() {
    if !common::clients_wanted() {
        return;
    }
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let gateway = publish(&sandbox, &shop, "native");
    for client in [Client::Python("auto"), Client::Node("default")] {
        let all = client.report(&gateway.url(), &[]);
        let one = client.report(&gateway.server_url("bookshop"), &calls(""));
        assert_answers(&one.calls);
        let prefixed: Vec<_> = names(&one.tools)
            .iter()
            .map(|name| format!("bookshop_{name}"))
            .collect();
        assert_eq!(names(&all.tools), prefixed);
    }
}

#[test]
fn a_desktop_client_gets_the_same_answers_over_standard_input_and_output() {
    if !common::clients_wanted() {
        return;
    }
    let shop = Bookshop::open();
    let (url, header) = (shop.url(), Bookshop::key_header());
    for serve in SERVE {
        let sandbox = Sandbox::new();
        let spec = sandbox.write("bookshop.yaml", Bookshop::document());
        let up = ["up", &spec, "--stdio", "--serve", serve];
        let args = [&up[..], &["--base-url", &url, "--header", &header]].concat();
        let mut command = sandbox.mcphub();
        command.args(&args);
        // The first start of a project installs it, which may take longer than a client waits.
        assert_eq!(sandbox.run(&args).code, Some(0), "{serve}");
        for mode in ["legacy", "2026-07-28"] {
            let client = Client::Python(mode);
            let report = client.report_stdio(&sandbox, &command, &calls("bookshop_"));
            assert_eq!(report.protocol_version, client.revision(), "{serve}");
            assert_answers(&report.calls);
        }
    }
}

#[test]
fn a_server_generated_in_rust_gives_every_client_the_same_answers() {
    if !common::clients_wanted() || !common::rust::wanted() {
        return;
    }
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let command = || common::rust::bookshop(&sandbox, &shop);
    let (_running, url) = common::rust::serve(&mut command());
    for client in Client::ALL {
        let report = client.report(&url, &calls(""));
        assert_eq!(report.protocol_version, client.revision(), "{client:?}");
        assert_eq!(report.tools.len(), 12, "{client:?}");
        assert_answers(&report.calls);
    }
    for mode in ["legacy", "2026-07-28"] {
        let client = Client::Python(mode);
        let report = client.report_stdio(&sandbox, &command(), &calls(""));
        assert_eq!(report.protocol_version, client.revision());
        assert_answers(&report.calls);
    }
}
