//! One reduced document for each quirk.

use mcphub_core::ErrorKind;
use mcphub_core::spec::{
    Dialect, Document, Location, Parsed, SecurityScheme, Severity, SpecParser, Style,
};
use serde_json::{Value, json};

use super::{OpenApiParser, ParserSettings};

fn read(text: &str) -> mcphub_core::Result<Parsed> {
    let document = Document {
        source: "shop/pets.yaml".to_owned(),
        bytes: text.as_bytes().to_vec().into(),
    };
    OpenApiParser::default().parse(&document)
}

fn parse(document: &Value) -> Parsed {
    read(&document.to_string()).unwrap()
}

/// A 3.0 document with these paths and components.
fn document(paths: Value, components: Value) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths, "components": components})
}

/// One operation, `GET /pets/{id}`, with this in it.
fn operation(operation: Value) -> Parsed {
    parse(&document(
        json!({"/pets/{id}": {"get": operation}}),
        json!({}),
    ))
}

/// The schema of a query parameter, as 2020-12 has it.
fn schema(schema: Value) -> Value {
    schema_of("3.0.3", schema)
}

fn schema_of(version: &str, schema: Value) -> Value {
    let mut document = document(
        json!({"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": schema}]}}}),
        json!({}),
    );
    document["openapi"] = version.into();
    parse(&document).spec.operations[0].parameters[0]
        .schema
        .clone()
}

/// The definition `A`, given the component schemas.
fn definitions(schemas: Value) -> (Value, Parsed) {
    let reference = json!({"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}});
    let parsed = parse(&document(
        json!({"/a": {"get": {"responses": reference}}}),
        json!({"schemas": schemas}),
    ));
    let all = parsed
        .spec
        .definitions
        .iter()
        .map(|(name, schema)| (name.to_string(), Value::clone(schema)))
        .collect();
    (Value::Object(all), parsed)
}

/// Severity, code and pointer of each diagnostic.
fn remarks(parsed: &Parsed) -> Vec<(Severity, &str, &str)> {
    parsed
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code.as_str(), d.pointer.as_str()))
        .collect()
}

mod documents {
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
        for text in ["swagger: \"2.0\"", "swagger: 2.0"] {
            let (kind, message) = error(text);
            assert_eq!(kind, ErrorKind::Unsupported);
            assert!(
                message.contains("Swagger 2.0 is not read yet; convert to OpenAPI 3"),
                "{message}"
            );
        }
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
            ("3.2.0", Dialect::OpenApi31, Some("newer-version")),
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
            format!("a: {}", "- ".repeat(10_000)),
        ] {
            assert_eq!(error(&deep).0, ErrorKind::InvalidDocument);
        }
        let fine = format!(
            "{{\"openapi\": \"3.0.0\", \"x-deep\": {}{}}}",
            "[".repeat(100),
            "]".repeat(100)
        );
        assert!(read(&fine).is_ok());
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
}

mod operations {
    use super::*;

    #[test]
    fn a_bad_operation_is_skipped_with_its_pointer_and_the_rest_stays() {
        let parsed = parse(&document(
            json!({
                "/a~b/c": {
                    "get": {"operationId": "good"},
                    "put": "nonsense",
                    "post": {"parameters": [{"$ref": "#/components/parameters/none"}]},
                    "patch": {"requestBody": {"$ref": "#/components/requestBodies/loop"}},
                    "delete": {"$ref": "other.yaml#/x"},
                    "trace": {"parameters": [{"in": "header", "name": "a b", "required": true}]},
                },
                "x-meta": {"get": {}},
            }),
            json!({"requestBodies": {"loop": {"$ref": "#/components/requestBodies/pool"},
                "pool": {"$ref": "#/components/requestBodies/loop"}}}),
        ));
        assert_eq!(parsed.spec.operations.len(), 1);
        assert_eq!(parsed.spec.operations[0].pointer, "/paths/~1a~0b~1c/get");
        let expected = ["put", "post", "patch", "delete", "trace"]
            .map(|method| format!("/paths/~1a~0b~1c/{method}"));
        let codes = [
            "invalid-operation",
            "dangling-reference",
            "reference-loop",
            "external-reference",
            "invalid-parameter",
        ];
        let expected: Vec<_> = codes
            .iter()
            .zip(&expected)
            .map(|(code, pointer)| (Severity::Error, *code, pointer.as_str()))
            .collect();
        assert_eq!(remarks(&parsed), expected);
        let dangling = &parsed.diagnostics[1].message;
        assert!(
            dangling.contains("#/components/parameters/none")
                && dangling.contains("/post/parameters/0"),
            "{dangling}"
        );
    }

    #[test]
    fn a_document_without_paths_has_no_operations() {
        for text in [
            "openapi: 3.0.0",
            "openapi: 3.0.0\npaths:\n",
            "openapi: 3.0.0\npaths: [1]",
        ] {
            assert!(read(text).unwrap().spec.operations.is_empty());
        }
    }

    #[test]
    fn a_schema_that_points_to_nothing_costs_the_operation_that_needs_it() {
        let parsed = parse(&document(
            json!({"/a": {
                "put": {"requestBody": {"content": {"application/json": {"schema":
                    {"type": "object", "properties": {"p": {"$ref": "#/components/schemas/Gone"}}}}}}},
                "get": {"responses": {"200": {"content": {"application/json": {"schema":
                    {"$ref": "#/components/schemas/Gone"}}}}}},
            }}),
            json!({}),
        ));
        assert_eq!(parsed.spec.operations.len(), 1);
        let schema = "/paths/~1a/get/responses/200/content/application~1json/schema/$ref";
        assert_eq!(
            remarks(&parsed),
            [
                (Severity::Error, "dangling-reference", "/paths/~1a/put"),
                (Severity::Warning, "dangling-reference", schema),
            ]
        );
    }

    #[test]
    fn path_items_may_be_shared_and_add_their_own() {
        let parsed = parse(&document(
            json!({
                "/a/{id}": {"$ref": "#/components/pathItems/Shared", "put": {"operationId": "own"}},
                "/b": {"$ref": "elsewhere.yaml"},
            }),
            json!({"pathItems": {"Shared": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
                "get": {"operationId": "shared"}, "put": {"operationId": "hidden"}}}}),
        ));
        let ids: Vec<_> = parsed
            .spec
            .operations
            .iter()
            .map(|o| (o.id.as_deref().unwrap(), o.pointer.as_str()))
            .collect();
        assert_eq!(
            ids,
            [
                ("own", "/paths/~1a~1{id}/put"),
                ("shared", "/paths/~1a~1{id}/get")
            ]
        );
        assert!(
            parsed
                .spec
                .operations
                .iter()
                .all(|o| o.parameters[0].schema["type"] == "integer")
        );
        assert_eq!(
            remarks(&parsed),
            [(Severity::Error, "external-reference", "/paths/~1b")]
        );
    }

    #[test]
    fn servers_and_security_are_inherited_and_replaced() {
        let mut document = document(
            json!({"/a": {"servers": [{"url": "/path"}],
                "get": {}, "put": {"servers": [{"url": "/own"}], "security": []}, "post": {"security": [{}, {"k": [], "b": []}]},
                "patch": {"security": "none"}}}),
            json!({"securitySchemes": {"k": {"type": "apiKey", "in": "query", "name": "key"},
                "b": {"type": "http", "scheme": "Basic"}}}),
        );
        document["servers"] =
            json!([{"url": "https://x.io/{v}", "variables": {"v": {"default": "1"}}}, {"url": 3}]);
        document["security"] = json!([{"k": []}]);
        let parsed = parse(&document);
        assert_eq!(parsed.spec.servers, ["https://x.io/1"]);
        let found: Vec<_> = parsed
            .spec
            .operations
            .iter()
            .map(|o| (o.servers[0].as_str(), o.security.clone()))
            .collect();
        let key = vec![vec!["k".to_owned()]];
        let either = vec![vec![], vec!["k".to_owned(), "b".to_owned()]];
        assert_eq!(
            found,
            [
                ("/path", key.clone()),
                ("/own", vec![]),
                ("/path", either),
                ("/path", key)
            ]
        );
        assert_eq!(
            remarks(&parsed),
            [
                (Severity::Warning, "invalid-server", "/servers/1"),
                (Severity::Warning, "wrong-type", "/paths/~1a/patch/security"),
            ]
        );
    }

    #[test]
    fn security_schemes_of_every_kind() {
        let parsed = parse(&document(
            json!({}),
            json!({"securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
                "bearer": {"type": "http", "scheme": "BEARER"},
                "same": {"$ref": "#/components/securitySchemes/bearer"},
                "oauth": {"type": "oauth2", "flows": {}},
                "oidc": {"type": "openIdConnect", "openIdConnectUrl": "x"},
                "digest": {"type": "http", "scheme": "digest"},
                "tls": {"type": "mutualTLS"},
                "injected": {"type": "apiKey", "in": "header", "name": "A\r\nB"},
            }}),
        ));
        let schemes = &parsed.spec.security_schemes;
        let header = SecurityScheme::ApiKey {
            location: Location::Header,
            name: "X-Key".to_owned(),
        };
        assert_eq!(schemes["header"], header);
        assert_eq!(
            (&schemes["bearer"], &schemes["same"]),
            (&SecurityScheme::Bearer, &SecurityScheme::Bearer)
        );
        assert_eq!(
            (&schemes["oauth"], &schemes["oidc"]),
            (&SecurityScheme::OAuth2, &SecurityScheme::OpenIdConnect)
        );
        for (name, scheme) in [
            ("digest", "digest"),
            ("tls", "mutualTLS"),
            ("injected", "apiKey"),
        ] {
            assert_eq!(
                schemes[name],
                SecurityScheme::Unsupported {
                    scheme: scheme.to_owned()
                }
            );
        }
    }

    #[test]
    fn references_in_example_data_are_data() {
        let parsed = operation(json!({
            "parameters": [{"name": "q", "in": "query", "schema": {"type": "object", "default": {"$ref": "#/no"}},
                "example": {"$ref": "#/nowhere"}}],
            "responses": {"200": {"description": "", "content": {"application/json": {"example": {"$ref": "#/gone"}}}}},
        }));
        assert_eq!(
            parsed.spec.operations[0].parameters[0].example,
            Some(json!({"$ref": "#/nowhere"}))
        );
        assert!(
            parsed
                .diagnostics
                .iter()
                .all(|d| d.code == "undeclared-path-parameter"),
            "{:?}",
            parsed.diagnostics
        );
    }

    #[test]
    fn a_path_without_slash_or_with_a_fragment_is_repaired() {
        let parsed = parse(&document(
            json!({"pets": {"get": {}}, "/a#b": {"get": {}}}),
            json!({}),
        ));
        let paths: Vec<_> = parsed
            .spec
            .operations
            .iter()
            .map(|o| o.path.as_str())
            .collect();
        assert_eq!(paths, ["/pets", "/a"]);
        assert!(parsed.diagnostics.iter().all(|d| d.code == "invalid-path"));
    }
}

mod parameters {
    use super::*;

    #[test]
    fn styles_have_the_defaults_of_their_location_and_wrong_ones_fall_back() {
        let parsed = operation(json!({"parameters": [
            {"name": "id", "in": "path", "schema": {}, "style": "matrix"},
            {"name": "q", "in": "query", "schema": {}},
            {"name": "p", "in": "query", "schema": {}, "style": "pipeDelimited", "allowReserved": true},
            {"name": "h", "in": "header", "schema": {}, "style": "form"},
            {"name": "c", "in": "cookie", "schema": {}, "explode": false},
        ]}));
        let found: Vec<_> = parsed.spec.operations[0]
            .parameters
            .iter()
            .map(|p| {
                (
                    p.serialization.style,
                    p.serialization.explode,
                    p.serialization.allow_reserved,
                    p.required,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (Style::Matrix, false, false, true),
                (Style::Form, true, false, false),
                (Style::PipeDelimited, false, true, false),
                (Style::Simple, false, false, false),
                (Style::Form, false, false, false),
            ]
        );
        let style = "/paths/~1pets~1{id}/get/parameters/3/style";
        assert_eq!(
            remarks(&parsed),
            [(Severity::Warning, "invalid-style", style)]
        );
    }

    #[test]
    fn an_operation_replaces_what_its_path_says() {
        let parsed = parse(&document(
            json!({"/a/{id}": {
                "parameters": [
                    {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
                    {"$ref": "#/components/parameters/page"},
                ],
                "get": {"parameters": [{"name": "page", "in": "query", "schema": {"type": "string"}},
                    {"name": "page", "in": "header", "schema": {"type": "boolean"}}]},
            }}),
            json!({"parameters": {"page": {"name": "page", "in": "query", "schema": {"type": "integer"}}}}),
        ));
        let found: Vec<_> = parsed.spec.operations[0]
            .parameters
            .iter()
            .map(|p| (p.location, p.schema["type"].clone()))
            .collect();
        assert_eq!(
            found,
            [
                (Location::Path, json!("integer")),
                (Location::Query, json!("string")),
                (Location::Header, json!("boolean"))
            ]
        );
        assert!(parsed.diagnostics.is_empty());
    }

    #[test]
    fn the_path_template_decides_which_path_parameters_there_are() {
        let parsed = operation(
            json!({"parameters": [{"name": "other", "in": "path", "required": true, "schema": {}}]}),
        );
        let parameter = &parsed.spec.operations[0].parameters[0];
        assert_eq!(
            (parameter.name.as_str(), &parameter.schema),
            ("id", &json!({"type": "string"}))
        );
        let at = "/paths/~1pets~1{id}/get";
        assert_eq!(
            remarks(&parsed),
            [
                (Severity::Warning, "unused-path-parameter", at),
                (Severity::Warning, "undeclared-path-parameter", at)
            ]
        );
    }

    #[test]
    fn headers_that_are_described_elsewhere_are_no_parameters() {
        let parsed = operation(json!({"parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {}},
            {"name": "authorization", "in": "header", "required": true, "schema": {}},
            {"name": "Accept", "in": "header", "schema": {}},
            {"name": "Content-Type", "in": "header", "schema": {}},
        ]}));
        assert_eq!(parsed.spec.operations[0].parameters.len(), 1);
        assert!(
            parsed
                .diagnostics
                .iter()
                .all(|d| d.code == "ignored-header" && d.severity == Severity::Info)
        );
    }

    #[test]
    fn content_type_on_the_parameter_and_no_schema_at_all() {
        let parsed = operation(json!({"parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {}},
            {"name": "filter", "in": "query", "content": {"Application/JSON; charset=utf-8": {"schema": {"type": "object"}}}},
            {"name": "old", "in": "query", "type": "integer", "minimum": 1},
            {"name": "bare", "in": "query"},
            {"name": "bad", "in": "body", "schema": {}},
            "nonsense",
        ]}));
        let parameters = &parsed.spec.operations[0].parameters;
        assert_eq!(
            parameters[1].serialization.content.as_deref(),
            Some("application/json")
        );
        assert_eq!(parameters[1].schema, json!({"type": "object"}));
        assert_eq!(
            parameters[2].schema,
            json!({"type": "integer", "minimum": 1})
        );
        assert_eq!(parameters[3].schema, json!({"type": "string"}));
        assert_eq!(parameters.len(), 4);
        let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "missing-schema",
                "missing-schema",
                "invalid-parameter",
                "wrong-type"
            ]
        );
    }

    #[test]
    fn from_3_1_on_a_description_beside_a_reference_wins() {
        let parameters =
            json!({"q": {"name": "q", "in": "query", "description": "theirs", "schema": {}}});
        let reference = json!({"$ref": "#/components/parameters/q", "description": "ours"});
        let mut document = document(
            json!({"/a": {"get": {"parameters": [reference]}}}),
            json!({"parameters": parameters}),
        );
        let description = |document: &Value| {
            parse(document).spec.operations[0].parameters[0]
                .description
                .clone()
        };
        assert_eq!(description(&document).as_deref(), Some("theirs"));
        document["openapi"] = "3.1.0".into();
        assert_eq!(description(&document).as_deref(), Some("ours"));
    }

    #[test]
    fn an_example_may_be_named_or_referenced() {
        let parsed = parse(&document(
            json!({"/a": {"get": {"parameters": [
                {"name": "a", "in": "query", "schema": {}, "examples": {"one": {"value": 1}, "two": {"value": 2}}},
                {"name": "b", "in": "query", "schema": {}, "examples": {"one": {"$ref": "#/components/examples/e"}}},
                {"name": "c", "in": "query", "schema": {}, "examples": {"one": {"$ref": "#/components/examples/none"}}},
            ]}}}),
            json!({"examples": {"e": {"value": "shared"}}}),
        ));
        let examples: Vec<_> = parsed.spec.operations[0]
            .parameters
            .iter()
            .map(|p| p.example.clone())
            .collect();
        assert_eq!(examples, [Some(json!(1)), Some(json!("shared")), None]);
    }
}

mod bodies {
    use super::*;

    #[test]
    fn media_types_are_lower_case_without_parameters_and_legal() {
        let parsed = operation(json!({"requestBody": {"content": {
            "Application/JSON;charset=utf-8": {"schema": {"type": "object"}},
            "text/plain\r\nX: y": {},
            "json": {},
        }}}));
        let body = parsed.spec.operations[0].body.as_ref().unwrap();
        let types: Vec<_> = body.content.iter().map(|c| c.media_type.as_str()).collect();
        assert_eq!(types, ["application/json"]);
        assert_eq!(
            parsed
                .diagnostics
                .iter()
                .filter(|d| d.code == "invalid-media-type")
                .count(),
            2
        );
    }

    #[test]
    fn only_stated_encodings_are_kept() {
        let parsed = operation(
            json!({"requestBody": {"content": {"application/x-www-form-urlencoded": {
                "schema": {"type": "object"},
                "encoding": {
                    "list": {"style": "spaceDelimited"},
                    "spread": {"explode": true},
                    "data": {"contentType": "application/json"},
                    "text": {"contentType": "text/plain"},
                },
            }}}}),
        );
        let encoding = &parsed.spec.operations[0].body.as_ref().unwrap().content[0].encoding;
        assert_eq!(
            (encoding["list"].style, encoding["list"].explode),
            (Style::SpaceDelimited, false)
        );
        assert_eq!(
            (encoding["spread"].style, encoding["spread"].explode),
            (Style::Form, true)
        );
        assert_eq!(
            encoding["data"].content.as_deref(),
            Some("application/json")
        );
        assert!(!encoding.contains_key("text"));
    }

    #[test]
    fn a_response_that_cannot_be_read_is_left_out() {
        let parsed = operation(json!({
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {}}],
            "responses": {"2xx": {"description": "fine"}, "Default": {}, "404": 7, "500": {"$ref": "#/no"}, "x-note": 1},
        }));
        let statuses: Vec<_> = parsed.spec.operations[0]
            .responses
            .iter()
            .map(|r| r.status.as_str())
            .collect();
        assert_eq!(statuses, ["2XX", "default"]);
        let at = "/paths/~1pets~1{id}/get/responses";
        let expected = [format!("{at}/404"), format!("{at}/500")];
        assert_eq!(
            parsed
                .diagnostics
                .iter()
                .map(|d| d.pointer.clone())
                .collect::<Vec<_>>(),
            expected
        );
    }
}

mod schemas {
    use super::*;

    #[test]
    fn nullable_lets_null_in_whatever_the_schema_is() {
        let null = json!({"type": "null"});
        for (from, to) in [
            (
                json!({"type": "string", "nullable": true}),
                json!({"type": ["string", "null"]}),
            ),
            (
                json!({"type": "string", "nullable": false}),
                json!({"type": "string"}),
            ),
            (json!({"nullable": true}), json!({})),
            (
                json!({"type": "string", "enum": ["a"], "nullable": true}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (
                json!({"enum": ["a", null], "nullable": true}),
                json!({"enum": ["a", null]}),
            ),
            (
                json!({"anyOf": [{"type": "string"}], "nullable": true}),
                json!({"anyOf": [{"type": "string"}, null]}),
            ),
            (
                json!({"allOf": [{"type": "string"}], "nullable": true, "description": "d"}),
                json!({"description": "d", "anyOf": [{"allOf": [{"type": "string"}]}, null]}),
            ),
            (
                json!({"type": "object", "oneOf": [{}], "nullable": true}),
                json!({"anyOf": [{"type": "object", "oneOf": [{}]}, null]}),
            ),
        ] {
            let mut to = to;
            if let Some(last) = to.pointer_mut("/anyOf/1") {
                *last = null.clone();
            }
            assert_eq!(schema(from.clone()), to, "{from}");
        }
    }

    #[test]
    fn exclusive_bounds_are_numbers() {
        let from = json!({"minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false});
        assert_eq!(schema(from), json!({"exclusiveMinimum": 1, "maximum": 9}));
        assert_eq!(
            schema_of("3.1.0", json!({"exclusiveMinimum": 1.5})),
            json!({"exclusiveMinimum": 1.5})
        );
    }

    #[test]
    fn what_2020_12_does_not_know_is_dropped_and_what_it_knows_stays() {
        let kept = json!({"type": "string", "readOnly": true, "writeOnly": false, "deprecated": true, "format": "uuid",
            "default": "x", "enum": ["x"], "description": "d", "title": "t", "const": "x"});
        let mut from = kept.clone();
        for key in [
            "discriminator",
            "xml",
            "externalDocs",
            "x-note",
            "collectionFormat",
            "$id",
            "$schema",
            "$anchor",
            "$defs",
        ] {
            from[key] = json!({"a": 1});
        }
        from["example"] = json!("e");
        let mut to = kept;
        to["examples"] = json!(["e"]);
        assert_eq!(schema(from), to);
    }

    #[test]
    fn wrong_values_are_repaired_or_dropped() {
        for (from, to) in [
            (json!({"required": true}), json!({})),
            (
                json!({"required": ["a", "a", 1]}),
                json!({"required": ["a"]}),
            ),
            (json!({"type": "file"}), json!({"type": "string"})),
            (json!({"type": "Integer"}), json!({"type": "integer"})),
            (json!({"type": "any"}), json!({})),
            (
                json!({"type": ["string", "string", "zebra"]}),
                json!({"type": ["string"]}),
            ),
            (json!({"type": []}), json!({})),
            (json!({"type": 3}), json!({})),
            (json!({"pattern": "(["}), json!({})),
            (json!({"pattern": "^\\d+$"}), json!({"pattern": "^\\d+$"})),
            (json!({"pattern": "^(?=a)b"}), json!({"pattern": "^(?=a)b"})),
            (
                json!({"minimum": "3", "maximum": "many"}),
                json!({"minimum": 3}),
            ),
            (
                json!({"maxLength": -1, "minLength": 2.0, "maxItems": 1.5}),
                json!({"minLength": 2}),
            ),
            (json!({"multipleOf": 0}), json!({})),
            (
                json!({"type": "array"}),
                json!({"type": "array", "items": {}}),
            ),
            (
                json!({"type": "array", "items": [{"type": "string"}]}),
                json!({"type": "array", "items": {"type": "string"}}),
            ),
            (
                json!({"type": "array", "items": [{"type": "string"}, {}]}),
                json!({"type": "array", "prefixItems": [{"type": "string"}, {}], "items": {}}),
            ),
            (json!({"enum": "a"}), json!({})),
            (json!({"enum": []}), json!({})),
            (json!({"properties": []}), json!({})),
            (
                json!({"properties": {"a": 1, "b": true, "c": false}}),
                json!({"properties": {"a": {}, "b": {}, "c": false}}),
            ),
            (json!({"allOf": {}}), json!({"allOf": [{}]})),
            (json!({"anyOf": []}), json!({})),
            (
                json!({"uniqueItems": "true", "deprecated": 1}),
                json!({"uniqueItems": true}),
            ),
            (
                json!({"description": 5, "title": []}),
                json!({"description": "5"}),
            ),
            (
                json!({"patternProperties": {"(": {}, "^x": {}}}),
                json!({"patternProperties": {"^x": {}}}),
            ),
            (json!({"$ref": 5}), json!({})),
            (json!({"additionalProperties": "yes"}), json!({})),
            (json!("string"), json!({})),
            (json!(null), json!({})),
            (json!(true), json!({})),
        ] {
            assert_eq!(schema(from.clone()), to, "{from}");
        }
    }

    #[test]
    fn a_wrong_value_is_reported_where_it_stands() {
        let parsed = operation(
            json!({"parameters": [{"name": "id", "in": "path", "required": true, "schema":
            {"type": "object", "properties": {"a/b": {"items": {"required": true}}}}}]}),
        );
        let at = "/paths/~1pets~1{id}/get/parameters/0/schema/properties/a~1b/items/required";
        assert_eq!(
            remarks(&parsed),
            [(Severity::Warning, "invalid-keyword", at)]
        );
    }

    #[test]
    fn references_become_definitions_once_and_on_demand() {
        let (found, parsed) = definitions(json!({
            "A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B%20b"},
                "same": {"$ref": "#/components/schemas/B b"}, "self": {"$ref": "#/components/schemas/A"},
                "inner": {"$ref": "#/components/schemas/C/properties/x~1y"}}},
            "B b": {"type": "string"},
            "C": {"properties": {"x/y": {"type": "integer"}}},
            "Idle": {"type": "boolean"},
        }));
        assert_eq!(
            found,
            json!({
                "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B_b"}, "same": {"$ref": "#/$defs/B_b"},
                    "self": {"$ref": "#/$defs/A"}, "inner": {"$ref": "#/$defs/C.properties.x_y"}}},
                "B_b": {"type": "string"},
                "C.properties.x_y": {"type": "integer"},
            })
        );
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    }

    #[test]
    fn names_of_definitions_stay_apart_whatever_the_order() {
        let schemas = json!({
            "A": {"properties": {"x": {"$ref": "#/components/schemas/Page<Pet>"}, "y": {"$ref": "#/components/schemas/Page[Pet]"},
                "z": {"$ref": "#/components/schemas/Page_Pet"}}},
            "Page<Pet>": {"type": "string"}, "Page[Pet]": {"type": "integer"}, "Page_Pet": {"type": "boolean"},
        });
        let (found, _) = definitions(schemas);
        let kind = |key: &str| {
            let reference = found["A"]["properties"][key]["$ref"].as_str().unwrap();
            found[&reference["#/$defs/".len()..]]["type"].clone()
        };
        assert_eq!(
            (kind("x"), kind("y"), kind("z")),
            (json!("string"), json!("integer"), json!("boolean"))
        );
        assert_eq!(found["A"]["properties"]["z"]["$ref"], "#/$defs/Page_Pet");
        assert_eq!(found.as_object().unwrap().len(), 4);
    }

    #[test]
    fn schemas_that_stand_for_themselves_accept_anything() {
        let (found, parsed) = definitions(json!({
            "A": {"$ref": "#/components/schemas/B"},
            "B": {"$ref": "#/components/schemas/A"},
        }));
        assert_eq!(found, json!({"A": {"$ref": "#/$defs/B"}, "B": {}}));
        assert_eq!(
            remarks(&parsed),
            [(Severity::Warning, "reference-loop", "/components/schemas/B")]
        );
        let (found, parsed) = definitions(json!({
            "A": {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "string"}]},
            "Cat": {"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object"}]},
        }));
        assert_eq!(found["Cat"], json!({"allOf": [{}, {"type": "object"}]}));
        assert_eq!(
            remarks(&parsed),
            [(
                Severity::Warning,
                "reference-loop",
                "/components/schemas/Cat"
            )]
        );
        let (found, _) = definitions(json!({
            "A": {"allOf": [{"$ref": "#/components/schemas/Pet"}]},
            "Pet": {"oneOf": [{"$ref": "#/components/schemas/A"}, {"type": "string"}], "not": {"$ref": "#/components/schemas/A"}},
        }));
        assert_eq!(
            found["Pet"],
            json!({"anyOf": [{}, {"type": "string"}]}),
            "a way out of `oneOf` opens all of it"
        );
    }

    #[test]
    fn siblings_of_a_reference_count_from_3_1_on() {
        let beside = json!({"$ref": "#/components/schemas/A", "minLength": 3, "description": "d", "nullable": true});
        let with = |version: &str| {
            let mut document = document(
                json!({"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": beside}]}}}),
                json!({"schemas": {"A": {"type": "string"}}}),
            );
            document["openapi"] = version.into();
            parse(&document).spec.operations[0].parameters[0]
                .schema
                .clone()
        };
        assert_eq!(
            with("3.0.0"),
            json!({"description": "d", "anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]})
        );
        let inner = json!({"$ref": "#/$defs/A", "minLength": 3});
        assert_eq!(
            with("3.1.0"),
            json!({"description": "d", "anyOf": [inner, {"type": "null"}]})
        );
    }

    #[test]
    fn a_long_schema_of_a_shared_part_stays_shared() {
        let properties: serde_json::Map<_, _> = (0..60)
            .map(|n| (format!("p{n}"), json!({"type": "string"})))
            .collect();
        let long = json!({"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}});
        let answer = json!({"responses": {"200": {"$ref": "#/components/responses/Long"}}});
        let parsed = parse(&document(
            json!({"/a": {"get": answer}, "/b": {"get": answer}}),
            json!({"responses": {"Long": long}}),
        ));
        let name = "responses.Long.content.application_json.schema";
        assert!(
            parsed
                .spec
                .definitions
                .contains_key(format!("components.{name}").as_str()),
            "{:?}",
            parsed.spec.definitions.keys()
        );
        for operation in &parsed.spec.operations {
            assert_eq!(
                operation.responses[0].content[0].1,
                json!({"$ref": format!("#/$defs/components.{name}")})
            );
        }
    }

    #[test]
    fn copies_of_shared_parts_are_bounded() {
        let text = "x".repeat(100_000);
        let list: Vec<_> = (0..10_000)
            .map(|n| {
                (
                    format!("/p{n}"),
                    json!({"get": {"parameters": [{"$ref": "#/components/parameters/q"}]}}),
                )
            })
            .collect();
        let paths: serde_json::Map<_, _> = list.into_iter().collect();
        let parameter = json!({"name": "q", "in": "query", "description": text, "schema": {}});
        let parsed = parse(&document(
            Value::Object(paths),
            json!({"parameters": {"q": parameter}}),
        ));
        assert!(
            parsed
                .diagnostics
                .iter()
                .any(|d| d.code == "expansion-limit" && d.severity == Severity::Error)
        );
        assert!(!parsed.spec.operations.is_empty());
        assert_eq!(
            parsed.diagnostics.len() + parsed.spec.operations.len(),
            10_000
        );
    }
}

#[test]
fn remarks_are_bounded() {
    let many: serde_json::Map<_, _> = (0..5_000)
        .map(|n| (format!("p{n}"), json!({"required": true})))
        .collect();
    let parsed = operation(
        json!({"requestBody": {"content": {"application/json": {"schema": {"properties": many}}}}}),
    );
    assert_eq!(parsed.diagnostics.len(), 1_001);
    assert_eq!(parsed.diagnostics.last().unwrap().code, "more-diagnostics");
}

#[test]
fn what_grows_faster_than_the_document_is_bounded() {
    let parameters: Vec<_> = (0..1_001)
        .map(|n| json!({"name": format!("p{n}"), "in": "query", "schema": {}}))
        .collect();
    let types: serde_json::Map<_, _> = (0..100)
        .map(|n| (format!("text/x{n}"), json!({})))
        .collect();
    let parsed = parse(&document(
        json!({
            "/many": {"get": {"parameters": parameters}},
            format!("/{}", "x".repeat(9_000)): {"get": {}},
            "/types": {"put": {"requestBody": {"content": types}}},
        }),
        json!({}),
    ));
    let codes: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            (Severity::Error, "too-many"),
            (Severity::Error, "invalid-path"),
            (Severity::Warning, "too-many"),
        ]
    );
    assert_eq!(
        parsed.spec.operations[0]
            .body
            .as_ref()
            .unwrap()
            .content
            .len(),
        64
    );
}
