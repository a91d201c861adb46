//! The commands, as a person runs them.

#[path = "../../../../crates/mcphub-gateway/tests/authority/mod.rs"]
mod authority;
mod calls;
mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod login;
mod mock;
mod program;
mod projects;
mod server_choice;
mod store;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use program::*;

#[test]
fn inspect_prints_the_documented_json() {
    let report = json_of(&mcphub(&[
        "inspect",
        &spec("bookshop.yaml"),
        "--format",
        "json",
    ]));
    assert_eq!(
        report["api"],
        json!({ "title": "Bookshop", "version": "1.0.0", "dialect": "openapi-3.0" })
    );
    let tools = report["tools"].as_array().unwrap();
    assert_eq!(report["operations"], tools.len());
    assert!(report["diagnostics"].is_array());
    let get = tools.iter().find(|tool| tool["name"] == "getBook").unwrap();
    assert_eq!(
        get["operation"],
        json!({ "method": "GET", "path": "/books/{isbn}" })
    );
    assert_eq!(get["inputSchema"]["type"], "object");
    assert_eq!(get["outputSchema"]["type"], "object");
    assert_eq!(
        get["annotations"],
        json!({ "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true })
    );
}

#[test]
fn a_document_in_several_files_is_read_as_far_as_it_may_be() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("api/paths")).unwrap();
    let root = folder.path("api/openapi.yaml");
    fs::write(
        &root,
        "openapi: 3.0.3\ninfo: {title: Parts, version: '1'}\nservers: [{url: 'http://api.test'}]\npaths:\n  \
         /a: {$ref: paths/a.yaml}\n  /b: {$ref: ../shared/b.yaml}\n",
    )
    .unwrap();
    let get = |name: &str| format!("get: {{operationId: {name}, responses: {{}}}}");
    fs::write(folder.path("api/paths/a.yaml"), get("a")).unwrap();
    fs::create_dir_all(folder.path("shared")).unwrap();
    fs::write(folder.path("shared/b.yaml"), get("b")).unwrap();
    let names = |report: &Value| -> Vec<String> {
        let tools = report["tools"].as_array().unwrap().iter();
        tools
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let root = root.to_str().unwrap();
    let report = json_of(&mcphub(&["inspect", root, "--format", "json"]));
    assert_eq!(names(&report), ["a"]);
    let message = report["diagnostics"][0]["message"].as_str().unwrap();
    assert!(message.contains("--allow-ref"), "{message}");

    let shared = folder.path("shared");
    let allowed = [
        "inspect",
        root,
        "--format",
        "json",
        "--allow-ref",
        shared.to_str().unwrap(),
    ];
    let report = json_of(&mcphub(&allowed));
    assert_eq!(names(&report), ["a", "b"]);
    assert_eq!(report["diagnostics"], json!([]));
}

#[test]
fn docs_are_written_in_every_format() {
    let folder = Folder::new();
    let bookshop = spec("bookshop.yaml");
    let html = folder.path("shop.html");
    let output = mcphub(&["docs", &bookshop, "--out", html.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let html = fs::read_to_string(html).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("id=\"getBook\""));
    for (format, beginning) in [
        ("markdown", "# Bookshop"),
        ("llms", "# Bookshop"),
        ("openapi-json", "{\n  \"openapi\": \"3.1.1\""),
        ("openapi-yaml", "openapi: \"3.1.1\""),
    ] {
        let text = stdout(&mcphub(&["docs", &bookshop, "--format", format]));
        assert!(text.starts_with(beginning), "{format}: {text:.200}");
    }
    let written = folder.file(
        "again.yaml",
        stdout(&mcphub(&["docs", &bookshop, "--format", "openapi-yaml"])),
    );
    let tools = |spec: &str| {
        let report = json_of(&mcphub(&["inspect", spec, "--format", "json"]));
        let tools = report["tools"].as_array().unwrap().clone();
        tools
            .into_iter()
            .map(|tool| tool["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tools(&written), tools(&bookshop), "it is a document itself");
}

#[test]
fn the_doctor_says_what_tools_cost_and_what_to_mend() {
    let parameters = spec("parameters.yaml");
    let report = json_of(&mcphub(&[
        "inspect",
        &parameters,
        "--doctor",
        "--format",
        "json",
    ]));
    assert!(report["tokens"].as_u64().unwrap() > 100);
    assert_eq!(report["skipped"], json!([]));
    let codes = report["findings"].as_array().unwrap().iter();
    let codes: Vec<_> = codes
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    let text = stdout(&mcphub(&["inspect", &parameters, "--doctor"]));
    assert!(text.contains("tokens in a model's context"), "{text}");
    for code in codes {
        assert!(text.contains(&format!("[{code}]")), "{code}: {text}");
    }
}

#[test]
fn inspect_explains_itself_to_people() {
    let text = stdout(&mcphub(&["inspect", &spec("bookshop.yaml")]));
    for word in [
        "Bookshop 1.0.0 (openapi-3.0)",
        "\nbooks:\n",
        "getBook  GET /books/{isbn}",
        "isbn (required)",
    ] {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

#[test]
fn a_selection_offers_what_matches() {
    let document = spec("bookshop.yaml");
    let names = |options: &[&str]| {
        let args = [&["inspect", &document, "--format", "json"], options].concat();
        let report = json_of(&mcphub(&args));
        assert_eq!(report["operations"], 12);
        let tools = report["tools"].as_array().unwrap().iter();
        let names: Vec<_> = tools
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        names.join(" ")
    };
    let options = [
        "--include",
        "tag=orders",
        "--include",
        "tag=reviews",
        "--include",
        "method=delete",
    ];
    assert_eq!(names(&options), "deleteReview cancelOrder");
    let options = [
        "--include",
        "path=/books/{isbn}*",
        "--exclude",
        "id=*Review*",
    ];
    assert_eq!(names(&options), "getBook updateBook");
    let options = ["--include", "group=o*"];
    assert_eq!(names(&options), names(&["--include", "tag=orders"]));
    assert_eq!(
        names(&["--read-only", "--exclude", "tag=books"]),
        "listReviews trackOrder"
    );
    let calls = ["call", &document, "cancelOrder", "--read-only", "--dry-run"];
    assert_refused(&mcphub(&calls), 4, &["no such tool"]);
    let none = ["inspect", &document, "--include", "tag=boks"];
    assert_refused(&mcphub(&none), 2, &["no operation", "tag=boks"]);
    let unknown = ["inspect", &document, "--include", "tags=books"];
    assert_refused(&mcphub(&unknown), 2, &["KEY=GLOB"]);
}

#[test]
fn a_profile_is_for_clients_that_take_less() {
    let document = spec("bookshop.yaml");
    let tools = |profile: &str| {
        let args = [
            "inspect",
            &document,
            "--format",
            "json",
            "--profile",
            profile,
        ];
        let report = json_of(&mcphub(&args));
        let tools = report["tools"].to_string();
        let refused = mcphub(&[
            "inspect",
            &document,
            "--doctor",
            "--format",
            "json",
            "--profile",
            profile,
        ]);
        let findings = json_of(&refused)["findings"].to_string();
        (tools, findings)
    };
    let (standard, findings) = tools("standard");
    assert!(standard.contains("$ref") && findings.contains("refused-by-gemini"));
    for profile in ["inlined", "plain"] {
        let (tools, findings) = tools(profile);
        assert!(
            !tools.contains("$ref") && !tools.contains("$defs"),
            "{tools}"
        );
        assert!(!findings.contains("refused-by-gemini"), "{findings}");
    }
    assert_refused(
        &mcphub(&["inspect", &document, "--profile", "flat"]),
        2,
        &["inlined"],
    );
}

#[test]
fn a_list_of_tools_is_as_large_as_it_may_be() {
    let document = spec("bookshop.yaml");
    let report = |limit: &str| {
        let args = [
            "inspect",
            &document,
            "--format",
            "json",
            "--list-limit",
            limit,
        ];
        json_of(&mcphub(&args))
    };
    let outputs = |report: &Value| {
        let tools = report["tools"].as_array().unwrap().iter();
        tools
            .filter(|tool| tool.get("outputSchema").is_some())
            .count()
    };
    let (whole, small) = (report("none"), report("9000"));
    assert!(outputs(&small) < outputs(&whole));
    let codes = small["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["code"]);
    assert!(codes.clone().any(|code| code == "list-simplified"));
    assert_refused(
        &mcphub(&["inspect", &document, "--list-limit", "9k"]),
        2,
        &["number of bytes"],
    );
}

#[test]
fn overlays_change_the_document_before_it_is_read() {
    let folder = Folder::new();
    let first = folder.file(
        "first.yaml",
        "overlay: 1.0.0\ninfo: {title: A, version: 1}\nactions:\n- target: $.paths.*.get\n  update: {summary: Changed}\n\
         - target: $.paths['/none']\n  remove: true\n",
    );
    let second = folder.file(
        "second.json",
        r#"{"overlay": "1.1.0", "actions": [{"target": "$.paths.*[?@.operationId != 'listBooks']", "remove": true}]}"#,
    );
    let args = ["inspect", &spec("bookshop.yaml"), "--format", "json"];
    let args = [&args[..], &["--overlay", &first, "--overlay", &second]].concat();
    let output = mcphub(&args);
    let report = json_of(&output);
    assert_eq!(report["tools"].as_array().unwrap().len(), 1);
    assert_eq!(report["tools"][0]["name"], "listBooks");
    assert_eq!(report["tools"][0]["title"], "Changed");
    let told = stderr(&output);
    assert!(
        told.contains("/actions/1/target") && told.contains("selects nothing"),
        "{told}"
    );
    let broken = folder.file(
        "broken.yaml",
        "overlay: 1.0.0\nactions: [{target: 'paths', update: {}}]",
    );
    let output = mcphub(&["inspect", &spec("bookshop.yaml"), "--overlay", &broken]);
    assert_refused(&output, 3, &["JSONPath", "broken.yaml", "action: 0"]);
}

#[test]
fn a_collection_of_requests_is_a_document_too() {
    let folder = Folder::new();
    let collection = json!({
        "info": {"name": "Shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "item": [{"name": "findBooks", "request": {"url": "https://shop.test/books/:isbn?q=sea"}}],
    });
    let collection = folder.file("shop.json", collection.to_string());
    let call = [
        "call",
        &collection,
        "findBooks",
        "--args",
        r#"{"isbn": "7", "q": "a b"}"#,
        "--dry-run",
    ];
    let request = json_of(&mcphub(&call));
    assert_eq!(request["url"], "https://shop.test/books/7?q=a%20b");
}

#[test]
fn what_the_readme_does_with_a_document_works_as_it_is_written() {
    let readme = include_str!("../../../../README.md");
    let blocks = readme.split("```sh\n").skip(1);
    let lines = blocks.filter_map(|block| block.split("```").next());
    let lines = lines.flat_map(str::lines);
    let offline = ["mcphub inspect ", "mcphub generate ", "mcphub key "];
    let lines = lines.filter(|line| offline.iter().any(|it| line.starts_with(it)));
    let folder = Folder::new();
    folder.file(
        "openapi.yaml",
        fs::read_to_string(spec("bookshop.yaml")).unwrap(),
    );
    let here = Path::new(env!("CARGO_BIN_EXE_mcphub")).parent().unwrap();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = [here.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&paths));
    let paths = std::env::join_paths(paths).unwrap();
    let mut run = 0;
    for line in lines {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-e", "-c", line]).env("PATH", &paths);
        let done = shell.current_dir(folder.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{line}: {said}");
        run += 1;
    }
    assert!(run >= 3, "{run} commands");
    assert!(Path::new(&folder.path("shop-server/package.json")).exists());
}

#[test]
fn an_overlay_says_what_the_tools_are() {
    let guide = include_str!("../../../../docs/openapi.md");
    let overlay = guide.split("```yaml\n").nth(1).unwrap();
    let overlay = overlay.split("```").next().unwrap();
    let folder = Folder::new();
    let overlay = folder.file("tools.yaml", overlay);
    let shop = spec("bookshop.yaml");
    let report = json_of(&mcphub(&[
        "inspect",
        &shop,
        "--overlay",
        &overlay,
        "--format",
        "json",
    ]));
    assert_eq!(report["tools"].as_array().unwrap().len(), 1, "{report}");
    let tool = &report["tools"][0];
    assert_eq!(tool["name"], "find_books");
    assert!(
        tool["inputSchema"]["properties"].get("limit").is_none(),
        "{tool}"
    );
    let call = [
        "call",
        &shop,
        "find_books",
        "--overlay",
        &overlay,
        "--dry-run",
    ];
    let request = json_of(&mcphub(
        &[&call[..], &["--base-url", "http://shop.test"]].concat(),
    ));
    assert_eq!(request["url"], "http://shop.test/books?limit=20");
}

#[test]
fn documents_that_cannot_be_used_are_refused_with_a_reason() {
    let folder = Folder::new();
    let inspect = |path: &str| mcphub(&["inspect", path]);
    assert_refused(&inspect("/no/such/document.yaml"), 4, &["no such document"]);
    assert_refused(
        &inspect(&folder.file("a.yaml", "a: [1, 2\nb: }")),
        3,
        &["line"],
    );
    assert_refused(
        &inspect(&folder.file("b.yaml", "name: hello\nlist: [1]")),
        3,
        &["OpenAPI"],
    );
    assert_refused(
        &inspect(&folder.file("c.json", r#"{"swagger": "1.2", "info": {}}"#)),
        3,
        &["1.2", "2.0"],
    );
    assert_refused(
        &inspect(&folder.file("d.yaml", [0u8, 159, 146, 150])),
        3,
        &[],
    );
    assert_refused(
        &inspect(&folder.path("").display().to_string()),
        2,
        &["folder"],
    );
    assert_refused(
        &inspect("http://127.0.0.1:1/openapi.json"),
        6,
        &["cannot be fetched"],
    );

    let huge = folder.path("huge.json");
    std::fs::File::create(&huge)
        .unwrap()
        .set_len(200 * 1024 * 1024)
        .unwrap();
    assert_refused(&inspect(&huge.display().to_string()), 3, &["64 MiB"]);

    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    bomb.push_str("openapi: 3.0.0\ninfo: {title: bomb, version: '1'}\npaths: {}\n");
    assert_refused(&inspect(&folder.file("bomb.yaml", bomb)), 3, &[]);
}

#[test]
fn broken_references_cost_one_operation_and_not_the_document() {
    let folder = Folder::new();
    let document = json!({
        "openapi": "3.0.3",
        "info": { "title": "T", "version": "1" },
        "paths": {
            "/good": { "get": { "operationId": "good", "responses": {} } },
            "/bad": { "get": { "operationId": "bad", "responses": {}, "parameters": [{ "$ref": "#/components/parameters/none" }] } },
            "/loop": { "get": { "operationId": "loop", "responses": {}, "parameters": [{ "$ref": "#/components/parameters/a" }] } },
        },
        "components": { "parameters": {
            "a": { "$ref": "#/components/parameters/b" },
            "b": { "$ref": "#/components/parameters/a" },
        } },
    });
    let report = json_of(&mcphub(&[
        "inspect",
        &folder.file("x.json", document.to_string()),
        "--format",
        "json",
    ]));
    assert_eq!(report["operations"], 3);
    assert_eq!(report["tools"].as_array().unwrap().len(), 1);
    let errors: Vec<_> = report["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["severity"] == "error")
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|error| error["pointer"].as_str().unwrap().starts_with("/paths/~1")),
        "{errors:?}"
    );
}

#[test]
fn a_port_in_use_is_an_error_before_anything_is_registered() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let store = folder.path("hub.db").display().to_string();
    let output = mcphub(&[
        "up",
        &spec("bookshop.yaml"),
        "--listen",
        &address,
        "--store",
        &store,
    ]);
    assert_refused(&output, 5, &["another program listens", &address]);
    let list = json_of(&mcphub(&["list", "--store", &store, "--format", "json"]));
    assert_eq!(list, json!([]));
}

#[test]
fn the_command_line_teaches() {
    let help = stdout(&mcphub(&["--help"]));
    assert!(
        help.contains("Exit codes:") && help.contains("demo"),
        "{help}"
    );
    let up = stdout(&mcphub(&["up", "--help"]));
    assert!(
        up.contains("Examples:") && up.contains("--bearer-env"),
        "{up}"
    );
    assert_eq!(mcphub(&["inspect"]).status.code(), Some(2));
}

#[test]
fn a_wrong_configuration_value_ends_with_2_and_says_what_is_right() {
    let folder = Folder::new();
    for address in ["8000", "localhost", "127.0.0.1:99999"] {
        let output = mcphub(&["serve", "--listen", address]);
        assert_refused(&output, 2, &["IP:PORT", "127.0.0.1:8000"]);
    }
    let store = folder.path("hub.db").display().to_string();
    let with_key = |key: &str, args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_mcphub"))
            .args(args)
            .args(["--store", &store])
            .env("MCPHUB_MASTER_KEY", key)
            .output()
            .unwrap()
    };
    let up = with_key(
        &"ab".repeat(32),
        &["up", &spec("bookshop.yaml"), "--header", "X: y", "--stdio"],
    );
    assert!(up.status.success(), "{}", stderr(&up));
    let another = with_key(&"cd".repeat(32), &["list"]);
    assert_refused(&another, 2, &["another master key", &store]);
    let short = with_key("s3cret", &["list"]);
    assert_refused(&short, 2, &["MCPHUB_MASTER_KEY", "64 hexadecimal digits"]);
    assert!(!stderr(&short).contains("s3cret"));
}
