//! Where an API is: the document's servers and their variables, or a base URL.

use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::{Finished, Sandbox};

const API: &str = "
openapi: 3.1.0
info: {title: Places, version: '1'}
servers:
- url: http://{host}:{port}/v1
  variables:
    host: {default: api.test, enum: [api.test, 127.0.0.1]}
    port: {default: '80'}
- url: https://sandbox.test
paths:
  /books:
    get: {operationId: books, responses: {}}
  /files:
    servers: [{url: 'http://{host}/files', variables: {host: {default: files.test}}}]
    get: {operationId: files, responses: {}}
    put: {operationId: store, servers: [{url: /elsewhere}], responses: {}}
";

/// What a call of each tool would ask for.
fn urls(sandbox: &Sandbox, options: &[&str]) -> Vec<String> {
    let spec = sandbox.write("places.yaml", API);
    let url = |tool: &&str| {
        let call = [&["call", &spec, tool, "--dry-run"], options].concat();
        let said = sandbox.run(&call);
        let shown: Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", said.stderr));
        shown["url"].as_str().unwrap().to_owned()
    };
    ["books", "files", "store"].iter().map(url).collect()
}

#[test]
fn paths_and_operations_have_servers_of_their_own_until_a_base_url_replaces_all() {
    let sandbox = Sandbox::new();
    assert_eq!(
        urls(&sandbox, &[]),
        [
            "http://api.test/v1/books",
            "http://files.test/files/files",
            "http://api.test/elsewhere/files"
        ]
    );
    assert_eq!(
        urls(&sandbox, &["--server", "2"]),
        [
            "https://sandbox.test/books",
            "http://files.test/files/files",
            "https://sandbox.test/elsewhere/files"
        ]
    );
    assert_eq!(
        urls(
            &sandbox,
            &[
                "--server-variable",
                "host=127.0.0.1",
                "--server-variable",
                "port=8080"
            ]
        ),
        [
            "http://127.0.0.1:8080/v1/books",
            "http://127.0.0.1/files/files",
            "http://127.0.0.1:8080/elsewhere/files"
        ]
    );
    assert_eq!(
        urls(&sandbox, &["--base-url", "http://here.test/base"]),
        [
            "http://here.test/base/books",
            "http://here.test/base/files",
            "http://here.test/base/files"
        ]
    );
}

#[test]
fn what_cannot_be_chosen_is_refused_with_what_can() {
    let sandbox = Sandbox::new();
    let spec = sandbox.write("places.yaml", API);
    let refused = |options: &[&str], words: &[&str]| {
        let Finished { code, stderr, .. } =
            sandbox.run(&[&["call", &spec, "books", "--dry-run"], options].concat());
        assert_eq!(code, Some(2), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "no `{word}` in: {stderr}");
        }
    };
    refused(
        &["--server-variable", "hots=api.test"],
        &["hots", "host, port"],
    );
    refused(
        &["--server-variable", "host=evil.test"],
        &["evil.test", "api.test, 127.0.0.1"],
    );
    refused(&["--server-variable", "host"], &["NAME=VALUE"]);
    refused(&["--server", "3"], &["2 https://sandbox.test"]);
    refused(
        &["--server", "2", "--base-url", "http://a.test"],
        &["--base-url", "--server"],
    );
}

#[test]
fn a_choice_is_kept_with_the_registration() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let document = Bookshop::document();
    let servers = "servers: [{url: 'http://127.0.0.1:{port}', variables: {port: {default: '1'}}}]";
    let overlay = json!({"overlay": "1.1.0", "info": {"title": "O", "version": "1"}, "actions": [
        {"target": "$.servers", "remove": true},
    ]});
    let spec = sandbox.write("bookshop.yaml", &format!("{document}\n"));
    let overlay = sandbox.write("no-servers.json", &overlay.to_string());
    let add = format!(
        "{{overlay: 1.1.0, info: {{title: O, version: '1'}}, actions: [{{target: $, update: {{{servers}}}}}]}}"
    );
    let add = sandbox.write("servers.yaml", &add);
    let port = format!("port={}", shop.url().rsplit(':').next().unwrap());
    let options = [
        "up",
        &spec,
        "--overlay",
        &overlay,
        "--overlay",
        &add,
        "--server-variable",
        &port,
    ];
    let gateway = Gateway::start(&sandbox, &options);
    let books = gateway.call("bookshop_listBooks", &json!({}));
    assert_ne!(books["isError"], true, "{books}");
    assert!(gateway.stop().success());

    let gateway = Gateway::start(&sandbox, &["serve"]);
    let books = gateway.call("bookshop_listBooks", &json!({}));
    assert_ne!(books["isError"], true, "{books}");
}
