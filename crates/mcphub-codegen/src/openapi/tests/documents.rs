//! Reading a document at all.

use super::*;

fn error(text: &str) -> (ErrorKind, String) {
    let error = read(text).unwrap_err();
    (error.kind(), error.report())
}

#[test]
fn what_is_neither_json_nor_yaml_is_refused_with_its_place() {
    let (kind, text) = error("{\"openapi\": \"3.0.0\",\n  \"info\": ]}");
    assert_eq!(kind, ErrorKind::InvalidDocument);
    assert!(
        text.contains("not valid JSON") && text.contains("line: 2, column: 11"),
        "{text}"
    );
    let (kind, text) = error("openapi: 3.0.0\ninfo: [1, 2\npaths: {}");
    assert_eq!(kind, ErrorKind::InvalidDocument);
    assert!(
        text.contains("not valid YAML") && text.contains("line: ") && text.contains("column: "),
        "{text}"
    );
    let (kind, text) = error("<!doctype html><html></html>");
    assert_eq!(kind, ErrorKind::InvalidDocument);
    assert!(text.contains("HTML"), "{text}");
    assert!(error("").1.contains("empty"));
    let document = Document {
        source: "x".to_owned(),
        bytes: vec![b'{', 0xff].into(),
    };
    let error = OpenApiParser::default().parse(&document).unwrap_err();
    assert!(
        error.report().contains("not UTF-8") && error.report().contains("byte: 1"),
        "{}",
        error.report()
    );
}

#[test]
fn what_is_not_openapi_is_refused_with_what_was_found() {
    for (text, found) in [
        ("just text", "found a string"),
        ("[1, 2]", "found an array"),
        ("name: x\nvalues: []", "found `name`, `values`"),
        ("{}", "found no members"),
        ("asyncapi: 3.0.0", "an AsyncAPI document"),
        (
            "swaggerVersion: '1.2'\napis: []",
            "a document of Swagger 1:",
        ),
        (
            "kind: discovery#restDescription\ndiscoveryVersion: v1",
            "a Google discovery document",
        ),
        ("mcpServers: {}", "a client's configuration of MCP servers"),
        ("openapi: three", "found `three`"),
        ("openapi: true", "found a boolean"),
    ] {
        let (kind, message) = error(text);
        assert_eq!(kind, ErrorKind::InvalidDocument, "{text}");
        assert!(message.contains(found), "{text}: {message}");
        assert!(message.contains("shop/pets.yaml"), "{message}");
    }
}

#[test]
fn other_versions_are_named_as_unsupported() {
    let (kind, message) = error("swagger: \"1.2\"");
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(message.contains("2.0 and OpenAPI 3 are"), "{message}");
    assert_eq!(error("openapi: 4.0.0").0, ErrorKind::Unsupported);
}

#[test]
fn versions_match_on_major_and_minor() {
    for (version, dialect, remark) in [
        ("3.0.4", Dialect::OpenApi30, None),
        ("\"3.0\"", Dialect::OpenApi30, None),
        ("3.0", Dialect::OpenApi30, Some("wrong-type")),
        ("3.1.2", Dialect::OpenApi31, None),
        ("3.1.0-rc1", Dialect::OpenApi31, None),
        ("3.2.0", Dialect::OpenApi32, None),
        ("3.9.0", Dialect::OpenApi32, Some("newer-version")),
    ] {
        let parsed = read(&format!("openapi: {version}\npaths: {{}}")).unwrap();
        assert_eq!(parsed.spec.dialect, dialect, "{version}");
        assert_eq!(
            parsed.diagnostics.first().map(|d| d.code.as_str()),
            remark,
            "{version}"
        );
    }
}

#[test]
fn swagger_2_0_may_be_written_as_a_number() {
    for (version, remark) in [("\"2.0\"", None), ("2.0", Some("wrong-type"))] {
        let parsed = read(&format!("swagger: {version}\npaths: {{}}")).unwrap();
        assert_eq!(parsed.spec.dialect, Dialect::Swagger20);
        assert_eq!(
            parsed.diagnostics.first().map(|d| d.code.as_str()),
            remark,
            "{version}"
        );
    }
}

#[test]
fn yaml_is_read_as_people_write_it() {
    let parsed = read(
        "\u{feff}openapi: 3.0.0\ninfo: {title: T, version: 1.0, version: 2.10}\npaths:\n  /a:\n    get:\n      \
         summary: no\n      parameters:\n        - {name: on, in: query, schema: {type: string, enum: [yes, no, 2024-01-31]}}\n\
         \x20     responses:\n        200: {description: fine}\n",
    )
    .unwrap();
    assert_eq!(parsed.spec.version, "2.1");
    let operation = &parsed.spec.operations[0];
    assert_eq!(operation.summary.as_deref(), Some("no"));
    assert_eq!(operation.parameters[0].name, "on");
    assert_eq!(
        operation.parameters[0].schema["enum"],
        json!(["yes", "no", "2024-01-31"])
    );
    assert_eq!(operation.responses[0].status, "200");
}

#[test]
fn numbers_of_any_size_are_read() {
    let yaml = "openapi: 3.0.0\npaths:\n  /a:\n    get:\n      parameters:\n        - name: q\n          in: query\n          \
                schema: {type: number, maximum: 18446744073709551616, minimum: -9223372036854775809}\n";
    let schema = &read(yaml).unwrap().spec.operations[0].parameters[0].schema;
    assert_eq!(schema["maximum"], 18_446_744_073_709_551_616_f64);
    assert_eq!(schema["minimum"], -9_223_372_036_854_775_809_f64);
}

#[test]
fn a_document_over_the_limit_is_refused_unread() {
    // Untouched zero pages: nothing is allocated in earnest, and reading them would fail otherwise.
    let document = Document {
        source: "big.json".to_owned(),
        bytes: vec![0; 200 << 20].into(),
    };
    let error = OpenApiParser::default().parse(&document).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(
        error.report().contains("209715200 bytes; at most 67108864"),
        "{}",
        error.report()
    );
}

#[test]
fn more_operations_than_the_limit_are_refused() {
    let settings = ParserSettings {
        max_operations: 1,
        ..ParserSettings::default()
    };
    let text = document(json!({"/a": {"get": {}, "put": {}}}), json!({})).to_string();
    let document = Document {
        source: "a".to_owned(),
        bytes: text.into(),
    };
    assert_eq!(
        OpenApiParser::new(settings)
            .parse(&document)
            .unwrap_err()
            .kind(),
        ErrorKind::TooLarge
    );
}

#[test]
fn a_yaml_bomb_ends_within_its_bounds() {
    let settings = ParserSettings {
        max_document: 1 << 20,
        ..ParserSettings::default()
    };
    // Nine levels of ten: a thousand million strings.
    let mut nested = String::from("openapi: 3.0.0\na0: &a0 lol\n");
    for level in 1..10 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        nested.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    // One long text, many times: a thousand million bytes.
    let flat = format!(
        "openapi: 3.0.0\na: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        vec!["*a"; 10_000].join(", ")
    );
    for bomb in [nested, flat] {
        let document = Document {
            source: "bomb.yaml".to_owned(),
            bytes: bomb.into(),
        };
        let error = OpenApiParser::new(settings.clone())
            .parse(&document)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDocument);
        assert!(error.report().contains("alias"), "{}", error.report());
    }
}

#[test]
fn nesting_is_bounded_in_both_notations() {
    for deep in [
        format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("a:\n  {}x", "- ".repeat(10_000)),
        format!("a: {}x", "{b: ".repeat(10_000)),
        format!("a:\n  {}x", "? ".repeat(10_000)),
    ] {
        assert_eq!(error(&deep).0, ErrorKind::InvalidDocument);
    }
    let (open, close) = ("[".repeat(120), "]".repeat(120));
    let schema = format!("{}{{}}{}", "{items: ".repeat(110), "}".repeat(110));
    for fine in [
        format!("{{\"openapi\": \"3.0.0\", \"x-deep\": {open}{close}}}"),
        format!("openapi: 3.0.0\nx-deep:\n  {}x", "- ".repeat(120)),
        format!("openapi: 3.0.0\nx-deep: {open}{close}"),
        format!(
            "openapi: 3.0.0\nx-deep: {}\n",
            "[".repeat(99) + &"]".repeat(99)
        ),
        format!("openapi: 3.0.0\ncomponents: {{schemas: {{Deep: {schema}}}}}"),
    ] {
        assert!(read(&fine).is_ok(), "{fine}");
    }
}

#[test]
fn a_title_comes_from_the_source_when_there_is_none() {
    let parsed = read("openapi: 3.0.0\ninfo: 7").unwrap();
    assert_eq!(parsed.spec.title, "pets");
    assert_eq!(parsed.spec.servers, ["/"]);
    assert_eq!(
        remarks(&parsed),
        [(Severity::Warning, "wrong-type", "/info")]
    );
}
